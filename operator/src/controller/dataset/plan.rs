//! What the plugin plans that the Dataset is routed to, and what is checked of that.

use dlf_core::{
    api::{Dataset, DatasetSpec, is_positive_quantity},
    decision,
    plugin::{
        DatasetRef, FileSystem, Intent, OriginRef, StoragePlan, StorageRequest, Volume, policy,
    },
    source::{ObjectStoreSource, Source},
};
use kube::ResourceExt;

use super::validate::Valid;
use crate::controller::{Context, error::Problem, names::Identity, plans};

/// Size of a claim whose Dataset does not say: the data is elsewhere, so any will do.
const DEFAULT_SIZE: &str = "5Gi";

/// What is to exist.
pub(super) struct Plan {
    pub(super) storage: StoragePlan,
    /// Of the claim.
    pub(super) size: String,
}

/// Plans for the effective source, and what stands before a bucket for that bucket, too; none while the
/// plugin has not answered yet.
pub(super) async fn run(
    valid: &Valid,
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Option<Result<Plan, Problem>> {
    let (spec, source) = (&valid.spec, &valid.effective);
    let storage = ask(spec, source, Intent::Exist, dataset, identity, ctx).await?;
    Some(storage.and_then(|storage| finish(storage, valid, identity)))
}

fn finish(mut storage: StoragePlan, valid: &Valid, identity: &Identity) -> Result<Plan, Problem> {
    if let Some(bucket) = valid.behind(identity) {
        read_from_source_too(&mut storage, &bucket);
    }
    let mount = valid.spec.mount.as_ref();
    let size = size(mount.and_then(|mount| mount.size.as_deref()))?;
    Ok(Plan { storage, size })
}

/// What a cache cannot answer is asked of the source, and what is written goes there.
fn read_from_source_too(plan: &mut StoragePlan, bucket: &ObjectStoreSource) {
    let Volume::Mount(mount) = &mut plan.volume;
    let (FileSystem::ObjectStore(store), Some(origin)) =
        (&mut mount.file_system, OriginRef::of(bucket))
    else {
        return;
    };
    if store.origins.last() != Some(&origin) {
        store.origins.push(origin);
    }
}

fn size(text: Option<&str>) -> Result<String, Problem> {
    let text = text.unwrap_or(DEFAULT_SIZE);
    if is_positive_quantity(text) {
        return Ok(text.to_owned());
    }
    Err(Problem::failed(
        "InvalidSpec",
        format!("spec.mount.size: found {text:?}; expected a quantity above zero, as 5Gi"),
    ))
}

/// Asks the plugin the Dataset is routed to, and checks what it answers; none while it has not answered yet.
pub(super) async fn ask(
    spec: &DatasetSpec,
    source: &Source,
    intent: Intent,
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Option<Result<StoragePlan, Problem>> {
    let (labels, plugins) = (dataset.labels(), &ctx.shared.plugins);
    let routed = plugins.storage(source.kind(), &identity.namespace, labels);
    let plugin = match routed {
        Ok(plugin) => plugin,
        Err(error) => return Some(Err(Problem::failed("NoPlugin", error.to_string()))),
    };
    let revalidate_ms = match decision::revalidate_ms(spec) {
        Ok(revalidate_ms) => revalidate_ms,
        Err(error) => return Some(Err(Problem::failed("InvalidSpec", error.to_string()))),
    };
    let name = plugin.name();
    let request = StorageRequest {
        dataset: DatasetRef {
            namespace: identity.namespace.clone(),
            name: identity.name.clone(),
            uid: identity.uid.clone(),
            labels: labels.clone(),
        },
        source: source.clone(),
        mount: spec.mount.clone().unwrap_or_default(),
        revalidate_ms,
        intent,
        config: plugins.plugin_config(name),
    };
    let answer = ctx.shared.plans.get(plugin, request.clone()).await?;
    let checked = answer.and_then(|plan| policy::check_storage(&plan, &request).map(|()| plan));
    Some(checked.map_err(|error| plans::problem(name, error)))
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn no_claim_has_the_size_zero() {
        assert_eq!(size(None).unwrap(), super::DEFAULT_SIZE);
        assert!(
            size(Some("0"))
                .unwrap_err()
                .message
                .contains("spec.mount.size")
        );
    }
}
