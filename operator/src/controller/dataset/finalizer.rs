//! The one finalizer: as long as a Dataset has it, what the Dataset made can be taken away in order.

use dlf_core::{api::Dataset, names::FINALIZER};
use kube::{
    ResourceExt,
    api::{Api, Patch, PatchParams},
};
use serde_json::json;

use crate::controller::{
    Context,
    error::{Doing, ReconcileError},
    names::Identity,
    owned::FIELD_MANAGER,
};

/// Whether the Dataset has it.
pub(super) fn is_on(dataset: &Dataset) -> bool {
    let mut finalizers = dataset.finalizers().iter();
    finalizers.any(|finalizer| finalizer == FINALIZER)
}

/// Adds it, before anything is made.
pub(super) async fn add(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<(), ReconcileError> {
    if is_on(dataset) {
        return Ok(());
    }
    let others = dataset.finalizers().iter().map(String::as_str);
    let all = others.chain([FINALIZER]).collect();
    set(all, dataset, identity, ctx)
        .await
        .doing("adding the finalizer")
}

/// Takes it away, when nothing is left.
pub(super) async fn remove(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<(), ReconcileError> {
    let others = dataset.finalizers().iter().map(String::as_str);
    let others = others.filter(|finalizer| *finalizer != FINALIZER).collect();
    match set(others, dataset, identity, ctx).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.doing("removing the finalizer"),
    }
}

async fn set(
    finalizers: Vec<&str>,
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<(), kube::Error> {
    // What somebody else added meanwhile is not lost, and a status that was written meanwhile is no obstacle.
    let patch = json!([
        { "op": "test", "path": "/metadata/uid", "value": identity.uid },
        { "op": "test", "path": "/metadata/finalizers", "value": dataset.metadata.finalizers },
        { "op": "add", "path": "/metadata/finalizers", "value": finalizers },
    ]);
    let patch: json_patch::Patch =
        serde_json::from_value(patch).map_err(kube::Error::SerdeError)?;
    let client = ctx.shared.client.clone();
    let api: Api<Dataset> = Api::namespaced_with(client, &identity.namespace, &identity.group);
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch: Patch<()> = Patch::Json(patch);
    let written = api.patch_metadata(&identity.name, &params, &patch).await;
    written.map(drop)
}
