//! The mounters of this node: who listens, and requests to one of them.

mod link;
mod watch;

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlf_wire::mounter::v1::to_mounter::Message;
use dlf_wire::mounter::v1::{Child, Configure, Start, Stop, Usage};
use tokio::sync::{mpsc, watch as signal};
use tokio::time::{Instant, timeout_at};

use link::Link;
pub use link::MounterError;

/// Starting a child is a fork, an exec and the INIT handshake; a loaded node takes seconds.
const START_WITHIN: Duration = Duration::from_secs(20);

/// A running child only swaps its client's configuration.
const CONFIGURE_WITHIN: Duration = Duration::from_secs(10);

/// The child writes out what is staged, within its source's time-out of 90 s.
const STOP_WITHIN: Duration = Duration::from_mins(2);

/// Events under way to the one who repairs; more of them make the mounters' connections wait.
const EVENTS_MAX: usize = 1024;

/// What mounters say unasked.
#[derive(Debug)]
pub enum MounterEvent {
    /// A mounter listens, with these children.
    Hello {
        /// Its revision.
        revision: String,
        /// What it serves.
        children: Vec<Child>,
    },
    /// A mounter's connection ended.
    Gone {
        /// Its revision.
        revision: String,
    },
    /// A child ended.
    Exited {
        /// The mount it served.
        mount_id: String,
        /// A sentence for a log.
        cause: String,
    },
    /// A child's counters.
    Usage(Usage),
}

/// Handle to all mounters of the node.
#[derive(Clone, Debug)]
pub struct Mounters {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    links: Mutex<HashMap<String, Arc<Link>>>,
    /// Changes with each mounter that comes or goes.
    changes: signal::Sender<u64>,
}

impl Mounters {
    /// Watches `directory` for mounters, as long as the handle and the events are wanted.
    #[must_use]
    pub fn watch(directory: PathBuf) -> (Self, mpsc::Receiver<MounterEvent>) {
        let (events, received) = mpsc::channel(EVENTS_MAX);
        let shared = Arc::new(Shared {
            links: Mutex::default(),
            changes: signal::Sender::new(0),
        });
        tokio::spawn(watch::run(directory, Arc::downgrade(&shared), events));
        (Self { shared }, received)
    }

    /// Revisions that listen now.
    #[must_use]
    pub fn revisions(&self) -> Vec<String> {
        let mut revisions: Vec<_> = self.shared.links().keys().cloned().collect();
        revisions.sort();
        revisions
    }

    /// Whether this revision listens now.
    #[must_use]
    pub fn listens(&self, revision: &str) -> bool {
        self.shared.links().contains_key(revision)
    }

    /// The revision for a new mount: the wanted one, else any. Waits until there is one.
    pub async fn choose(&self, wanted: &str, deadline: Instant) -> Result<String, MounterError> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            if self.listens(wanted) {
                return Ok(wanted.to_owned());
            }
            // The newest name means nothing, but the choice has to be the same each time.
            if let Some(any) = self.revisions().pop() {
                return Ok(any);
            }
            match timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(MounterError::NoMounter),
            }
        }
    }

    /// Has a mount served by a new child.
    pub async fn start(
        &self,
        revision: &str,
        start: Start,
        device: BorrowedFd<'_>,
    ) -> Result<(), MounterError> {
        let message = Message::Start(start);
        self.link(revision)?
            .request(message, Some(device), START_WITHIN)
            .await
            .map(drop)
    }

    /// Gives a running child a newer configuration.
    pub async fn configure(&self, revision: &str, new: Configure) -> Result<(), MounterError> {
        let message = Message::Configure(new);
        self.link(revision)?
            .request(message, None, CONFIGURE_WITHIN)
            .await
            .map(drop)
    }

    /// Ends a child; returns its last figures, if there are new ones.
    pub async fn stop(
        &self,
        revision: &str,
        mount_id: &str,
    ) -> Result<Option<Usage>, MounterError> {
        let message = Message::Stop(Stop {
            mount_id: mount_id.to_owned(),
        });
        let link = self.link(revision)?;
        let stopped = link.request(message, None, STOP_WITHIN).await?;
        Ok(stopped.usage)
    }

    fn link(&self, revision: &str) -> Result<Arc<Link>, MounterError> {
        let link = self.shared.links().get(revision).cloned();
        link.ok_or_else(|| MounterError::NotListening(revision.to_owned()))
    }
}

impl Shared {
    fn links(&self) -> MutexGuard<'_, HashMap<String, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}
