//! What a Dataset may ask for and nothing acts on yet: who asks is told at once, instead of waiting
//! for something that does not come.

use dlf_core::api::{CacheMode, DatasetSpec, Locality};

/// A warning for each such field of a spec, in the order of the schema.
pub(super) fn warnings(spec: &DatasetSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |field: &str, instead: &str| warnings.push(format!("{field}: {instead}"));
    if let Some(cache) = &spec.cache {
        match cache.mode {
            Some(CacheMode::Auto) => warn(
                "spec.cache.mode: Auto",
                "caches are not deployed from observed use yet, so that there is none; Always asks for one",
            ),
            Some(CacheMode::Advise) => warn(
                "spec.cache.mode: Advise",
                "nothing is advised from observed use yet; Always asks for a cache",
            ),
            Some(CacheMode::Off | CacheMode::Always) | None => {}
        }
        let inert = "has no effect yet; leave it out, or keep it for a later version";
        for (field, set) in [
            ("spec.cache.idleAfter", cache.idle_after.is_some()),
            ("spec.cache.priority", cache.priority.is_some()),
        ] {
            if set {
                warn(field, inert);
            }
        }
    }
    let scheduling = spec.scheduling.as_ref();
    let ignores = |locality| matches!(locality, Some(Locality::Ignore));
    if scheduling.is_some_and(|scheduling| !ignores(scheduling.locality)) {
        warn(
            "spec.scheduling",
            "pods are not drawn to their data yet: they are placed as if it were not there",
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fields(spec: Value) -> Vec<String> {
        let spec: DatasetSpec = serde_json::from_value(spec).unwrap();
        let field = |warning: String| warning.split(": ").next().unwrap_or_default().to_owned();
        warnings(&spec).into_iter().map(field).collect()
    }

    #[test]
    fn each_field_without_effect_is_warned_of_and_no_other() {
        let everything = json!({
            "cache": {
                "mode": "Auto", "plugin": "nginx", "capacity": "1Gi", "replicas": 2, "medium": "Memory", "revalidate": "60s",
                "warmup": { "paths": ["a/"] }, "idleAfter": "30m", "priority": 3,
            },
            "scheduling": { "locality": "Prefer" },
        });
        assert_eq!(
            fields(everything),
            [
                "spec.cache.mode",
                "spec.cache.idleAfter",
                "spec.cache.priority",
                "spec.scheduling"
            ]
        );
        let quiet = json!({
            "cache": { "mode": "Always", "capacity": "1Gi", "revalidate": "never" },
            "scheduling": { "locality": "Ignore" },
        });
        assert_eq!(fields(quiet), Vec::<String>::new());
        assert_eq!(fields(json!({})), Vec::<String>::new());
    }
}
