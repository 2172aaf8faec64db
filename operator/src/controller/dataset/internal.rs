//! The DatasetInternal: what the operator writes down of where data really comes from, or, where a
//! controller of somebody else's is the author, what that says.

use std::sync::Arc;

use dlf_core::{
    api::{DatasetInternal, DatasetSpec},
    names::{ANNOTATION_CACHE, ANNOTATION_CACHE_ORIGINS, LABEL_DATASET_UID},
    plugin::CacheOrigin,
};
use kube::{
    ResourceExt,
    api::{Api, DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::controller::{
    Context,
    error::{Doing, Problem, ReconcileError, refusal},
    names::Identity,
    owned::{FIELD_MANAGER, HASH_ANNOTATION, fingerprint},
};

/// As it is to be. `caches`: where the cache answers that it leads to.
///
/// The Dataset's own labels stay its own: those of tools like Argo CD would make them take this for
/// an object of theirs, and delete what they do not know.
pub(super) fn desired(identity: &Identity, spec: &DatasetSpec, caches: &[CacheOrigin]) -> Value {
    let mut annotations = json!({});
    if let Some(first) = caches.first() {
        annotations[ANNOTATION_CACHE] = json!(first.endpoint);
        if *caches != [CacheOrigin::at(&first.endpoint)] {
            annotations[ANNOTATION_CACHE_ORIGINS] = json!(json!(caches).to_string());
        }
    }
    json!({
        "apiVersion": identity.group.api_version(),
        "kind": DatasetInternal::KIND,
        "metadata": {
            "name": identity.name,
            "namespace": identity.namespace,
            "labels": identity.labels(),
            "annotations": annotations,
        },
        "spec": spec,
    })
}

/// Whether the operator is its author.
pub(super) fn is_ours(internal: &DatasetInternal) -> bool {
    internal.labels().contains_key(LABEL_DATASET_UID)
}

/// Takes ours away, since a plugin that is a controller of its own is to write one.
pub(super) async fn make_way(
    existing: Option<&DatasetInternal>,
    identity: &Identity,
    ctx: &Context,
) -> Result<(), ReconcileError> {
    match existing {
        Some(existing) if is_ours(existing) => delete(identity, ctx).await.map(drop),
        _ => Ok(()),
    }
}

/// Makes it be as `desired`; gives it as it is now.
pub(super) async fn ensure(
    mut desired: Value,
    identity: &Identity,
    ctx: &Context,
) -> Result<Result<Arc<DatasetInternal>, Problem>, ReconcileError> {
    let hash = fingerprint(&desired);
    desired["metadata"]["annotations"][HASH_ANNOTATION] = json!(hash);
    if let Some(existing) = ctx.internal(&identity.namespace, &identity.name) {
        if existing.metadata.deletion_timestamp.is_some() {
            return Ok(Err(Problem::pending(
                "Terminating",
                "the DatasetInternal of an earlier Dataset of this name is still being deleted",
            )));
        }
        if !is_ours(&existing) {
            // What else stands in it may be keys.
            delete(identity, ctx).await?;
            return Ok(Err(not_routed(identity)));
        }
        let as_applied = existing.annotations().get(HASH_ANNOTATION) == Some(&hash);
        // Who may write some may write into ours.
        if as_applied && json!(existing.spec) == desired["spec"] {
            return Ok(Ok(existing));
        }
    }
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(&desired);
    match api(identity, ctx)
        .patch(&identity.name, &params, &patch)
        .await
    {
        Ok(applied) => Ok(Ok(Arc::new(applied))),
        Err(error) => refusal(error, DatasetInternal::KIND, &identity.name)
            .doing("applying the DatasetInternal")
            .map(Err),
    }
}

fn not_routed(identity: &Identity) -> Problem {
    Problem::pending(
        "WriterNotRouted",
        format!(
            "DatasetInternal {} was written by somebody to whom this Dataset is not routed: it is deleted, and made \
             anew from the Dataset; to have a plugin write it, name that in the label cache.plugin or in a route of \
             the configuration",
            identity.name
        ),
    )
}

/// Takes it away with its Dataset, whoever wrote it, unless it is another Dataset's of that name; true
/// once it is gone.
pub(super) async fn remove(identity: &Identity, ctx: &Context) -> Result<bool, ReconcileError> {
    let found = api(identity, ctx).get_opt(&identity.name).await;
    let Some(found) = found.doing("looking for the DatasetInternal")? else {
        return Ok(true);
    };
    let owner = found.labels().get(LABEL_DATASET_UID);
    if owner.is_some_and(|uid| *uid != identity.uid) {
        return Ok(true);
    }
    delete(identity, ctx).await
}

async fn delete(identity: &Identity, ctx: &Context) -> Result<bool, ReconcileError> {
    let (api, params) = (api(identity, ctx), DeleteParams::default());
    match api.delete(&identity.name, &params).await {
        Ok(outcome) => Ok(outcome.is_right()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
        Err(error) => Err(error).doing("deleting the DatasetInternal"),
    }
}

fn api(identity: &Identity, ctx: &Context) -> Api<DatasetInternal> {
    let client = ctx.shared.client.clone();
    Api::namespaced_with(client, &identity.namespace, &identity.group)
}
