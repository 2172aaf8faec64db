//! The mounters of this node: who listens, and requests to one of them.

mod link;
mod watch;

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlf_wire::mounter::v1::to_mounter::Message;
use dlf_wire::mounter::v1::{Child, Configure, Done, Refresh, Start, Stop, Usage};
use dlf_wire::writes::v1::Writes;
use tokio::sync::{mpsc, watch as signal};
use tokio::time::{Instant, timeout_at};

use link::Link;
pub use link::MounterError;

/// Starting a child is a fork, an exec and the INIT handshake; a loaded node takes seconds.
const START_WITHIN: Duration = Duration::from_secs(20);

/// A running child only swaps its client's configuration.
const CONFIGURE_WITHIN: Duration = Duration::from_secs(10);

/// A child drops what it believes in a moment, and waits for its kernel for 2 s at most.
const REFRESH_WITHIN: Duration = Duration::from_secs(5);

/// The child writes out what is staged, within its source's time-out of 90 s.
const STOP_WITHIN: Duration = Duration::from_mins(2);

/// How long the wanted mounter is waited for while others listen: its connection may just begin anew,
/// and a mount stays for as long as its pods do on the mounter that it was begun on.
const WANTED_WITHIN: Duration = Duration::from_secs(2);

/// Events under way to the one who repairs; more of them make the mounters' connections wait.
const EVENTS_MAX: usize = 1024;

/// What mounters say unasked.
#[derive(Debug)]
pub enum MounterEvent {
    /// A mounter listens, with these children. Nothing is asked of it before it is admitted.
    Hello {
        /// To be admitted once its children have been compared with what is known.
        newcomer: Newcomer,
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
    /// What a child wrote and its source does not have.
    Writes {
        /// The mount it serves.
        mount_id: String,
        /// All there is to tell.
        writes: Writes,
    },
}

/// A mounter that has greeted. As long as it is not admitted no mount begins on it, so that none
/// which its greeting cannot know is taken for lost.
#[derive(Debug)]
pub struct Newcomer {
    revision: String,
    link: Arc<Link>,
}

impl Newcomer {
    /// Its revision.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }
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

    /// Lets a mounter be chosen and asked, unless its connection has ended meanwhile.
    pub fn admit(&self, newcomer: Newcomer) {
        let mut links = self.shared.links();
        // With the table locked: who ends a connection closes it first and then takes it out.
        if !newcomer.link.is_closed() {
            links.insert(newcomer.revision, newcomer.link);
        }
        drop(links);
        self.shared.changed();
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

    /// The revision for a new mount: the wanted one, else any that listens once that was waited for.
    pub async fn choose(&self, wanted: &str, deadline: Instant) -> Result<String, MounterError> {
        let mut changes = self.shared.changes.subscribe();
        let until = deadline.min(Instant::now() + WANTED_WITHIN);
        loop {
            if self.listens(wanted) {
                return Ok(wanted.to_owned());
            }
            let is_over = Instant::now() >= until;
            // The newest name means nothing, but the choice has to be the same each time.
            if let Some(any) = self.revisions().pop().filter(|_| is_over) {
                return Ok(any);
            }
            if Instant::now() >= deadline {
                return Err(MounterError::NoMounter);
            }
            let next = if is_over { deadline } else { until };
            if let Ok(Err(_)) = timeout_at(next, changes.changed()).await {
                return Err(MounterError::NoMounter);
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

    /// Tells a running child that a new consumer has come.
    pub async fn refresh(&self, revision: &str, mount_id: &str) -> Result<(), MounterError> {
        let message = Message::Refresh(Refresh {
            mount_id: mount_id.to_owned(),
        });
        self.link(revision)?
            .request(message, None, REFRESH_WITHIN)
            .await
            .map(drop)
    }

    /// Ends a child; returns what is new of its figures and writes.
    pub async fn stop(&self, revision: &str, mount_id: &str) -> Result<Done, MounterError> {
        let message = Message::Stop(Stop {
            mount_id: mount_id.to_owned(),
        });
        let link = self.link(revision)?;
        link.request(message, None, STOP_WITHIN).await
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dlf_wire::channel::{Channel, Listener};
    use dlf_wire::mounter::v1::from_mounter::Message as Said;
    use dlf_wire::mounter::v1::{FromMounter, Hello};

    use super::*;

    type Events = mpsc::Receiver<MounterEvent>;

    /// Plays a mounter that greets; returns its end of the connection and what the driver heard.
    async fn greet(listener: &Listener, events: &mut Events) -> (Channel, Newcomer) {
        let channel = listener.accept().await.unwrap();
        let hello = FromMounter {
            request: 0,
            message: Some(Said::Hello(Hello::default())),
        };
        channel.send(&hello, None).await.unwrap();
        match events.recv().await {
            Some(MounterEvent::Hello { newcomer, .. }) => (channel, newcomer),
            other => panic!("{other:?} instead of a greeting"),
        }
    }

    async fn end(channel: Channel, events: &mut Events) {
        drop(channel);
        let heard = events.recv().await;
        assert!(
            matches!(heard, Some(MounterEvent::Gone { .. })),
            "{heard:?}"
        );
    }

    #[tokio::test]
    async fn nothing_begins_on_a_mounter_before_its_greeting_has_been_compared() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("r1/m.sock");
        std::fs::create_dir(socket.parent().unwrap()).unwrap();
        let listener = Listener::bind(&socket).unwrap();
        let (mounters, mut events) = Mounters::watch(directory.path().to_owned());

        let (channel, newcomer) = greet(&listener, &mut events).await;
        assert!(!mounters.listens("r1"));
        mounters.admit(newcomer);
        assert!(mounters.listens("r1"));
        end(channel, &mut events).await;
        assert!(!mounters.listens("r1"));

        let (channel, newcomer) = greet(&listener, &mut events).await;
        end(channel, &mut events).await;
        mounters.admit(newcomer);
        assert!(!mounters.listens("r1"), "its connection had ended");
    }

    /// Has a mounter of this revision listen.
    async fn listening(
        directory: &Path,
        revision: &str,
        mounters: &Mounters,
        events: &mut Events,
    ) -> Channel {
        let socket = directory.join(revision).join("m.sock");
        std::fs::create_dir(socket.parent().unwrap()).unwrap();
        let listener = Listener::bind(&socket).unwrap();
        let (channel, newcomer) = greet(&listener, events).await;
        mounters.admit(newcomer);
        channel
    }

    #[tokio::test]
    async fn a_wanted_mounter_is_waited_for_and_another_is_taken_when_it_does_not_come() {
        let directory = tempfile::tempdir().unwrap();
        let (mounters, mut events) = Mounters::watch(directory.path().to_owned());
        let other = listening(directory.path(), "old", &mounters, &mut events).await;
        let chosen = |wanted: &'static str| {
            let mounters = mounters.clone();
            let deadline = Instant::now() + Duration::from_mins(1);
            tokio::spawn(async move { mounters.choose(wanted, deadline).await.unwrap() })
        };
        let waits = chosen("new");
        let wanted = listening(directory.path(), "new", &mounters, &mut events).await;
        assert_eq!(waits.await.unwrap(), "new");
        assert_eq!(chosen("newer").await.unwrap(), "old");
        drop((other, wanted));
    }
}
