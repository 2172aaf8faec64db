//! `/mutate/pods`: gives a new pod the datasets that its labels ask for.

use std::collections::BTreeMap;

use dlf_core::labels;

use super::{
    Webhook,
    decorate::{DatasetLookup, decorate},
    pod::Pod,
    problem::Problem,
    review::{Operation, Request, Verdict},
};

/// Decides on a pod. Anything but the making of a pod passes.
pub(super) async fn pods(webhook: &Webhook, request: Request<Pod>) -> Result<Verdict, Problem> {
    let Some(pod) = request
        .object
        .filter(|_| request.operation == Operation::Create && request.sub_resource.is_empty())
    else {
        return Ok(Verdict::admit());
    };
    let empty = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&empty);
    let annotations = pod.metadata.annotations.as_ref().unwrap_or(&empty);
    let uses = match labels::parse(labels, annotations) {
        Ok(uses) => uses,
        Err(errors) => return Ok(Verdict::refuse(list(&errors))),
    };
    let known = webhook.lookup.resolve(&request.namespace, &uses).await?;
    tracing::debug!(
        namespace = known.namespace(),
        uses = uses.len(),
        "decorating a pod"
    );
    Ok(match decorate(&pod, &uses, &known) {
        Ok(patch) => Verdict::change(patch),
        Err(refusal) => Verdict::refuse(refusal.to_string()),
    })
}

fn list(errors: &[labels::LabelError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
