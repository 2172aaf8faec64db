//! The store: what it is made of and how it is reconfigured. Its operations are in the modules
//! beneath; all of them take the `road`.

mod bucket;
mod copy;
mod delete;
mod multipart;
pub(crate) mod read;
mod road;
mod versions;
mod write;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dlf_core::network::AddressRules;
use tokio::sync::Semaphore;

use crate::error::{ErrorKind, StoreError};
use crate::options::ClientOptions;
use crate::origin::{ConfigError, Origin};
use crate::site::Site;
use crate::usage::{Usage, UsageSnapshot};

use road::{Reply, Route};

/// Requests of one store that wait for the head of their answer at the same time. Far more than
/// fill any link; what comes on top waits here and not in sockets.
const REQUESTS_MAX: usize = 256;

/// A client of one dataset's objects; clones share connections, configuration and accounting.
///
/// Origins are ordered: a read asks the first and goes on to the next where one cannot answer; the
/// last is the source, and writes and buckets are its business alone.
///
/// Keys are relative to each origin's prefix and may hold any character but NUL.
///
/// Failures that may pass are retried with growing, jittered pauses until the operation has gone
/// [`ClientOptions::source_timeout`] without progress; so every operation ends.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    shared: Arc<Shared>,
    source_timeout: Duration,
}

#[derive(Debug)]
struct Shared {
    current: RwLock<Current>,
    usage: Usage,
    gate: Semaphore,
}

/// What `reconfigure` and `set_rules` replace.
#[derive(Clone, Debug)]
struct Current {
    sites: Arc<[Arc<Site>]>,
    /// The last of `sites`, of which there is at least one.
    source: Arc<Site>,
    rules: Arc<AddressRules>,
}

impl Current {
    fn new(
        origins: Vec<Origin>,
        rules: Arc<AddressRules>,
        before: &[Arc<Site>],
    ) -> Result<Self, ConfigError> {
        let site = |origin| Site::succeed(origin, before, &rules).map(Arc::new);
        let sites: Arc<[_]> = origins.into_iter().map(site).collect::<Result<_, _>>()?;
        let source = sites.last().cloned().ok_or(ConfigError::NoOrigin)?;
        Ok(Self {
            sites,
            source,
            rules,
        })
    }
}

impl ObjectStore {
    /// A client of `origins`; nothing is dialled yet.
    pub fn new(origins: Vec<Origin>, options: ClientOptions) -> Result<Self, ConfigError> {
        let current = Current::new(origins, Arc::new(options.rules), &[])?;
        let shared = Shared {
            current: RwLock::new(current),
            usage: Usage::default(),
            gate: Semaphore::new(REQUESTS_MAX),
        };
        Ok(Self {
            shared: Arc::new(shared),
            source_timeout: options.source_timeout,
        })
    }

    /// Replaces the origins between two requests: keys, endpoint, CA, order. Requests in flight
    /// finish as they began; their retries are sent to the new origins.
    ///
    /// On an error the old ones stay.
    pub fn reconfigure(&self, origins: Vec<Origin>) -> Result<(), ConfigError> {
        self.update(|before| Current::new(origins, Arc::clone(&before.rules), &before.sites))
    }

    /// Replaces the address rules. Connections made under the old ones are not used again.
    pub fn set_rules(&self, rules: AddressRules) -> Result<(), ConfigError> {
        self.update(|before| {
            if *before.rules == rules {
                return Ok(before.clone());
            }
            let origins = before.sites.iter().map(|site| site.origin.clone());
            Current::new(origins.collect(), Arc::new(rules), &[])
        })
    }

    /// The same store with another [`ClientOptions::source_timeout`]: a probe asks for 10 s.
    #[must_use]
    pub fn with_timeout(&self, source_timeout: Duration) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            source_timeout,
        }
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

    fn current(&self) -> Current {
        self.shared
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// One change after the other: made from an older state, one would undo the other.
    fn update(
        &self,
        change: impl FnOnce(&Current) -> Result<Current, ConfigError>,
    ) -> Result<(), ConfigError> {
        let current = &self.shared.current;
        let mut current = current.write().unwrap_or_else(PoisonError::into_inner);
        *current = change(&current)?;
        Ok(())
    }

    pub(crate) fn source_error(&self, kind: ErrorKind) -> StoreError {
        StoreError::new(kind, &self.current().source.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_made_at_the_same_time_do_not_undo_each_other() {
        let origin = |number: usize| Origin {
            endpoint: "http://s3".parse().unwrap(),
            bucket: format!("bucket-{number}"),
            prefix: String::new(),
            region: String::new(),
            keys: None,
            ca_pem: None,
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
                assert_eq!(store.current().source.origin, origin(number));
            }
        });
    }
}
