//! The order in which files were closed. "The last close wins" is said of the order of the closes,
//! and the uploads that follow from them may overtake each other.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::key::Key;

/// Keys whose last change is remembered, at about 200 bytes each. An upload that is overtaken by so
/// many changes of other keys is of an empty file that was closed long ago.
const KEYS_MAX: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Closes {
    last: AtomicU64,
    changed: Mutex<Changed>,
}

#[derive(Debug, Default)]
struct Changed {
    tickets: HashMap<Key, u64>,
    /// Oldest first.
    order: VecDeque<(u64, Key)>,
}

impl Closes {
    /// The place of a close, or of another change, in the order of all of them.
    pub(crate) fn ticket(&self) -> u64 {
        self.last.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The source has at `key` what was closed, or changed, with this ticket.
    pub(crate) fn changed(&self, key: &Key, ticket: u64) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.tickets.insert(key.clone(), ticket);
        changed.order.push_back((ticket, key.clone()));
        while changed.order.len() > KEYS_MAX
            && let Some((ticket, key)) = changed.order.pop_front()
        {
            if changed.tickets.get(&key) == Some(&ticket) {
                changed.tickets.remove(&key);
            }
        }
    }

    /// Whether the source has something at `key` that was closed later.
    pub(crate) fn is_overtaken(&self, key: &Key, ticket: u64) -> bool {
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.tickets.get(key).is_some_and(|last| *last > ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::key::Root;

    fn key(key: &str) -> Key {
        Root::new("", None).key(&[key])
    }

    #[test]
    fn a_close_is_overtaken_by_later_ones_of_the_same_key_only() {
        let closes = Closes::default();
        let (first, second) = (closes.ticket(), closes.ticket());
        closes.changed(&key("a"), second);
        assert!(closes.is_overtaken(&key("a"), first) && !closes.is_overtaken(&key("b"), first));
        assert!(!closes.is_overtaken(&key("a"), closes.ticket()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let closes = Closes::default();
        for n in 0..3 * KEYS_MAX {
            let name = if n % 2 == 0 {
                "a".to_owned()
            } else {
                n.to_string()
            };
            closes.changed(&key(&name), closes.ticket());
        }
        let changed = closes.changed.lock().unwrap();
        assert!(changed.order.len() <= KEYS_MAX && changed.tickets.len() <= KEYS_MAX);
        drop(changed);
        assert!(closes.is_overtaken(&key("a"), 1));
    }
}
