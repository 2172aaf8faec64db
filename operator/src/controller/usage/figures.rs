//! How a dataset is used, as far as its status says: figures are live in metrics and as good as
//! this in the status, which costs the API server a write.

use std::time::Duration;

use dlf_core::{
    api::{DatasetStatus, UsageStatus},
    condition::Finding,
};
use k8s_openapi::jiff::Timestamp;

use crate::nodes::registry::Counters;

/// Between two writes of figures: an idle cluster costs no writes, a busy one few.
pub(super) const FIGURES_INTERVAL: Duration = Duration::from_mins(10);
/// Consumers that come or go one after the other, as the replicas of a Deployment do, are written
/// together; the first that comes and the last that goes at once.
const SETTLE: Duration = Duration::from_secs(15);

/// What is seen of a dataset's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Pods that use it.
    pub(super) consumers: usize,
    /// Nodes on which a pod has it mounted.
    pub(super) nodes: usize,
    /// What was done since the Dataset was made.
    pub(super) done: Counters,
    /// Who uses it.
    pub(super) in_use: Finding,
}

/// When the status is to be written because of its usage alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// At once.
    Now,
    /// Then, if nothing else has it written before.
    In(Duration),
    /// It says what there is to say.
    Never,
}

/// What the status should say of usage.
pub(super) fn fresh(before: Option<&UsageStatus>, seen: &Seen, now: Timestamp) -> UsageStatus {
    let last = before.cloned().unwrap_or_default();
    let was_used = last.consumers > 0 || last.nodes > 0;
    let is_used = seen.consumers > 0 || seen.nodes > 0;
    let moved =
        seen.done.bytes_read > last.bytes_read || seen.done.bytes_written > last.bytes_written;
    let last_used_time = if was_used || is_used || moved {
        Timestamp::from_second(now.as_second())
            .ok()
            .map(|now| now.to_string())
    } else {
        last.last_used_time
    };
    UsageStatus {
        consumers: u32::try_from(seen.consumers).unwrap_or(u32::MAX),
        nodes: u32::try_from(seen.nodes).unwrap_or(u32::MAX),
        last_used_time,
        bytes_read: seen.done.bytes_read.max(last.bytes_read),
        bytes_read_from_cache: seen.done.cached_bytes_read.max(last.bytes_read_from_cache),
        bytes_written: seen.done.bytes_written.max(last.bytes_written),
    }
}

/// When a change of usage is to be written, `ago` after it was last written, or after this operator
/// first looked: nodes need a moment to find a new leader and say again what they have mounted. What was
/// never used needs no figures, and that time passes while a pod sleeps on its mount is no change.
pub(super) fn due(
    before: &DatasetStatus,
    generation: Option<i64>,
    seen: &Seen,
    ago: Duration,
) -> Due {
    let (Some(last), Some(condition)) = (&before.usage, before.conditions.first()) else {
        let was_used = seen.consumers > 0 || seen.nodes > 0 || seen.done != Counters::default();
        return if was_used { Due::Now } else { Due::Never };
    };
    let is_of_this_spec = condition.observed_generation == generation;
    if !is_of_this_spec || (last.consumers == 0) != (seen.consumers == 0) {
        return Due::Now;
    }
    let same_users = condition.message == seen.in_use.message;
    let consumers = usize::try_from(last.consumers).unwrap_or(usize::MAX);
    let nodes = usize::try_from(last.nodes).unwrap_or(usize::MAX);
    let interval = if !same_users || consumers != seen.consumers || nodes != seen.nodes {
        SETTLE
    } else if last.bytes_read < seen.done.bytes_read || last.bytes_written < seen.done.bytes_written
    {
        FIGURES_INTERVAL
    } else {
        return Due::Never;
    };
    match interval.saturating_sub(ago) {
        Duration::ZERO => Due::Now,
        rest => Due::In(rest),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dlf_core::condition::merge;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::controller::usage::in_use;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn seen(pods: &[&str], nodes: usize, bytes_read: u64) -> Seen {
        let users: BTreeSet<String> = pods.iter().map(|pod| (*pod).to_owned()).collect();
        Seen {
            consumers: users.len(),
            nodes,
            done: Counters {
                bytes_read,
                ..Counters::default()
            },
            in_use: in_use(&users),
        }
    }

    fn written(seen: &Seen) -> DatasetStatus {
        DatasetStatus {
            usage: Some(fresh(None, seen, at(0))),
            conditions: merge(&[], std::slice::from_ref(&seen.in_use), 1, &Time(at(0))),
            ..DatasetStatus::default()
        }
    }

    /// When it is due, some time after `before` was written.
    fn due_after(before: &Seen, now: &Seen, ago: u64) -> Due {
        due(&written(before), Some(1), now, Duration::from_secs(ago))
    }

    #[test]
    fn the_first_consumer_and_the_last_are_written_at_once() {
        let (none, one) = (seen(&[], 0, 0), seen(&["a"], 0, 0));
        assert_eq!(due_after(&none, &one, 0), Due::Now);
        assert_eq!(due_after(&one, &none, 0), Due::Now);
    }

    #[test]
    fn what_was_never_used_costs_no_write() {
        let never = |seen: &Seen| due(&DatasetStatus::default(), Some(1), seen, Duration::ZERO);
        assert_eq!(never(&seen(&[], 0, 0)), Due::Never);
        for used in [seen(&["a"], 0, 0), seen(&[], 1, 0), seen(&[], 0, 1)] {
            assert_eq!(never(&used), Due::Now);
        }
    }

    #[test]
    fn an_edit_of_what_is_used_is_followed() {
        let one = seen(&["a"], 1, 0);
        let due = |generation| due(&written(&one), Some(generation), &one, Duration::ZERO);
        assert_eq!((due(1), due(2)), (Due::Never, Due::Now));
    }

    #[test]
    fn others_that_come_and_go_are_written_together() {
        let one = seen(&["a"], 1, 0);
        for now in [
            seen(&["a", "b"], 1, 0),
            seen(&["a"], 2, 0),
            seen(&["b"], 1, 0),
        ] {
            let rest = Duration::from_secs(5);
            assert_eq!(due_after(&one, &now, 10), Due::In(rest), "{now:?}");
            assert_eq!(due_after(&one, &now, 15), Due::Now, "{now:?}");
        }
    }

    #[test]
    fn bytes_are_written_every_ten_minutes_and_time_alone_never() {
        let before = seen(&["a"], 1, 100);
        let more = seen(&["a"], 1, 101);
        let rest = Duration::from_secs(1);
        assert_eq!(due_after(&before, &more, 599), Due::In(rest));
        assert_eq!(due_after(&before, &more, 600), Due::Now);
        assert_eq!(due_after(&before, &before, 6000), Due::Never);
    }

    #[test]
    fn last_used_is_when_it_was_last_mounted_or_moved_bytes() {
        let time = |before: Option<&UsageStatus>, now: &Seen, second| {
            let usage = fresh(before, now, at(second));
            (usage.last_used_time.clone(), usage)
        };
        let (never, unused) = time(None, &seen(&[], 0, 0), 0);
        assert_eq!(never, None);
        let (first, used) = time(Some(&unused), &seen(&["a"], 1, 5), 1);
        assert_eq!(first, Some(at(1).to_string()));
        let (gone, left) = time(Some(&used), &seen(&[], 0, 5), 2);
        assert_eq!(gone, Some(at(2).to_string()), "it was used until now");
        assert_eq!(time(Some(&left), &seen(&[], 0, 5), 3).0, gone);
        let (late, _) = time(Some(&left), &seen(&[], 0, 6), 4);
        assert_eq!(late, Some(at(4).to_string()), "its last figures came later");
    }

    #[test]
    fn figures_never_fall() {
        let before = fresh(None, &seen(&[], 0, 500), at(0));
        assert_eq!(
            fresh(Some(&before), &seen(&[], 0, 20), at(1)).bytes_read,
            500
        );
    }
}
