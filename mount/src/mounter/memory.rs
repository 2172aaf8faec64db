//! The mounter's memory, which its children share.
//!
//! Its pod has one limit for all of them. At it the kernel ends the mounter and every child (cgroup
//! v2, `memory.oom.group`): so what all may have together stays below it. `limit` finds it, `shares`
//! divides it.

mod limit;
mod shares;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlf_wire::dataset::v1::{DatasetConfig, dataset_config};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

pub(super) use self::shares::Due;
use self::shares::{Kind, Shares};
use super::refusal::Refusal;

/// How long a new child waits for what others give back. The driver waits 20 s for a start, of which
/// the start itself may take 15.
const ENTER_WITHIN: Duration = Duration::from_secs(3);

/// How soon one is asked again that still has more than its share: parts that are sent take about
/// as long.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

const MIB: u64 = 1024 * 1024;

#[derive(Debug)]
pub(super) struct MounterMemory {
    shares: Mutex<Shares>,
    /// Somebody came, went or gave back: of those who wait each looks again …
    entering: Notify,
    /// … and so does the one who divides.
    dividing: Notify,
}

impl MounterMemory {
    /// What the kernel lets this process and its children have.
    pub(super) fn of_this_process() -> Arc<Self> {
        let limit = limit::of_this_process(Path::new("/"));
        tracing::info!(mib = limit / MIB, "memory for all mounts");
        Arc::new(Self {
            shares: Mutex::new(Shares::of(limit)),
            entering: Notify::new(),
            dividing: Notify::new(),
        })
    }

    /// A new child's share. Refused if there is not even the least, also after others gave back.
    pub(super) async fn enter(
        self: &Arc<Self>,
        dataset: Option<&DatasetConfig>,
    ) -> Result<MemoryShare, Refusal> {
        let deadline = Instant::now() + ENTER_WITHIN;
        let kind = kind_of(dataset);
        loop {
            let mut entering = std::pin::pin!(self.entering.notified());
            entering.as_mut().enable();
            if let Some(id) = self.shares().enter(kind) {
                let memory = Arc::clone(self);
                return Ok(MemoryShare { memory, id });
            }
            self.dividing.notify_one();
            if timeout_at(deadline, entering).await.is_err() {
                return Err(self.refusal(kind));
            }
        }
    }

    fn refusal(&self, kind: Kind) -> Refusal {
        let shares = self.shares();
        let message = format!(
            "its limit of {} MiB is taken by {} mounts, and another needs {} MiB",
            shares.limit() / MIB,
            shares.count(),
            kind.bytes_min() / MIB
        );
        Refusal::new(Refusal::MEMORY, message)
    }

    /// Whose share is another now.
    pub(super) fn due(&self) -> Vec<Due> {
        self.shares().due()
    }

    /// A child has taken its share over, and so many bytes are in use.
    pub(super) fn taken(&self, due: Due, in_use: u64) {
        self.shares().taken(due, in_use);
        self.entering.notify_waiters();
    }

    /// Waits until shares may be others; not for long, while somebody has more than its share.
    pub(super) async fn changed(&self) {
        let changed = self.dividing.notified();
        if self.shares().is_settled() {
            changed.await;
        } else {
            // Either way it is time.
            let _ = timeout(ASK_AGAIN_AFTER, changed).await;
        }
    }

    fn look_again(&self) {
        self.entering.notify_waiters();
        self.dividing.notify_one();
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one child has of the memory, until this is dropped.
#[derive(Debug)]
pub(super) struct MemoryShare {
    memory: Arc<MounterMemory>,
    id: u64,
}

impl MemoryShare {
    /// Bytes of its budget; none where it cannot be told one.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.memory.shares().budget(self.id)
    }

    /// Whether it is this one that is due.
    pub(super) fn is(&self, due: Due) -> bool {
        self.id == due.id
    }

    /// Its child serves: it can be told another share from now on.
    pub(super) fn serves(&self) {
        self.memory.shares().serves(self.id);
        self.memory.look_again();
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.memory.shares().leave(self.id);
        self.memory.look_again();
    }
}

/// s3fs is not ours: it takes what it takes.
fn kind_of(dataset: Option<&DatasetConfig>) -> Kind {
    match dataset.and_then(|dataset| dataset.volume.as_ref()) {
        Some(dataset_config::Volume::Fuse(volume)) if volume.program == "s3fs" => Kind::Fixed,
        _ => Kind::Adjustable,
    }
}
