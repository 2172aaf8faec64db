use std::{collections::BTreeMap, time::Duration};

use dlf_core::{
    api::{Dataset, DatasetInternal, is_positive_quantity},
    decision,
    names::LABEL_DATASET_UID,
    plugin::{
        DatasetRef, FileSystem, Intent, OriginRef, PlanError, StoragePlan, StorageRequest, Volume,
    },
    program,
    source::{ObjectStoreSource, Source},
};
use kube::ResourceExt;

use crate::controller::{Context, cache::endpoint_of, error::Problem, gates, names::Identity};

/// A plugin that takes longer is broken.
const PLAN_DEADLINE: Duration = Duration::from_secs(5);

/// A source that may be used (behind a cache: the Dataset's own), and the plan for it; the raw spec is not looked at again.
pub(super) struct Valid {
    pub(super) source: Source,
    pub(super) plan: StoragePlan,
    pub(super) size: String,
}

/// Labels of the Dataset: routes and the bucket's removal depend on them.
type Labels = BTreeMap<String, String>;

/// Size of a claim whose Dataset does not say: the data is elsewhere, so any will do.
const DEFAULT_SIZE: &str = "5Gi";

pub(super) async fn run(
    internal: &DatasetInternal,
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<Valid, Problem> {
    let labels = dataset.labels();
    let source = Source::parse(&internal.spec, labels, &identity.namespace)
        .map_err(|error| Problem::failed(error.reason(), error.to_string()))?;
    gates::check(ctx.shared.plugins.config(), &identity.namespace, &source)?;
    let mut plan = plan(internal, labels, identity, &source, Intent::Exist, ctx).await?;
    let own = behind(internal, &source, dataset, identity);
    if let Some(bucket) = &own {
        read_from_source_too(&mut plan, bucket);
    }
    let source = own.map_or(source, Source::ObjectStore);
    let mount = internal.spec.mount.as_ref();
    let size = size(mount.and_then(|mount| mount.size.as_deref()))?;
    Ok(Valid { source, plan, size })
}

/// The Dataset's own bucket, where the effective source is a cache of it: one of ours, or what a
/// controller of somebody else's made of it.
fn behind(
    internal: &DatasetInternal,
    effective: &Source,
    dataset: &Dataset,
    identity: &Identity,
) -> Option<ObjectStoreSource> {
    let is_ours = internal.labels().contains_key(LABEL_DATASET_UID);
    if is_ours && endpoint_of(internal).is_none() {
        return None;
    }
    let source = Source::parse(&dataset.spec, dataset.labels(), &identity.namespace);
    let Ok(Source::ObjectStore(bucket)) = source else {
        return None;
    };
    let of_this_bucket = |effective: &Source| match effective {
        Source::ObjectStore(cache) => cache.location == bucket.location,
        Source::Nfs(_) | Source::HostPath(_) => false,
    };
    if is_ours && !of_this_bucket(effective) {
        // The Dataset was edited, and this is still what it was before.
        return None;
    }
    Some(bucket.referring_to(|| identity.source_secret()))
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

/// Asks the plugin the dataset is routed to, and checks what it answers.
pub(super) async fn plan(
    internal: &DatasetInternal,
    labels: &Labels,
    identity: &Identity,
    source: &Source,
    intent: Intent,
    ctx: &Context,
) -> Result<StoragePlan, Problem> {
    let plugins = &ctx.shared.plugins;
    let routed = plugins
        .storage(source.kind(), &identity.namespace, labels)
        .map_err(|error| Problem::failed("NoPlugin", error.to_string()))?;
    let name = routed.name();
    let of_plugin = |error: PlanError| {
        Problem::failed(error.reason, format!("plugin {name}: {}", error.message))
    };
    let plugin = routed.storage().await.map_err(of_plugin)?;
    let request = StorageRequest {
        dataset: DatasetRef {
            namespace: identity.namespace.clone(),
            name: identity.name.clone(),
            uid: identity.uid.clone(),
            labels: labels.clone(),
        },
        source: source.clone(),
        mount: internal.spec.mount.clone().unwrap_or_default(),
        revalidate_ms: revalidate_ms(internal)?,
        intent,
        config: plugins.plugin_config(name),
    };
    let plan = tokio::time::timeout(PLAN_DEADLINE, plugin.plan(&request))
        .await
        .map_err(|_| {
            let seconds = PLAN_DEADLINE.as_secs();
            Problem::pending(
                "PluginTimeout",
                format!("plugin {name} gave no plan within {seconds} s"),
            )
        })?
        .map_err(of_plugin)?;
    check(name, &plan)?;
    Ok(plan)
}

fn check(plugin: &str, plan: &StoragePlan) -> Result<(), Problem> {
    let Volume::Mount(mount) = &plan.volume;
    if let FileSystem::ObjectStore(store) = &mount.file_system {
        program::check(&store.program, &store.options)
            .map_err(|error| Problem::failed("PlanRefused", format!("plugin {plugin}: {error}")))?;
    }
    Ok(())
}

fn revalidate_ms(internal: &DatasetInternal) -> Result<Option<u64>, Problem> {
    decision::revalidate_ms(&internal.spec)
        .map_err(|error| Problem::failed("InvalidSpec", error.to_string()))
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
