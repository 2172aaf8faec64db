//! The store: what it is made of and how it is reconfigured. Its operations are in the modules
//! beneath; all of them go through `dispatch`.

mod bucket;
mod copy;
mod delete;
mod delete_version;
pub(crate) mod dispatch;
mod multipart;
mod proof;
pub(crate) mod read;
mod rotation;
pub(crate) mod table;
mod versions;
mod whole;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlf_core::network::AddressRules;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::error::{ErrorKind, StoreError};
use crate::options::ClientOptions;
use crate::origin::{ConfigError, Location, Origin};
use crate::origin_client::OriginClient;
use crate::retry::Retries;
use crate::usage::{Usage, UsageSnapshot};

use dispatch::{Reply, Route};
use rotation::KeyClock;
use table::{Block, Table};

/// Requests of one store that wait for the head of their answer at the same time. Far more than
/// fill any link; what comes on top waits here and not in sockets.
const REQUESTS_MAX: usize = 256;

/// A client of one dataset's objects; clones share connections, configuration and accounting.
///
/// Origins are ordered, and the last is the source. A read of a known version asks the first, of
/// several shards the one that has these bytes, and goes on to the next where one does not have it;
/// everything else (writes, heads, listings, buckets) is the source's business alone.
///
/// Keys are relative to each origin's prefix, or to another place ([`Self::at`]), and may hold any
/// character but NUL.
///
/// Failures that may pass are retried with growing, jittered pauses until the operation has gone
/// [`ClientOptions::source_timeout`] without progress, and refused keys are waited out for
/// [`ClientOptions::key_grace`]; so every operation ends.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    shared: Arc<Shared>,
    source_timeout: Duration,
    key_grace: Duration,
    /// Where objects are, if not where the origins say.
    location: Option<Arc<Location>>,
    /// When the operation began that all requests of this clone belong to.
    began: Option<Instant>,
}

#[derive(Debug)]
struct Shared {
    current: watch::Sender<Current>,
    usage: Usage,
    gate: Semaphore,
    /// When the source last answered anybody.
    answered: Mutex<Option<Instant>>,
}

/// What `reconfigure` and `set_rules` replace.
#[derive(Clone, Debug)]
struct Current {
    table: Arc<Table>,
    rules: Arc<AddressRules>,
    /// Of the source's keys.
    keys: Arc<KeyClock>,
    /// Of whoever asks.
    location: Option<Arc<Location>>,
}

impl Current {
    fn new(
        origins: Vec<Origin>,
        rules: Arc<AddressRules>,
        before: Option<&Table>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            table: Arc::new(Table::new(origins, &rules, before)?),
            rules,
            keys: Arc::default(),
            location: None,
        })
    }

    /// What is known of the keys stays known while they are the same.
    fn after(mut self, before: &Self) -> Self {
        if self.table.source().origin == before.table.source().origin {
            self.keys = Arc::clone(&before.keys);
        }
        self
    }

    fn source(&self) -> Arc<OriginClient> {
        self.placed(self.table.source())
    }

    /// Who is asked for a block before the source; see [`Table::caches_of`].
    fn caches_of(&self, block: Block<'_>) -> impl Iterator<Item = Arc<OriginClient>> {
        let caches = self.table.caches_of(block, self.location.as_deref());
        caches.map(|cache| self.placed(cache))
    }

    /// The client of an origin, as whoever asks sees it.
    fn placed(&self, client: &Arc<OriginClient>) -> Arc<OriginClient> {
        match &self.location {
            Some(location) => Arc::new(client.at(location)),
            None => Arc::clone(client),
        }
    }
}

impl ObjectStore {
    /// A client of `origins`; nothing is dialled yet.
    pub fn new(origins: Vec<Origin>, options: ClientOptions) -> Result<Self, ConfigError> {
        let current = Current::new(origins, Arc::new(options.rules), None)?;
        let shared = Shared {
            current: watch::Sender::new(current),
            usage: Usage::default(),
            gate: Semaphore::new(REQUESTS_MAX),
            answered: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            source_timeout: options.source_timeout,
            key_grace: options.key_grace,
            location: None,
            began: None,
        })
    }

    /// Replaces the origins between two requests: keys, endpoint, CA, order. Requests in flight
    /// finish as they began; their retries are sent to the new origins, and so are those that wait
    /// because the old keys were refused.
    ///
    /// On an error the old ones stay.
    pub fn reconfigure(&self, origins: Vec<Origin>) -> Result<(), ConfigError> {
        self.update(|before| Current::new(origins, Arc::clone(&before.rules), Some(&before.table)))
    }

    /// Replaces the address rules. Connections made under the old ones are not used again.
    pub fn set_rules(&self, rules: AddressRules) -> Result<(), ConfigError> {
        self.update(|before| {
            if *before.rules == rules {
                return Ok(before.clone());
            }
            Current::new(before.table.origins(), Arc::new(rules), None)
        })
    }

    /// The same store with another [`ClientOptions::source_timeout`]: a probe asks for 10 s.
    #[must_use]
    pub fn with_timeout(&self, source_timeout: Duration) -> Self {
        Self {
            source_timeout,
            ..self.clone()
        }
    }

    /// The same store at another place of all its origins: with their servers and keys, connections,
    /// accounting and limits. `None`: where the origins say.
    #[must_use]
    pub fn at(&self, location: Option<&Arc<Location>>) -> Self {
        Self {
            location: location.cloned(),
            ..self.clone()
        }
    }

    /// The same store for the requests of one operation that begins now: a source that answers nobody
    /// is waited for once, however many requests the operation makes and whatever it waited for before.
    #[must_use]
    pub fn of_one_operation(&self) -> Self {
        Self {
            began: Some(Instant::now()),
            ..self.clone()
        }
    }

    /// Whether the source has answered nobody for so long.
    #[must_use]
    pub fn is_silent(&self, time: Duration) -> bool {
        self.answered().is_none_or(|at| at.elapsed() >= time)
    }

    /// What this store and its clones have done.
    #[must_use]
    pub fn usage(&self) -> UsageSnapshot {
        self.shared.usage.snapshot()
    }

    pub(crate) fn counters(&self) -> &Usage {
        &self.shared.usage
    }

    pub(crate) fn source_timeout(&self) -> Duration {
        self.source_timeout
    }

    /// For a request that begins now.
    fn retries(&self) -> Retries {
        let answered = *self.answered();
        let since = self
            .began
            .map(|began| answered.map_or(began, |at| at.max(began)));
        Retries::since(since.unwrap_or_else(Instant::now), self.source_timeout)
    }

    fn answered(&self) -> MutexGuard<'_, Option<Instant>> {
        let answered = self.shared.answered.lock();
        answered.unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Current {
        let current = self.shared.current.borrow().clone();
        Current {
            location: self.location.clone(),
            ..current
        }
    }

    /// One change after the other: made from an older state, one would undo the other.
    fn update(
        &self,
        change: impl FnOnce(&Current) -> Result<Current, ConfigError>,
    ) -> Result<(), ConfigError> {
        let mut outcome = Ok(());
        self.shared
            .current
            .send_if_modified(|current| match change(current) {
                Ok(changed) => {
                    *current = changed.after(current);
                    true
                }
                Err(error) => {
                    outcome = Err(error);
                    false
                }
            });
        outcome
    }

    pub(crate) fn source_error(&self, kind: ErrorKind) -> StoreError {
        StoreError::new(kind, &self.current().source().place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shards;

    fn source() -> Origin {
        Origin {
            endpoint: "http://s3".parse().unwrap(),
            bucket: "bucket".to_owned(),
            prefix: String::new(),
            region: String::new(),
            keys: None,
            ca_pem: None,
            shards: None,
        }
    }

    #[test]
    fn changes_made_at_the_same_time_do_not_undo_each_other() {
        let origin = |number: usize| Origin {
            bucket: format!("bucket-{number}"),
            ..source()
        };
        let rules = |number: usize| AddressRules {
            deny: vec![format!("10.0.0.{number}/32").parse().unwrap()],
            ..AddressRules::default()
        };
        let store = ObjectStore::new(vec![origin(0)], ClientOptions::default()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..200 {
                    store.set_rules(rules(number)).unwrap();
                    assert_eq!(*store.current().rules, rules(number));
                }
            });
            for number in 0..200 {
                store.reconfigure(vec![origin(number)]).unwrap();
                assert_eq!(store.current().source().origin, origin(number));
            }
        });
    }

    #[test]
    fn only_what_stands_before_the_source_has_shards() {
        let plain = source();
        let sharded = Origin {
            shards: Some(Shards::new(vec!["http://shard".to_owned()], 0).unwrap()),
            ..plain.clone()
        };
        let store = |origins| ObjectStore::new(origins, ClientOptions::default());
        assert!(store(vec![sharded.clone(), plain.clone()]).is_ok());
        let refused = store(vec![plain, sharded]).unwrap_err();
        assert_eq!(refused, ConfigError::ShardedSource);
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_waits_once_for_a_source_that_answers_nobody() {
        let store = ObjectStore::new(vec![source()], ClientOptions::default()).unwrap();
        let limit = store.source_timeout();
        let operation = store.of_one_operation();
        tokio::time::sleep(limit / 3).await;
        assert_eq!(operation.retries().remaining(), limit * 2 / 3);
        assert_eq!(store.retries().remaining(), limit);
        assert!(store.is_silent(limit / 3));
        *store.answered() = Some(Instant::now());
        assert!(!store.is_silent(limit / 3));
        tokio::time::sleep(limit / 3).await;
        assert!(store.is_silent(limit / 3));
        assert_eq!(operation.retries().remaining(), limit * 2 / 3);
        tokio::time::sleep(limit).await;
        assert_eq!(operation.retries().remaining(), Duration::ZERO);
        let later = store.of_one_operation();
        assert_eq!(later.retries().remaining(), limit);
    }
}
