//! Where one waits for memory: first come, first served.

use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, timeout_at};

use super::Lease;

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Of those who wait, the first has the turn …
    turn: Mutex<()>,
    /// … and is told when it may find more.
    freed: Notify,
}

impl Queue {
    /// Waits until `take` finds enough. It looks again when memory came back, and when a stream may
    /// have become idle.
    pub(super) async fn wait(
        &self,
        take: impl Fn() -> Option<Lease>,
        next_idle: impl Fn() -> Option<Instant>,
    ) -> Lease {
        let _turn = self.turn.lock().await;
        loop {
            if let Some(lease) = take() {
                return lease;
            }
            let idle = next_idle();
            let freed = self.freed.notified();
            match idle {
                // Whether memory came back or may be had now: look again.
                Some(at) => drop(timeout_at(at, freed).await),
                None => freed.await,
            }
        }
    }

    pub(super) fn look_again(&self) {
        self.freed.notify_one();
    }
}
