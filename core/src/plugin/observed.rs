//! What a caching plugin is shown of its cache.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CacheTask, PlanError};

/// Version of [`CacheStats`] that this build writes and reads.
pub const CACHE_STATS: u32 = 1;

/// What became of what a plugin planned before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Observed {
    /// Objects of this cache, of the kinds that the plugin observes, as the API server shows them.
    pub objects: Vec<Value>,
    /// What its status endpoints answered last, in their order; one that was not asked yet is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<EndpointStatus>,
    /// How far its tasks are, in their order; one that was not begun yet is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<TaskResult>,
}

/// What one status endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// As it stands in the plan.
    pub endpoint: String,
    /// What it answered; none: nothing, or nothing that is a [`CacheStats`].
    pub stats: Option<CacheStats>,
    /// Why there is no answer; `""` where there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure: String,
}

/// What a replica says of itself, as JSON. Later versions add fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct CacheStats {
    /// Of this document: [`CACHE_STATS`].
    pub version: u32,
    /// Bytes that it keeps.
    pub used_bytes: u64,
    /// Bytes that it sent and had, since it started.
    pub hit_bytes: u64,
    /// Bytes that it sent and had to fetch, since it started.
    pub miss_bytes: u64,
    /// Name of the node that it runs on; `""`: it does not say.
    pub node: String,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TaskResult {
    /// As it stands in the plan.
    pub task: CacheTask,
    /// Objects that are done.
    pub objects: u64,
    /// Bytes that are done.
    pub bytes: u64,
    /// How it ended; none: it waits, or goes on.
    pub outcome: Option<TaskOutcome>,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum TaskOutcome {
    /// All of it was done.
    Done,
    /// It could not be done; it is tried again after a while.
    Failed(PlanError),
}

impl Observed {
    /// Bytes that all replicas together keep; none unless all that were asked have answered.
    #[must_use]
    pub fn used_bytes(&self) -> Option<u64> {
        self.sum(|stats| stats.used_bytes)
    }

    /// Of the bytes that all replicas together sent, how many they had, in percent; none while they sent
    /// nothing, or unless all that were asked have answered.
    #[must_use]
    pub fn hit_percent(&self) -> Option<u8> {
        let hits = u128::from(self.sum(|stats| stats.hit_bytes)?);
        let all = hits + u128::from(self.sum(|stats| stats.miss_bytes)?);
        let percent = (hits * 100).checked_div(all)?;
        u8::try_from(percent).ok()
    }

    /// Nodes that hold some of the data, as the replicas say, those with most of it first.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        let mut held = std::collections::BTreeMap::<&str, u64>::new();
        for stats in self.status.iter().filter_map(|one| one.stats.as_ref()) {
            if !stats.node.is_empty() && stats.used_bytes > 0 {
                *held.entry(&stats.node).or_default() += stats.used_bytes;
            }
        }
        let mut nodes: Vec<_> = held.into_iter().collect();
        nodes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        nodes.into_iter().map(|(node, _)| node.to_owned()).collect()
    }

    fn sum(&self, of: impl Fn(&CacheStats) -> u64) -> Option<u64> {
        if self.status.is_empty() {
            return None;
        }
        let mut answers = self.status.iter().map(|one| one.stats.as_ref());
        answers.try_fold(0_u64, |sum, stats| Some(sum.saturating_add(of(stats?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(node: &str, used_bytes: u64, hit_bytes: u64, miss_bytes: u64) -> EndpointStatus {
        EndpointStatus {
            endpoint: format!("http://{node}"),
            stats: Some(CacheStats {
                version: CACHE_STATS,
                used_bytes,
                hit_bytes,
                miss_bytes,
                node: node.to_owned(),
            }),
            failure: String::new(),
        }
    }

    fn silent() -> EndpointStatus {
        EndpointStatus {
            endpoint: "http://silent".to_owned(),
            stats: None,
            failure: "connection refused".to_owned(),
        }
    }

    fn observed(status: Vec<EndpointStatus>) -> Observed {
        Observed {
            status,
            ..Observed::default()
        }
    }

    #[test]
    fn replicas_are_added_up() {
        let two = observed(vec![replica("n1", 10, 30, 10), replica("n2", 20, 45, 15)]);
        assert_eq!((two.used_bytes(), two.hit_percent()), (Some(30), Some(75)));
        assert_eq!(two.nodes(), ["n2", "n1"]);
    }

    #[test]
    fn nothing_is_said_of_all_while_one_of_them_is_silent() {
        let one = observed(vec![replica("n1", 10, 30, 10), silent()]);
        assert_eq!((one.used_bytes(), one.hit_percent()), (None, None));
        assert_eq!(one.nodes(), ["n1"]);
        assert_eq!(observed(Vec::new()).used_bytes(), None);
    }

    #[test]
    fn a_cache_that_sent_nothing_has_no_hit_ratio() {
        let idle = observed(vec![replica("n1", 0, 0, 0)]);
        assert_eq!((idle.used_bytes(), idle.hit_percent()), (Some(0), None));
        assert!(idle.nodes().is_empty());
        let largest = observed(vec![replica("n1", u64::MAX, u64::MAX, 0)]);
        assert_eq!(largest.hit_percent(), Some(100));
    }
}
