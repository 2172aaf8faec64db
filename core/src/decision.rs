//! Whether a dataset is to have a cache, and how large: what its spec asks for.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{
    api::{CacheMode, DatasetSpec, Medium, WarmupOn, duration_ms, quantity_bytes},
    plugin::{CacheDecision, Warm},
    source::SourceType,
};

/// Capacity of a cache whose Dataset does not say.
const DEFAULT_CAPACITY: u64 = 10 << 30;
/// How stale a read may be when the Dataset does not say.
const DEFAULT_REVALIDATE_MS: u64 = 60_000;
/// Shards of a cache of one dataset; more would be a mistake in a spec.
pub const REPLICAS_MAX: u32 = 64;

/// Why there is a cache where the spec asks for one.
const ALWAYS: &str = "spec.cache.mode is Always";

/// What was decided about a dataset's cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is to be none.
    None(Reason),
    /// There is to be one, planned by the plugin of this name, if the spec says one.
    Deploy {
        /// The plugin that the Dataset asks for.
        plugin: Option<String>,
        /// How large.
        cache: CacheDecision,
    },
}

/// Why there is no cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody asked for one, and its mode deploys none by itself.
    NotAsked,
    /// `mode: Off`, or the label `cache.disable`.
    Off,
    /// `mode: Advise` deploys nothing.
    Advised,
    /// Sources of this type are not cached, and the Dataset asks for a cache.
    NotApplicable,
}

/// What in a spec cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("spec.cache.{key}: found {found:?}; expected {expected}")]
pub struct SpecError {
    /// The key below `spec.cache`.
    pub key: &'static str,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub expected: &'static str,
}

/// What the spec of a dataset asks for; `was_used`: a pod has used it since it was made.
///
/// # Errors
/// The value of `spec.cache` that cannot be read.
pub fn of_spec(
    spec: &DatasetSpec,
    labels: &BTreeMap<String, String>,
    kind: SourceType,
    default: CacheMode,
    was_used: bool,
) -> Result<Decision, SpecError> {
    let asked = spec.cache(labels);
    let mode = asked.as_ref().and_then(|asked| asked.mode);
    if kind != SourceType::Cos {
        // Who only switches caches off asks for none.
        let asks = spec.cache.is_some() || asked.is_some() && mode != Some(CacheMode::Off);
        let reason = if asks {
            Reason::NotApplicable
        } else {
            Reason::NotAsked
        };
        return Ok(Decision::None(reason));
    }
    match mode.unwrap_or(default) {
        CacheMode::Off => Ok(Decision::None(Reason::Off)),
        CacheMode::Advise => Ok(Decision::None(Reason::Advised)),
        CacheMode::Auto => Ok(Decision::None(Reason::NotAsked)),
        CacheMode::Always => Ok(Decision::Deploy {
            cache: cache_of(spec, was_used)?,
            plugin: asked.and_then(|asked| asked.plugin),
        }),
    }
}

/// The cache that a dataset has when it has one.
///
/// # Errors
/// As of [`of_spec`].
pub fn cache_of(spec: &DatasetSpec, was_used: bool) -> Result<CacheDecision, SpecError> {
    let asked = spec.cache.clone().unwrap_or_default();
    let capacity_bytes = match asked.capacity.as_deref() {
        None => DEFAULT_CAPACITY,
        Some(text) => quantity_bytes(text).ok_or_else(|| SpecError {
            key: "capacity",
            found: text.to_owned(),
            expected: "a quantity above zero, as 50Gi",
        })?,
    };
    let replicas = asked.replicas.unwrap_or(1);
    if !(1..=REPLICAS_MAX).contains(&replicas) {
        return Err(SpecError {
            key: "replicas",
            found: replicas.to_string(),
            expected: "a number from 1 to 64",
        });
    }
    Ok(CacheDecision {
        capacity_bytes,
        replicas,
        medium: asked.medium.unwrap_or(Medium::Disk),
        revalidate_ms: revalidate_ms(spec)?,
        warm: warm(spec, was_used),
        why: ALWAYS.to_owned(),
    })
}

/// What is to be read into the cache ahead.
fn warm(spec: &DatasetSpec, was_used: bool) -> Option<Warm> {
    let asked = spec.cache.as_ref()?.warmup.as_ref()?;
    let now = match asked.when.or(asked.on).unwrap_or(WarmupOn::Create) {
        WarmupOn::Create => true,
        WarmupOn::FirstUse => was_used,
        WarmupOn::None => false,
    };
    now.then(|| Warm {
        paths: asked.paths.clone(),
    })
}

/// How stale a read of the dataset may be, in milliseconds; none: its first answer is trusted.
///
/// # Errors
/// When `spec.cache.revalidate` cannot be read.
pub fn revalidate_ms(spec: &DatasetSpec) -> Result<Option<u64>, SpecError> {
    let asked = spec.cache.as_ref();
    match asked.and_then(|cache| cache.revalidate.as_deref()) {
        None => Ok(Some(DEFAULT_REVALIDATE_MS)),
        Some("never") => Ok(None),
        Some(text) => duration_ms(text).map(Some).ok_or_else(|| SpecError {
            key: "revalidate",
            found: text.to_owned(),
            expected: "a duration as 60s, 0s, or never",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CacheSpec, Warmup};

    fn decide(kind: SourceType, cache: Option<CacheSpec>, label: &str) -> Decision {
        let spec = DatasetSpec {
            cache,
            ..DatasetSpec::default()
        };
        let labels = label.split_once('=').into_iter();
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        of_spec(&spec, &labels.collect(), kind, CacheMode::Auto, false).unwrap()
    }

    fn mode(mode: CacheMode) -> CacheSpec {
        CacheSpec {
            mode: Some(mode),
            ..CacheSpec::default()
        }
    }

    #[test]
    fn a_cache_is_deployed_where_it_is_always_wanted() {
        let always = decide(
            SourceType::Cos,
            Some(mode(CacheMode::Always)),
            "cache.plugin=acme",
        );
        let Decision::Deploy { plugin, cache } = always else {
            panic!("{always:?}");
        };
        assert_eq!(plugin.as_deref(), Some("acme"));
        assert_eq!((cache.capacity_bytes, cache.replicas), (10 << 30, 1));
        for (cache, label, reason) in [
            (None, "", Reason::NotAsked),
            (Some(mode(CacheMode::Auto)), "", Reason::NotAsked),
            (Some(mode(CacheMode::Advise)), "", Reason::Advised),
            (Some(mode(CacheMode::Off)), "", Reason::Off),
            (None, "cache.disable=true", Reason::Off),
        ] {
            let decided = decide(SourceType::Cos, cache, label);
            assert_eq!(decided, Decision::None(reason), "{label}");
        }
    }

    #[test]
    fn a_cache_is_warmed_when_it_is_made_or_first_used() {
        let warmed = |when: Option<WarmupOn>, was_used: bool| {
            let cache = CacheSpec {
                warmup: Some(Warmup {
                    when,
                    on: Some(WarmupOn::None).filter(|_| when.is_some()),
                    paths: vec!["train/".to_owned()],
                }),
                ..mode(CacheMode::Always)
            };
            let spec = DatasetSpec {
                cache: Some(cache),
                ..DatasetSpec::default()
            };
            cache_of(&spec, was_used).unwrap().warm.is_some()
        };
        assert!(warmed(None, false) && warmed(Some(WarmupOn::Create), false));
        assert!(!warmed(Some(WarmupOn::FirstUse), false) && warmed(Some(WarmupOn::FirstUse), true));
        assert!(!warmed(Some(WarmupOn::None), true));
        assert_eq!(cache_of(&DatasetSpec::default(), true).unwrap().warm, None);
    }

    #[test]
    fn who_asks_for_a_cache_where_none_applies_is_told() {
        let told = Decision::None(Reason::NotApplicable);
        let quiet = Decision::None(Reason::NotAsked);
        let block = Some(CacheSpec::default());
        assert_eq!(decide(SourceType::Host, block, ""), told);
        assert_eq!(decide(SourceType::Nfs, None, "cache.plugin=disk"), told);
        assert_eq!(decide(SourceType::Nfs, None, "cache.disable=true"), quiet);
        assert_eq!(decide(SourceType::Nfs, None, ""), quiet);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = |cache: CacheSpec| {
            let spec = DatasetSpec {
                cache: Some(CacheSpec {
                    mode: Some(CacheMode::Always),
                    ..cache
                }),
                ..DatasetSpec::default()
            };
            of_spec(
                &spec,
                &BTreeMap::new(),
                SourceType::Cos,
                CacheMode::Auto,
                false,
            )
            .unwrap_err()
            .to_string()
        };
        let capacity = error(CacheSpec {
            capacity: Some("lots".to_owned()),
            ..CacheSpec::default()
        });
        assert!(
            capacity.contains("spec.cache.capacity: found \"lots\""),
            "{capacity}"
        );
        let replicas = error(CacheSpec {
            replicas: Some(0),
            ..CacheSpec::default()
        });
        assert!(replicas.contains("spec.cache.replicas"), "{replicas}");
        let revalidate = error(CacheSpec {
            revalidate: Some("1d".to_owned()),
            ..CacheSpec::default()
        });
        assert!(revalidate.contains("never"), "{revalidate}");
    }
}
