//! What mounters report and the operator orders. Nothing here waits for either: a mounter that
//! hangs must not delay the news of another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dlf_wire::mounter::v1::Child;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Volumes;
use crate::mounters::{MounterEvent, Newcomer};
use crate::operator::Order;

/// A connection may break and come back without the mounter's children noticing; after this long
/// without one they are taken for dead. Together with a repair it stays well within 30 s.
const AWAY_MAX: Duration = Duration::from_secs(5);

/// How often figures are reported.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// How often datasets' directories are looked at. Filling half of what a node may have takes longer,
/// and what is kept an hour need not go by the second.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

impl Volumes {
    /// Follows mounters and operator until both have gone.
    pub async fn supervise(
        self: Arc<Self>,
        mut events: mpsc::Receiver<MounterEvent>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        self.expect_mounters();
        let mut report = interval(REPORT_EVERY);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sweep = interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sweeping: Option<JoinHandle<()>> = None;
        loop {
            tokio::select! {
                Some(event) = events.recv() => self.heard(event),
                Some(order) = orders.recv() => self.ordered(order),
                _ = report.tick() => self.report(),
                // One at a time: a disk that hangs must not take a thread each minute.
                _ = sweep.tick() => if sweeping.as_ref().is_none_or(JoinHandle::is_finished) {
                    sweeping = Some(self.spawn_sweep());
                },
                else => return,
            }
        }
    }

    /// After a start: mounters that do not come back have taken their mounts with them.
    fn expect_mounters(self: &Arc<Self>) {
        let mut revisions: Vec<String> = self
            .deps
            .state
            .mounts()
            .into_iter()
            .filter_map(|mount| mount.is_fuse().then_some(mount.mounter))
            .collect();
        revisions.sort();
        revisions.dedup();
        for revision in revisions {
            self.spawn_watch_absence(revision);
        }
    }

    fn heard(self: &Arc<Self>, event: MounterEvent) {
        match event {
            MounterEvent::Hello { newcomer, children } => self.greeted(newcomer, children),
            MounterEvent::Gone { revision } => self.spawn_watch_absence(revision),
            MounterEvent::Exited { mount_id, cause } => self.spawn_repair(&mount_id, &cause),
            MounterEvent::Usage(usage) => self.count(&usage),
            MounterEvent::Writes { mount_id, writes } => self.wrote(&mount_id, writes),
        }
    }

    fn ordered(self: &Arc<Self>, order: Order) {
        let state = &self.deps.state;
        let kept = match order {
            Order::Dataset(dataset) => {
                self.accept(*dataset);
                Ok(())
            }
            Order::Mounter(wanted) => state.put_wanted(wanted),
            Order::Network(network) => state.put_network(network).map(|new| {
                if new {
                    self.spawn_tell_all();
                }
            }),
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "an order of the operator is not kept");
        }
    }

    /// Compares a mounter's children with our records, and tells them what they may have missed
    /// while nobody was connected.
    fn greeted(self: &Arc<Self>, newcomer: Newcomer, children: Vec<Child>) {
        let revision = newcomer.revision().to_owned();
        let mut children: HashMap<String, Child> = children
            .into_iter()
            .map(|child| (child.mount_id.clone(), child))
            .collect();
        let mut mounts = self.deps.state.mounts();
        mounts.retain(|mount| mount.is_fuse() && mount.mounter == revision);
        let is_lost = |id: &str| !children.contains_key(id) && self.live.is_serving(id);
        let ids = mounts.iter().map(|mount| mount.id.clone());
        let lost: Vec<String> = ids.filter(|id| is_lost(id)).collect();
        self.deps.mounters.admit(newcomer);
        for id in lost {
            self.spawn_repair(&id, "its mounter does not know it");
        }
        for mount in mounts {
            match (children.remove(&mount.id), &mount.dataset) {
                (Some(child), Some(dataset)) if child.version < dataset.version => {
                    self.spawn_apply(dataset.clone());
                }
                (Some(_), _) => self.spawn_tell(mount),
                (None, _) => {}
            }
        }
        for stray in children.into_keys() {
            self.spawn_stop(revision.clone(), stray);
        }
    }

    fn spawn_stop(self: &Arc<Self>, revision: String, mount_id: String) {
        let volumes = self.clone();
        tokio::spawn(async move {
            tracing::info!(revision, mount_id, "ending a child whose mount has gone");
            if let Err(error) = volumes.deps.mounters.stop(&revision, &mount_id).await {
                tracing::warn!(revision, mount_id, %error, "it did not end");
            }
        });
    }

    fn spawn_watch_absence(self: &Arc<Self>, revision: String) {
        let volumes = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(AWAY_MAX).await;
            if volumes.deps.mounters.listens(&revision) {
                return;
            }
            for mount in volumes.deps.state.mounts() {
                if mount.mounter == revision && volumes.live.is_serving(&mount.id) {
                    volumes.spawn_repair(&mount.id, "its mounter has gone");
                }
            }
        });
    }
}
