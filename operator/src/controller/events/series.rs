use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::Instant;

/// An event that comes again within this is one of a series.
const SERIES: Duration = Duration::from_mins(6);
/// Events that may come again; the oldest is forgotten for one more. 200 bytes each.
const KNOWN_MAX: usize = 4096;

/// What makes two events the same: the API server lets nothing but the series of one change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    uid: String,
    /// Hash of reason and note, which may be long.
    said: u64,
}

impl Key {
    pub(super) fn of(about: &ObjectReference, reason: &str, note: &str) -> Self {
        let mut said = DefaultHasher::new();
        (reason, note).hash(&mut said);
        Self {
            uid: about.uid.clone().unwrap_or_default(),
            said: said.finish(),
        }
    }
}

/// Events that were written and may come again.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    series: HashMap<Key, Series>,
    /// In the order in which they were first written.
    order: VecDeque<(Key, Instant)>,
}

#[derive(Debug)]
struct Series {
    name: String,
    count: i32,
    began: Instant,
}

impl Known {
    /// An event that comes now: name and count of its series, when it is of one.
    pub(super) fn again(&self, key: &Key) -> Option<(String, i32)> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.forget(Instant::now());
        let series = inner.series.get_mut(key)?;
        series.count = series.count.saturating_add(1);
        Some((series.name.clone(), series.count))
    }

    /// One was written under this name.
    pub(super) fn first(&self, key: Key, name: String) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        inner.order.push_back((key.clone(), began));
        let series = Series {
            name,
            count: 1,
            began,
        };
        inner.series.insert(key, series);
        inner.forget(began);
    }
}

impl Inner {
    /// Forgets what is too old, and the oldest beyond what is kept.
    fn forget(&mut self, now: Instant) {
        while let Some((_, began)) = self.order.front() {
            if now.duration_since(*began) < SERIES && self.order.len() <= KNOWN_MAX {
                return;
            }
            let Some((key, began)) = self.order.pop_front() else {
                return;
            };
            // One of that key may have begun anew since.
            if self
                .series
                .get(&key)
                .is_some_and(|series| series.began == began)
            {
                self.series.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uid: usize) -> Key {
        of(uid, "it failed")
    }

    fn of(uid: usize, note: &str) -> Key {
        let about = ObjectReference {
            uid: Some(uid.to_string()),
            ..ObjectReference::default()
        };
        Key::of(&about, "Failed", note)
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_comes_again_soon_is_counted_and_later_is_another() {
        let known = Known::default();
        assert_eq!(known.again(&key(1)), None);
        known.first(key(1), "a".to_owned());
        assert_eq!(known.again(&key(1)), Some(("a".to_owned(), 2)));
        assert_eq!(known.again(&key(1)), Some(("a".to_owned(), 3)));
        assert_eq!(known.again(&key(2)), None);
        assert_eq!(known.again(&of(1, "it failed otherwise")), None);
        tokio::time::advance(SERIES).await;
        assert_eq!(known.again(&key(1)), None);
        known.first(key(1), "b".to_owned());
        assert_eq!(known.again(&key(1)), Some(("b".to_owned(), 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_bounded_and_the_newest_is_kept() {
        let known = Known::default();
        for uid in 0..=KNOWN_MAX {
            known.first(key(uid), uid.to_string());
        }
        assert_eq!(known.again(&key(0)), None);
        assert!(known.again(&key(KNOWN_MAX)).is_some());
        let inner = known.0.lock().unwrap();
        assert_eq!(inner.series.len(), KNOWN_MAX);
        assert_eq!(inner.order.len(), KNOWN_MAX);
    }
}
