use std::{collections::BTreeMap, time::Duration};

use dlf_core::{
    api::{DatasetInternal, is_positive_quantity},
    plugin::{DatasetRef, FileSystem, Intent, StoragePlan, StorageRequest, Volume},
    program,
    source::Source,
};

use crate::controller::{Context, error::Problem, gates, names::Identity};

/// How stale a read may be when the Dataset does not say.
const DEFAULT_REVALIDATE: Duration = Duration::from_mins(1);
/// A plugin that takes longer is broken.
const PLAN_DEADLINE: Duration = Duration::from_secs(5);

/// A source that may be used, and the plan for it; the raw spec is not looked at again.
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
    labels: &Labels,
    identity: &Identity,
    ctx: &Context,
) -> Result<Valid, Problem> {
    let source = Source::parse(&internal.spec, labels, &identity.namespace)
        .map_err(|error| Problem::failed(error.reason(), error.to_string()))?;
    gates::check(ctx.shared.plugins.config(), &identity.namespace, &source)?;
    let plan = plan(internal, labels, identity, &source, Intent::Exist, ctx).await?;
    let mount = internal.spec.mount.as_ref();
    let size = size(mount.and_then(|mount| mount.size.as_deref()))?;
    Ok(Valid { source, plan, size })
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
    let (name, plugin) = plugins
        .storage(source.kind(), &identity.namespace, labels)
        .map_err(|error| Problem::failed("NoPlugin", error.to_string()))?;
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
        .map_err(|error| Problem::failed(error.reason, error.message))?;
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
    let text = internal
        .spec
        .cache
        .as_ref()
        .and_then(|cache| cache.revalidate.as_deref());
    let Some(text) = text else {
        return Ok(u64::try_from(DEFAULT_REVALIDATE.as_millis()).ok());
    };
    if text == "never" {
        return Ok(None);
    }
    milliseconds(text).map(Some).ok_or_else(|| {
        Problem::failed(
            "InvalidSpec",
            format!(
                "spec.cache.revalidate: found {text:?}; expected a duration as 60s, 0s, or never"
            ),
        )
    })
}

/// A duration as `500ms`, `60s`, `10m` or `1h`.
fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.len()
        - text
            .trim_start_matches(|byte: char| byte.is_ascii_digit())
            .len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::{milliseconds, size};

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

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!(milliseconds("0s"), Some(0));
        assert_eq!(milliseconds("2h"), Some(7_200_000));
        for wrong in [
            "",
            "60",
            "s",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(milliseconds(wrong), None, "{wrong}");
        }
    }
}
