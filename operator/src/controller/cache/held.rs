//! Pods that have the address of a cache in their environment, and keep it when the cache is
//! withdrawn: an environment is that of a container's start.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A withdrawn cache goes after this, whoever may still have its address: a service runs for months.
pub(super) const HELD_MAX: Duration = Duration::from_hours(1);
/// A container that starts may be given what its ConfigMap said a moment ago.
const SETTLED: Duration = Duration::from_secs(10);

/// Pods by uid, with their names.
pub(super) type Pods = BTreeMap<String, String>;

/// Caches that were withdrawn and are still there, by name.
///
/// In memory, by a clock that only goes forward: a new leader begins to wait anew.
#[derive(Debug, Default)]
pub struct Withdrawn {
    caches: Mutex<HashMap<String, Withdrawal>>,
}

#[derive(Debug)]
struct Withdrawal {
    since: Instant,
    holders: Pods,
    announced: bool,
    /// It is being deleted: who comes now was told of the source.
    goes: bool,
}

/// What is to become of a withdrawn cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody has its address.
    Goes,
    /// These still have it; with them when it was not said before.
    Stays(Option<Pods>),
    /// These still have it, and have had their time; said once.
    GoesFrom(Pods),
}

impl Withdrawn {
    /// Looks at a withdrawn cache, `told` being the pods that have its dataset's address in their
    /// environment now.
    pub(super) fn look(&self, cache: &str, told: &Pods, now: Instant) -> Verdict {
        let mut caches = self.lock();
        let withdrawal = caches
            .entry(cache.to_owned())
            .or_insert_with(|| Withdrawal {
                since: now,
                holders: Pods::new(),
                announced: false,
                goes: false,
            });
        if withdrawal.goes {
            return Verdict::Goes;
        }
        let waited = now.saturating_duration_since(withdrawal.since);
        if waited < SETTLED {
            withdrawal.holders.clone_from(told);
        } else {
            withdrawal.holders.retain(|pod, _| told.contains_key(pod));
        }
        withdrawal.goes = withdrawal.holders.is_empty() || waited >= HELD_MAX;
        if !withdrawal.goes {
            let is_said = std::mem::replace(&mut withdrawal.announced, true);
            Verdict::Stays((!is_said).then(|| withdrawal.holders.clone()))
        } else if withdrawal.holders.is_empty() {
            Verdict::Goes
        } else {
            Verdict::GoesFrom(std::mem::take(&mut withdrawal.holders))
        }
    }

    /// The cache has gone, or is wanted again.
    pub(super) fn forget(&self, cache: &str) {
        self.lock().remove(cache);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Withdrawal>> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(names: &[&str]) -> Pods {
        let pods = names.iter().map(|name| (format!("uid-{name}"), *name));
        pods.map(|(uid, name)| (uid, name.to_owned())).collect()
    }

    #[test]
    fn a_cache_stays_while_who_was_there_has_its_address() {
        let withdrawn = Withdrawn::default();
        let begin = Instant::now();
        let look = |names: &[&str], after: Duration| {
            withdrawn.look("cache-1", &pods(names), begin + after)
        };
        let first = pods(&["a", "b"]);
        assert_eq!(
            look(&["a", "b"], Duration::ZERO),
            Verdict::Stays(Some(first))
        );
        assert_eq!(look(&["a", "b", "c"], SETTLED / 2), Verdict::Stays(None));
        // Those that come later have been told of the source.
        assert_eq!(look(&["c", "d"], SETTLED), Verdict::Stays(None));
        assert_eq!(look(&["d"], SETTLED * 2), Verdict::Goes);
        withdrawn.forget("cache-1");
        assert!(withdrawn.lock().is_empty());
    }

    #[test]
    fn nobody_keeps_it_for_ever() {
        let withdrawn = Withdrawn::default();
        let begin = Instant::now();
        let told = pods(&["service"]);
        let look = |after| withdrawn.look("cache-1", &told, begin + after);
        assert_eq!(look(Duration::ZERO), Verdict::Stays(Some(told.clone())));
        assert_eq!(look(HELD_MAX / 2), Verdict::Stays(None));
        assert_eq!(look(HELD_MAX), Verdict::GoesFrom(told.clone()));
        assert_eq!(look(HELD_MAX), Verdict::Goes, "which is said once");
        // Wanted again and withdrawn again, its time begins anew.
        withdrawn.forget("cache-1");
        assert_eq!(look(HELD_MAX * 2), Verdict::Stays(Some(told.clone())));
    }

    #[test]
    fn one_that_nobody_was_told_of_goes_at_once() {
        let withdrawn = Withdrawn::default();
        let now = Instant::now();
        let look = |names: &[&str]| withdrawn.look("cache-1", &pods(names), now);
        assert_eq!(look(&[]), Verdict::Goes);
        // Whoever comes while it is being deleted does not stop that half-way.
        assert_eq!(look(&["late"]), Verdict::Goes);
    }
}
