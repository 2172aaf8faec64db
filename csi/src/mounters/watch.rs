//! Finds mounters by their sockets and keeps one connection to each.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use dlf_wire::channel::{Channel, ChannelError};
use dlf_wire::mounter::v1::Hello;
use dlf_wire::mounter::v1::from_mounter::Message as Answer;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::link::Link;
use super::{MounterEvent, Shared};

/// How often the directory is read. A mounter that was restarted is found this late; a read of a
/// directory with a few entries costs microseconds, and inotify would still need it as a fallback.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An upgrade has two revisions side by side; anything beyond a few is a mistake we do not follow.
const REVISIONS_MAX: usize = 16;

/// A mounter greets in the instant it accepts.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// The mounter runs as root without privileges, like every process that may write to its directory.
const MOUNTER_UID: u32 = 0;

type Busy = Arc<Mutex<HashSet<String>>>;

pub(super) async fn run(
    directory: PathBuf,
    shared: Weak<Shared>,
    events: mpsc::Sender<MounterEvent>,
) {
    let busy = Busy::default();
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shared.strong_count() > 0 && !events.is_closed() {
        look.tick().await;
        for revision in revisions(&directory) {
            if !busy
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(revision.clone())
            {
                continue;
            }
            let socket = directory.join(&revision).join("m.sock");
            let (shared, events, busy) = (shared.clone(), events.clone(), busy.clone());
            tokio::spawn(async move {
                converse(&socket, &revision, &shared, &events).await;
                busy.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&revision);
            });
        }
    }
}

/// Subdirectories that hold a socket. The directory is missing until the first mounter came.
fn revisions(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().join("m.sock").exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .take(REVISIONS_MAX)
        .collect()
}

/// One connection from its beginning to its end.
async fn converse(
    socket: &Path,
    revision: &str,
    shared: &Weak<Shared>,
    events: &mpsc::Sender<MounterEvent>,
) {
    let (link, hello) = match greet(socket).await {
        Ok(greeted) => greeted,
        Err(error) => {
            // Usual for a revision that has gone: its socket stays behind.
            tracing::debug!(revision, %error, "no mounter answers");
            return;
        }
    };
    let link = Arc::new(link);
    match shared.upgrade() {
        Some(shared) => shared.links().insert(revision.to_owned(), link.clone()),
        None => return,
    };
    tracing::info!(
        revision,
        children = hello.children.len(),
        "a mounter listens"
    );
    let hello = MounterEvent::Hello {
        revision: revision.to_owned(),
        children: hello.children,
    };
    let mut wanted = events.send(hello).await.is_ok();
    if let Some(shared) = shared.upgrade() {
        shared.changed();
    }
    while wanted {
        wanted = match link.unasked().await {
            Ok(Answer::Exited(exited)) => {
                let event = MounterEvent::Exited {
                    mount_id: exited.mount_id,
                    cause: exited.cause,
                };
                events.send(event).await.is_ok()
            }
            Ok(Answer::Usage(usage)) => events.send(MounterEvent::Usage(usage)).await.is_ok(),
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(revision, %error, "a mounter's connection ended");
                false
            }
        };
    }
    if let Some(shared) = shared.upgrade() {
        shared.links().remove(revision);
        shared.changed();
    }
    link.close();
    let revision = revision.to_owned();
    // Nobody listens only when the driver ends.
    let _ = events.send(MounterEvent::Gone { revision }).await;
}

#[derive(Debug, thiserror::Error)]
enum GreetError {
    #[error("{0}")]
    Channel(#[from] ChannelError),
    #[error("the listener has uid {0}")]
    WrongUser(u32),
    #[error("no Hello within {} s", HELLO_WITHIN.as_secs())]
    Silent,
    #[error("the first message was no Hello")]
    Rude,
}

async fn greet(socket: &Path) -> Result<(Link, Hello), GreetError> {
    let channel = Channel::connect(socket)?;
    let peer = channel.peer_cred()?;
    if peer.uid != MOUNTER_UID {
        return Err(GreetError::WrongUser(peer.uid));
    }
    let link = Link::new(channel);
    match timeout(HELLO_WITHIN, link.unasked()).await {
        Err(_) => Err(GreetError::Silent),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(Answer::Hello(hello))) => Ok((link, hello)),
        Ok(Ok(_)) => Err(GreetError::Rude),
    }
}
