//! Who may still read through a withdrawn cache: pods that have its address in their environment, which
//! is that of a container's start, and nodes that have not told that they read elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A withdrawn cache goes after this, whoever may still have its address: a service runs for months,
/// and a node may have gone for good.
pub(super) const HELD_MAX: Duration = Duration::from_hours(1);
/// A container that starts may be given what its ConfigMap said a moment ago, and a node follows within
/// seconds: it is named only if it does not.
const SETTLED: Duration = Duration::from_secs(10);
/// Pods, and nodes, that an event names; the number of the others stands behind.
const NAMED_MAX: usize = 5;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holders {
    /// By uid, with their names.
    pub(super) pods: BTreeMap<String, String>,
    pub(super) nodes: BTreeSet<Arc<str>>,
}

impl Holders {
    fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.nodes.is_empty()
    }

    /// Leaves out those that are not among `present`.
    fn retain(&mut self, present: &Self) {
        self.pods.retain(|pod, _| present.pods.contains_key(pod));
        self.nodes.retain(|node| present.nodes.contains(node));
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pods = named(self.pods.values().map(String::as_str));
        let nodes = named(self.nodes.iter().map(AsRef::as_ref));
        let between = if pods.is_empty() || nodes.is_empty() {
            ""
        } else {
            "; "
        };
        f.write_str(&pods)?;
        if nodes.is_empty() {
            return Ok(());
        }
        let what = "nodes whose driver has not told that it reads elsewhere: ";
        write!(f, "{between}{what}{nodes}")
    }
}

fn named<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let names: Vec<&str> = names.take(NAMED_MAX).collect();
    let names = names.join(", ");
    match more {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

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
    holders: Holders,
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
    Stays(Option<Holders>),
    /// These still have it, and have had their time; said once.
    GoesFrom(Holders),
}

impl Withdrawn {
    /// Looks at a withdrawn cache, `present` being who may have its dataset's address now.
    pub(super) fn look(&self, cache: &str, present: &Holders, now: Instant) -> Verdict {
        let mut caches = self.lock();
        let withdrawal = caches
            .entry(cache.to_owned())
            .or_insert_with(|| Withdrawal {
                since: now,
                holders: Holders::default(),
                announced: false,
                goes: false,
            });
        if withdrawal.goes {
            return Verdict::Goes;
        }
        let waited = now.saturating_duration_since(withdrawal.since);
        if waited < SETTLED {
            withdrawal.holders.clone_from(present);
        } else {
            withdrawal.holders.retain(present);
        }
        withdrawal.goes = withdrawal.holders.is_empty() || waited >= HELD_MAX;
        if withdrawal.goes {
            return match std::mem::take(&mut withdrawal.holders) {
                nobody if nobody.is_empty() => Verdict::Goes,
                holders => Verdict::GoesFrom(holders),
            };
        }
        if withdrawal.announced || (withdrawal.holders.pods.is_empty() && waited < SETTLED) {
            return Verdict::Stays(None);
        }
        withdrawal.announced = true;
        Verdict::Stays(Some(withdrawal.holders.clone()))
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

    fn pods(names: &[&str]) -> Holders {
        let pods = names.iter().map(|name| (format!("uid-{name}"), *name));
        Holders {
            pods: pods.map(|(uid, name)| (uid, name.to_owned())).collect(),
            nodes: BTreeSet::new(),
        }
    }

    fn nodes(names: &[&str]) -> Holders {
        Holders {
            nodes: names.iter().map(|name| (*name).into()).collect(),
            ..Holders::default()
        }
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

    #[test]
    fn a_node_that_follows_is_not_named_and_one_that_is_dead_holds_it_for_an_hour() {
        let withdrawn = Withdrawn::default();
        let begin = Instant::now();
        let look = |names: &[&str], after| withdrawn.look("cache-1", &nodes(names), begin + after);
        assert_eq!(look(&["n1", "n2"], Duration::ZERO), Verdict::Stays(None));
        let dead = nodes(&["n2"]);
        assert_eq!(look(&["n2"], SETTLED), Verdict::Stays(Some(dead.clone())));
        // One that is behind with what came later reads through nothing that was withdrawn.
        assert_eq!(look(&["n1", "n2"], SETTLED * 2), Verdict::Stays(None));
        assert_eq!(look(&["n1", "n2"], HELD_MAX), Verdict::GoesFrom(dead));
    }

    #[test]
    fn some_of_many_holders_are_named() {
        assert_eq!(pods(&["a", "b"]).to_string(), "a, b");
        let many = pods(&["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
        assert_eq!(many.to_string(), "0, 1, 2, 3, 4 and 4 more");
        let both = Holders {
            nodes: nodes(&["n1"]).nodes,
            ..pods(&["a"])
        };
        let text = both.to_string();
        assert!(
            text.starts_with("a; nodes") && text.ends_with(": n1"),
            "{text}"
        );
    }
}
