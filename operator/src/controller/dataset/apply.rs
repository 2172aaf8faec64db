use std::sync::Arc;

use dlf_core::{
    api::{Dataset, DatasetInternal},
    names::{FINALIZER, LABEL_DATASET_UID},
};
use kube::{
    ResourceExt,
    api::{Api, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::build::Built;
use crate::controller::{
    Context,
    error::{Doing, Problem, ReconcileError},
    names::Identity,
    owned::{Ensured, FIELD_MANAGER, HASH_ANNOTATION, fingerprint},
};

/// Writes what was built; gives the DatasetInternal as it is now.
pub(super) async fn run(
    built: Built,
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<Result<Arc<DatasetInternal>, Problem>, ReconcileError> {
    let Built {
        inline_keys,
        internal,
    } = built;
    add_finalizer(dataset, identity, ctx).await?;
    if let Some(secret) = inline_keys {
        let key = identity.inline_keys();
        let ensured = ctx.shared.writer.ensure(&key, secret, &identity.uid).await;
        if ensured.doing("writing the Secret of inline keys")? == Ensured::Foreign {
            return Ok(Err(Problem::pending(
                "NameTaken",
                format!(
                    "Secret {} exists and was not made by this Dataset, whose inline keys would go there; \
                     rename or delete it, or name a Secret of yours in spec.local.secret-name",
                    key.name
                ),
            )));
        }
    }
    ensure_internal(internal, identity, ctx).await
}

async fn add_finalizer(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<(), ReconcileError> {
    if dataset
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
    {
        return Ok(());
    }
    let finalizers: Vec<&str> = dataset
        .finalizers()
        .iter()
        .map(String::as_str)
        .chain([FINALIZER])
        .collect();
    let patch = json!({ "metadata": {
        "finalizers": finalizers,
        "resourceVersion": dataset.resource_version(),
    }});
    let api: Api<Dataset> = Api::namespaced_with(
        ctx.shared.client.clone(),
        &identity.namespace,
        &identity.group,
    );
    api.patch_metadata(
        &identity.name,
        &PatchParams::default(),
        &Patch::Merge(patch),
    )
    .await
    .doing("adding the finalizer")?;
    Ok(())
}

async fn ensure_internal(
    mut desired: Value,
    identity: &Identity,
    ctx: &Context,
) -> Result<Result<Arc<DatasetInternal>, Problem>, ReconcileError> {
    let hash = fingerprint(&desired);
    desired["metadata"]["annotations"] = json!({ HASH_ANNOTATION: hash });
    if let Some(existing) = ctx.internal(&identity.namespace, &identity.name) {
        let owner = existing.labels().get(LABEL_DATASET_UID);
        if owner.is_none() {
            // A third party's controller makes this dataset's effective source.
            return Ok(Ok(existing));
        }
        if existing.metadata.deletion_timestamp.is_some() {
            return Ok(Err(Problem::pending(
                "Terminating",
                "the DatasetInternal of an earlier Dataset of this name is still being deleted",
            )));
        }
        if existing.annotations().get(HASH_ANNOTATION) == Some(&hash) {
            return Ok(Ok(existing));
        }
    }
    let api: Api<DatasetInternal> = Api::namespaced_with(
        ctx.shared.client.clone(),
        &identity.namespace,
        &identity.group,
    );
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let applied = api
        .patch(&identity.name, &params, &Patch::Apply(&desired))
        .await
        .doing("applying the DatasetInternal")?;
    Ok(Ok(Arc::new(applied)))
}
