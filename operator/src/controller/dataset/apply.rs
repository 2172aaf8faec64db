use std::sync::Arc;

use dlf_core::{
    api::{Dataset, DatasetInternal},
    names::{FINALIZER, LABEL_DATASET_UID},
};
use kube::{
    ResourceExt,
    api::{Api, DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::build::Built;
use crate::controller::{
    Context,
    error::{Doing, Problem, ReconcileError, refusal},
    names::Identity,
    owned::{Ensured, FIELD_MANAGER, HASH_ANNOTATION, Owned, fingerprint},
};

/// Writes what was built; gives the DatasetInternal as it is now.
pub(super) async fn run(
    built: Built,
    dataset: &Dataset,
    identity: &Identity,
    external: Option<&str>,
    ctx: &Context,
) -> Result<Result<Arc<DatasetInternal>, Problem>, ReconcileError> {
    let Built {
        inline_keys,
        internal,
    } = built;
    add_finalizer(dataset, identity, ctx).await?;
    if let Some(secret) = &inline_keys
        && let Some(problem) = ensure_keys(secret, identity, ctx).await?
    {
        return Ok(Err(problem));
    }
    let internal = match external {
        Some(plugin) => await_internal(plugin, identity, ctx).await?,
        None => ensure_internal(internal, identity, ctx).await?,
    };
    if inline_keys.is_none() && internal.is_ok() {
        forget_keys(identity, ctx).await?;
    }
    Ok(internal)
}

async fn ensure_keys(
    secret: &Value,
    identity: &Identity,
    ctx: &Context,
) -> Result<Option<Problem>, ReconcileError> {
    let key = identity.inline_keys();
    let writer = &ctx.shared.writer;
    match writer.ensure(&key, secret.clone(), &identity.uid).await {
        Ok(Ensured::Foreign) => Ok(Some(Problem::pending(
            "NameTaken",
            format!(
                "Secret {} exists and was not made by this Dataset, whose inline keys would go there; rename or \
                 delete it, or name a Secret of yours in spec.local.secret-name",
                key.name
            ),
        ))),
        // Made again when it has gone; until then the keys are missing, and that is said.
        Ok(Ensured::Unchanged | Ensured::Written | Ensured::Terminating) => Ok(None),
        Err(error) => refusal(error, "Secret", &key.name)
            .doing("writing the Secret of inline keys")
            .map(Some),
    }
}

/// Keys that were written into the Dataset once are kept no longer than they stand there.
async fn forget_keys(identity: &Identity, ctx: &Context) -> Result<(), ReconcileError> {
    let (key, writer) = (identity.inline_keys(), &ctx.shared.writer);
    let is_ours = |owned: &Owned| owned.dataset_uid == identity.uid && !owned.terminating;
    if writer.index().get(&key).as_ref().is_some_and(is_ours) {
        writer
            .remove(&key, &identity.uid)
            .await
            .doing("deleting the Secret of keys that are inline no longer")?;
    }
    Ok(())
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

/// The DatasetInternal of a plugin that is a controller of its own, which makes way for it first.
async fn await_internal(
    plugin: &str,
    identity: &Identity,
    ctx: &Context,
) -> Result<Result<Arc<DatasetInternal>, Problem>, ReconcileError> {
    if let Some(existing) = ctx.internal(&identity.namespace, &identity.name) {
        let owner = existing.labels().get(LABEL_DATASET_UID);
        if owner.is_none() && existing.metadata.deletion_timestamp.is_none() {
            return Ok(Ok(existing));
        }
        if owner.is_some() {
            remove_stray(identity, ctx).await?;
        }
    }
    let message = format!(
        "plugin {plugin} is a controller of its own, and has not made DatasetInternal {} yet; its pod is labelled \
         dlf-plugin-name: {plugin} in namespace {}: look at its log",
        identity.name, ctx.shared.namespace
    );
    Ok(Err(Problem::pending("WaitingForPlugin", message)))
}

async fn ensure_internal(
    mut desired: Value,
    identity: &Identity,
    ctx: &Context,
) -> Result<Result<Arc<DatasetInternal>, Problem>, ReconcileError> {
    let hash = fingerprint(&desired);
    desired["metadata"]["annotations"][HASH_ANNOTATION] = json!(hash);
    if let Some(existing) = ctx.internal(&identity.namespace, &identity.name) {
        let owner = existing.labels().get(LABEL_DATASET_UID);
        if owner.is_none() && has_third_party(ctx) {
            // A third party's controller makes this dataset's effective source.
            return Ok(Ok(existing));
        }
        if existing.metadata.deletion_timestamp.is_some() {
            return Ok(Err(Problem::pending(
                "Terminating",
                "the DatasetInternal of an earlier Dataset of this name is still being deleted",
            )));
        }
        if owner.is_none() {
            // Left behind by another installation: what else stands in it may be keys.
            remove_stray(identity, ctx).await?;
            return Ok(Err(Problem::pending(
                "Terminating",
                "a DatasetInternal of this name that nobody is responsible for is deleted before ours is made",
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
    match api
        .patch(&identity.name, &params, &Patch::Apply(&desired))
        .await
    {
        Ok(applied) => Ok(Ok(Arc::new(applied))),
        Err(error) => refusal(error, DatasetInternal::KIND, &identity.name)
            .doing("applying the DatasetInternal")
            .map(Err),
    }
}

/// Whether the configuration names anybody else who writes effective sources.
fn has_third_party(ctx: &Context) -> bool {
    let config = ctx.shared.plugins.config();
    !config.admission.internal_writers.is_empty()
}

async fn remove_stray(identity: &Identity, ctx: &Context) -> Result<(), ReconcileError> {
    let api: Api<DatasetInternal> = Api::namespaced_with(
        ctx.shared.client.clone(),
        &identity.namespace,
        &identity.group,
    );
    match api.delete(&identity.name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(|_| ()).doing("deleting a stray DatasetInternal"),
    }
}
