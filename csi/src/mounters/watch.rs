//! Finds mounters by their sockets and keeps one connection to each.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use dlf_wire::channel::{Channel, ChannelError};
use dlf_wire::mounter::v1::from_mounter::Message as Answer;
use dlf_wire::mounter::v1::to_mounter::Message;
use dlf_wire::mounter::v1::{Ask, Hello, Told, WritesOf};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::link::Link;
use super::{MounterEvent, Newcomer, Shared};
use crate::endings;

/// How often the directory is read. A mounter that was restarted is found this late; a read of a
/// directory with a few entries costs microseconds, and inotify would still need it as a fallback.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An upgrade has two revisions side by side; anything beyond a few is a mistake we do not follow.
/// Sockets of mounters that were killed stay behind, so the latest count.
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

/// Subdirectories that hold a socket, the one that was bound last first. The directory is missing
/// until the first mounter came.
fn revisions(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut bound: Vec<_> = entries
        .filter_map(|entry| {
            let socket = entry.path().join("m.sock").metadata().ok()?;
            let name = entry.file_name().into_string().ok()?;
            Some((Reverse(socket.modified().ok()?), name))
        })
        .collect();
    bound.sort();
    bound.truncate(REVISIONS_MAX);
    bound.into_iter().map(|(_, name)| name).collect()
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
    tracing::info!(
        revision,
        children = hello.children.len(),
        "a mounter listens"
    );
    let hello = MounterEvent::Hello {
        newcomer: Newcomer {
            revision: revision.to_owned(),
            link: link.clone(),
        },
        children: hello.children,
    };
    let mut wanted = events.send(hello).await.is_ok();
    while wanted {
        wanted = attend(&link, events).await.unwrap_or_else(|error| {
            tracing::warn!(revision, %error, "a mounter's connection ended");
            false
        });
    }
    link.close();
    if let Some(shared) = shared.upgrade() {
        shared.links().remove(revision);
        shared.changed();
    }
    let revision = revision.to_owned();
    // Nobody listens only when the driver ends.
    let _ = events.send(MounterEvent::Gone { revision }).await;
}

/// Passes on or answers the next thing that a mounter says unasked; false if nobody listens to it.
async fn attend(link: &Link, events: &mpsc::Sender<MounterEvent>) -> Result<bool, ChannelError> {
    let event = match link.unasked().await? {
        Answer::Exited(exited) => MounterEvent::Exited {
            mount_id: exited.mount_id,
            cause: exited.cause,
        },
        Answer::Usage(usage) => MounterEvent::Usage(usage),
        Answer::Writes(WritesOf { mount_id, writes }) => MounterEvent::Writes {
            mount_id,
            writes: writes.unwrap_or_default(),
        },
        // Here, and one after the other: it takes microseconds, and a close waits for it.
        Answer::Ask(ask) => {
            link.tell(answer_to(ask)).await?;
            return Ok(true);
        }
        _ => return Ok(true),
    };
    Ok(events.send(event).await.is_ok())
}

fn answer_to(ask: Ask) -> Message {
    Message::Told(Told {
        mount_id: ask.mount_id,
        question: ask.question,
        exit_code: endings::signal_of(ask.thread),
    })
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

    use super::*;

    #[test]
    fn sockets_that_stayed_behind_do_not_hide_the_latest_mounter() {
        let directory = tempfile::tempdir().unwrap();
        let bind = |name: &str, at: i64| {
            let socket = directory.path().join(name).join("m.sock");
            std::fs::create_dir(socket.parent().unwrap()).unwrap();
            drop(UnixListener::bind(&socket).unwrap());
            let time = Timespec {
                tv_sec: at,
                tv_nsec: 0,
            };
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            utimensat(CWD, &socket, &times, AtFlags::empty()).unwrap();
        };
        bind("the-latest", 1_000_000);
        for number in 0..4 * REVISIONS_MAX {
            bind(
                &format!("old-{number}"),
                1_000 + i64::try_from(number).unwrap(),
            );
        }
        let found = revisions(directory.path());
        assert_eq!((found.len(), &*found[0]), (REVISIONS_MAX, "the-latest"));
    }
}
