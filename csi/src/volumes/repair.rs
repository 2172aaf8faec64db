//! A dead mount replaced under its consumers.
//!
//! The new mount is bound *over* each target: unmounting the old one first would cut the consumer
//! off, because a target that was unmounted no longer propagates to it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use dlf_wire::dial::Backoff;
use tokio::time::timeout;

use super::Volumes;
use super::error::MountError;
use crate::state::{MountKey, MountRecord, TargetRecord};

/// Pauses between attempts at one repair: short, as long as nothing but a mounter's restart is
/// missing; a consumer waits.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Binding takes milliseconds, unless a request that waits for the dead child has locked the
/// directory that is to be covered. Then it must not wait any longer.
const LOCKED_MAX: Duration = Duration::from_millis(250);

/// A mount that dies again sooner than this is in a crash loop …
const STEADY_AFTER: Duration = Duration::from_mins(1);

/// … and waits for its repair, twice as long each time, up to this.
const LOOP_PAUSE_MAX: Duration = Duration::from_mins(1);

/// How often mounts of each key have died in a row.
#[derive(Debug, Default)]
pub(super) struct Streaks {
    by_key: HashMap<MountKey, (u32, Instant)>,
}

impl Streaks {
    /// Counts a death; how long to wait before the repair.
    fn died(&mut self, key: MountKey, now: Instant) -> Duration {
        self.by_key
            .retain(|_, (_, last)| now.duration_since(*last) < STEADY_AFTER + LOOP_PAUSE_MAX);
        let (deaths, last) = self.by_key.entry(key).or_insert((0, now));
        *deaths = deaths.saturating_add(1);
        *last = now;
        match *deaths {
            1 => Duration::ZERO,
            more => Duration::from_secs(1)
                .saturating_mul(2_u32.saturating_pow(more - 2))
                .min(LOOP_PAUSE_MAX),
        }
    }
}

impl Volumes {
    /// Begins to repair a mount, unless that has begun already.
    pub(super) fn spawn_repair(self: &Arc<Self>, id: &str, cause: &str) {
        if !self.live.died(id) {
            return;
        }
        let Some(mount) = self.deps.state.mount(id) else {
            return;
        };
        tracing::warn!(mount = id, cause, "a mount is dead");
        let volumes = self.clone();
        tokio::spawn(async move { volumes.repair(mount).await });
    }

    async fn repair(self: Arc<Self>, dead: MountRecord) {
        let pause = {
            let mut streaks = self.streaks.lock().unwrap_or_else(PoisonError::into_inner);
            streaks.died(dead.key(), Instant::now())
        };
        if pause > Duration::ZERO {
            tracing::warn!(
                mount = dead.id,
                ?pause,
                "it keeps dying: repairing it later"
            );
            self.live.close_device(&dead.id);
            tokio::time::sleep(pause).await;
        }
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        // Until it is gone and not just once: a publish that began before it died may bring it
        // another target.
        while self.deps.state.mount(&dead.id).is_some() {
            let replaced = self.replace(&dead).await;
            // Whatever of both nobody uses now.
            let released = self.spawn_release_of(dead.key());
            match replaced {
                Ok(()) => {
                    // It does not panic; if it did, the next start would clear up.
                    let _ = released.await;
                    if self.deps.state.mount(&dead.id).is_none() {
                        self.deps.metrics.repaired();
                        tracing::info!(mount = dead.id, "repaired");
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(mount = dead.id, %error, "the repair failed and is tried again");
                    self.deps.metrics.repair_failed(error.reason());
                }
            }
            // What waits for an answer of the dead child gets an error now: waiting on would look
            // like a hang.
            self.live.close_device(&dead.id);
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// One attempt: another mount, bound over each target of the dead one, which goes.
    async fn replace(self: &Arc<Self>, dead: &MountRecord) -> Result<(), MountError> {
        let key = dead.key();
        // Its own configuration and not the dataset's newest: a running pod keeps its source.
        let Some(dataset) = self
            .deps
            .state
            .mount(&dead.id)
            .and_then(|mount| mount.dataset)
        else {
            return Ok(());
        };
        let mut outcome = Ok(());
        if !self.deps.state.targets_of(&dead.id).is_empty() {
            let guard = self.lock_mount(&key).await.ok_or(MountError::Busy)?;
            let fresh = self.ensure(&key, &dataset, &guard).await?;
            // It has no target yet, and a release must not take that for disuse.
            self.live.reserve(&fresh.id, true);
            drop(guard);
            let moving = self.move_targets(dead, &fresh);
            tokio::pin!(moving);
            outcome = if let Ok(outcome) = timeout(LOCKED_MAX, &mut moving).await {
                outcome
            } else {
                self.live.close_device(&dead.id);
                moving.await
            };
            self.live.reserve(&fresh.id, false);
        }
        // What was open in the dead one fails now.
        self.live.close_device(&dead.id);
        outcome
    }

    async fn move_targets(
        self: &Arc<Self>,
        dead: &MountRecord,
        fresh: &MountRecord,
    ) -> Result<(), MountError> {
        let mut outcome = Ok(());
        for target in self.deps.state.targets_of(&dead.id) {
            if let Err(error) = self.move_target(&target, fresh).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Binds another mount over a target, if it still shows the dead one.
    async fn move_target(
        self: &Arc<Self>,
        target: &TargetRecord,
        fresh: &MountRecord,
    ) -> Result<(), MountError> {
        let guard = self
            .lock_target(&target.target)
            .await
            .ok_or(MountError::Busy)?;
        if self.deps.state.target(&target.target).as_ref() != Some(target) {
            return Ok(());
        }
        let moved = TargetRecord {
            mount_id: fresh.id.clone(),
            ..target.clone()
        };
        let dataset = fresh.dataset.clone().unwrap_or_default();
        self.bind_over(&moved, &dataset, &guard).await?;
        // After the bind: a driver killed in between finds a dead mount with a target and repairs
        // it once more, which costs one more layer.
        Ok(self.deps.state.put_target(moved)?)
    }

    /// Binds a target's mount over it again: its top is not what its record says.
    pub(super) async fn rebind(self: Arc<Self>, target: TargetRecord) {
        let Some(mount) = self.deps.state.mount(&target.mount_id) else {
            return;
        };
        if let Err(error) = self.move_target(&target, &mount).await {
            tracing::warn!(target = target.target, %error, "a target shows an old mount");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_that_keeps_dying_waits_longer_each_time_and_is_forgiven_later() {
        let key = MountKey {
            handle: "dlf-1".into(),
            source_revision: "r".into(),
            fs_group: None,
        };
        let mut streaks = Streaks::default();
        let start = Instant::now();
        let mut at = |seconds| streaks.died(key.clone(), start + Duration::from_secs(seconds));
        assert_eq!(at(0), Duration::ZERO);
        assert_eq!(at(5), Duration::from_secs(1));
        assert_eq!(at(10), Duration::from_secs(2));
        for second in 11..30 {
            assert!(at(second) <= LOOP_PAUSE_MAX);
        }
        assert_eq!(at(1000), Duration::ZERO);
    }
}
