use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dlf_wire::dataset::v1::{DatasetConfig, NetworkRules};
use dlf_wire::nodes::v1::{Failure, Held, MounterState, Report};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::registry::{
    Handle, Lookup, NodeName, NotServing, Peer, Refused, Registry, UnreportedLoss,
};
use crate::waker::Changes;

/// The registry, shared: who changes it wakes the streams and the controllers that this concerns.
///
/// The lock is held for look-ups and insertions only, never across an await.
#[derive(Debug)]
pub struct Hub {
    inner: Mutex<Inner>,
    changes: Changes,
}

#[derive(Debug, Default)]
struct Inner {
    registry: Registry,
    /// One per node that ever had a stream; a bump means "there is something for you".
    wakers: HashMap<NodeName, watch::Sender<()>>,
    /// One per dataset that somebody waits for; a bump means "look again".
    waiting: HashMap<Handle, watch::Sender<()>>,
}

impl Hub {
    /// A hub that knows nothing and reports to `changes`.
    #[must_use]
    pub fn new(changes: Changes) -> Self {
        Self {
            inner: Mutex::default(),
            changes,
        }
    }

    /// Makes `config` what nodes are to work with; see [`Registry::publish`]. With a `refusal` only
    /// mounts that exist follow it, and new ones wait.
    pub fn publish(&self, config: DatasetConfig, refusal: Option<Failure>) {
        let now_ms = now_ms();
        let handle = config.volume_handle.clone();
        self.update(|registry| {
            registry.publish(config, now_ms);
            if let Some(why) = refusal {
                registry.refuse(&handle, why);
            }
        });
    }

    /// New mounts of `handle` fail with `why`; see [`Registry::refuse`].
    pub fn refuse(&self, handle: &str, why: Failure) {
        self.update(|registry| registry.refuse(handle, why));
    }

    /// The dataset has gone; see [`Registry::withdraw`].
    pub fn withdraw(&self, handle: &str) {
        self.update(|registry| registry.withdraw(handle));
    }

    /// Addresses that no mount and no task may reach.
    pub fn set_network(&self, rules: NetworkRules) {
        self.update(|registry| registry.set_network(rules));
    }

    /// The mounter revision that takes new mounts.
    pub fn set_mounter(&self, revision: &str) {
        self.update(|registry| registry.set_mounter(revision));
    }

    /// The node left the cluster; see [`Registry::forget_node`].
    pub fn forget_node(&self, node: &str) {
        self.update(|registry| registry.forget_node(node));
        self.lock().wakers.remove(node);
    }

    /// What a node reports; see [`Registry::report`].
    pub(super) fn report(&self, peer: &Peer, report: Report) {
        let now_ms = now_ms();
        self.update(|registry| registry.report(peer, report, now_ms));
    }

    /// Whether mounts' writes are refused; see [`Registry::refused`].
    pub fn refused(&self, handle: &str) -> Option<Refused> {
        let now_ms = now_ms();
        self.update(|registry| registry.refused(handle, now_ms))
    }

    /// Whether reads go past the cache of `handle`, which `serves` by its plugin's own word or not.
    pub fn not_serving(&self, handle: &str, serves: bool) -> Option<NotServing> {
        if !serves {
            self.update(|registry| registry.cache_begins_anew(handle));
            return None;
        }
        let now_ms = now_ms();
        self.read(|registry| registry.not_serving(handle, now_ms))
    }

    /// What is to be told now of lost files, and when the rest is; see [`Registry::unreported`].
    pub fn unreported(&self, handle: &str) -> (Vec<UnreportedLoss>, Option<Duration>) {
        let now_ms = now_ms();
        let (now, rest) = self.update(|registry| registry.unreported(handle, now_ms));
        (now, rest.map(Duration::from_millis))
    }

    /// Forgets everything: another replica leads now and will be told anew.
    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }

    /// Asks the registry something.
    pub fn read<T>(&self, ask: impl FnOnce(&Registry) -> T) -> T {
        ask(&self.lock().registry)
    }

    /// Changes the registry and wakes whom it concerns.
    pub fn update<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let mut inner = self.lock();
        let result = change(&mut inner.registry);
        let effects = inner.registry.take_effects();
        for node in &effects.wake {
            if let Some(waker) = inner.wakers.get(node) {
                waker.send_replace(());
            }
        }
        for handle in &effects.looked_up {
            if let Some(waiting) = inner.waiting.get(handle) {
                waiting.send_replace(());
            }
        }
        drop(inner);
        for handle in &effects.used {
            self.changes.usage.wake(handle);
        }
        for handle in &effects.reported {
            self.changes.reports.wake(handle);
        }
        result
    }

    /// A node's stream begins; the receiver is bumped whenever there is something to send.
    pub(super) fn attach(
        &self,
        node: &str,
        held: Vec<Held>,
        mounters: Vec<MounterState>,
    ) -> (Peer, watch::Receiver<()>) {
        let now_ms = now_ms();
        let peer = self.update(|registry| registry.attach(node, held, mounters, now_ms));
        let mut inner = self.lock();
        let waker = inner.wakers.entry(peer.node.clone()).or_default();
        // An earlier stream of this node finds out that it was replaced.
        waker.send_replace(());
        let mut woken = waker.subscribe();
        woken.mark_changed();
        (peer, woken)
    }

    /// Waits until `handle` can be mounted, at most for `timeout`; then why it cannot.
    pub(super) async fn ready(
        &self,
        handle: &str,
        timeout: Duration,
    ) -> Result<Arc<DatasetConfig>, Failure> {
        let deadline = Instant::now() + timeout;
        let mut changed = {
            let mut inner = self.lock();
            let handle = inner.registry.handle(handle);
            inner.waiting.entry(handle).or_default().subscribe()
        };
        let refusal = loop {
            // Marked before the look-up: what happens in between is seen by `changed`.
            changed.borrow_and_update();
            let why = match self.read(|registry| registry.lookup(handle)) {
                Lookup::Ready(config) => break Ok(config),
                Lookup::Refused(why) => why,
                Lookup::Unknown => unknown(handle),
            };
            if !matches!(timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
                break Err(why);
            }
        };
        drop(changed);
        let mut inner = self.lock();
        if inner
            .waiting
            .get(handle)
            .is_some_and(|waiting| waiting.receiver_count() == 0)
        {
            inner.waiting.remove(handle);
        }
        refusal
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(handle: &str) -> Failure {
    Failure::new(
        "NoSuchDataset",
        format!(
            "no dataset has the volume {handle}: it was deleted, or the operator has not seen it \
             yet and the kubelet's next attempt will find it"
        ),
    )
}

/// Milliseconds since 1970, the base of versions.
fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
