//! What was written and the source does not have, for whoever tells the user: a shell's `>` ignores
//! what `close` says.

use std::time::SystemTime;

use dlf_cache::StoreError;
use dlf_wire::writes::v1::{Conflict, Loss, Refusing, Writes, loss};
use fuser::Errno;
use tokio::sync::watch;

use super::body::Body;
use super::core::Core;
use super::key::Key;

/// Files that are told one by one, the newest; of older ones their number is. So many paths fit well
/// into a message to the driver, and more are not read.
const LOSSES_MAX: usize = 16;

/// Bytes of a path that are told: enough to know a file by.
const PATH_BYTES_MAX: usize = 512;

/// Why the source does not have what was written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// The commit or a write failed, which the program was told so.
    Refused(Errno),
    /// The mount ended while the file was open.
    MountEnded,
    /// The signal of this number ended the writer.
    Killed(u8),
    /// Somebody replaced the version that it holds bytes of.
    Conflict,
}

/// All of one mount.
#[derive(Debug)]
pub(crate) struct Losses(watch::Sender<Writes>);

impl Losses {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Writes {
            epoch: now_ms(),
            ..Writes::default()
        }))
    }

    /// The state as it changes.
    pub(super) fn subscribe(&self) -> watch::Receiver<Writes> {
        self.0.subscribe()
    }

    /// A file could be written.
    pub(super) fn accepted(&self) {
        self.0.send_if_modified(|writes| {
            let refused = writes.refusing.take().is_some();
            !std::mem::replace(&mut writes.accepting, true) || refused
        });
    }

    /// Whether files can be written is open again: there are other keys, or another place.
    pub(super) fn reconfigured(&self) {
        self.0.send_if_modified(|writes| {
            let refused = writes.refusing.take().is_some();
            std::mem::replace(&mut writes.accepting, false) || refused
        });
    }

    /// `code`: the source's own word for it; "" for none.
    fn refused(&self, path: &str, reason: &str, code: &str) {
        self.0.send_modify(|writes| {
            writes.refused += 1;
            writes.accepting = false;
            let refusing = writes.refusing.get_or_insert_with(|| Refusing {
                since_ms: now_ms(),
                ..Refusing::default()
            });
            reason.clone_into(&mut refusing.reason);
            code.clone_into(&mut refusing.code);
            refusing.files += 1;
            if refusing.paths.len() < LOSSES_MAX {
                refusing.paths.push(cut(path));
            }
            let cause = loss::Cause::Refused(reason.to_owned());
            add(writes, path, None, cause);
        });
    }

    fn killed(&self, path: &str, signal: u8, kept: Option<String>) {
        self.0.send_modify(|writes| {
            writes.killed += 1;
            add(writes, path, kept, loss::Cause::Killed(signal.into()));
        });
    }

    fn conflict(&self, path: &str, kept: Option<String>) {
        self.0.send_modify(|writes| {
            writes.conflicts += 1;
            add(writes, path, kept, loss::Cause::Conflict(Conflict {}));
        });
    }
}

impl Core {
    /// Tells what became of a body, once for each time that it is not in the source. `kept`: under
    /// which name the node keeps it.
    pub(super) fn tell(&self, ino: u64, body: &Body, cause: Cause, kept: Option<String>) {
        if !body.is_newly_lost() {
            return;
        }
        let key = self.names().key(ino);
        let path = key.as_ref().map(Key::path).unwrap_or_default();
        match cause {
            // Who asks for a new file is told that others were first: that is no refusal.
            Cause::Refused(Errno::EEXIST) | Cause::Conflict => self.losses.conflict(&path, kept),
            Cause::Refused(errno) => {
                let said = key.and_then(|key| self.source.why(&key, errno));
                let reason = said.as_ref().map_or(local(errno), StoreError::class);
                let code = said.as_ref().and_then(StoreError::code);
                self.losses.refused(&path, reason, code.unwrap_or_default());
            }
            Cause::MountEnded => self.losses.refused(&path, "MountEnded", ""),
            Cause::Killed(signal) => self.losses.killed(&path, signal, kept),
        }
    }
}

/// The class of what the source did not say of this very write: mostly, what the node refused.
fn local(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOSPC => "StagingFull",
        Errno::EACCES => "AccessDenied",
        Errno::EFBIG => "FileTooLarge",
        _ => "WriteFailed",
    }
}

fn add(writes: &mut Writes, path: &str, kept: Option<String>, cause: loss::Cause) {
    writes.kept += u64::from(kept.is_some());
    if writes.losses.len() == LOSSES_MAX {
        writes.losses.remove(0);
    }
    writes.losses.push(Loss {
        number: writes.refused + writes.killed + writes.conflicts,
        path: cut(path),
        at_ms: now_ms(),
        kept: kept.unwrap_or_default(),
        cause: Some(cause),
    });
}

fn cut(path: &str) -> String {
    path[..path.floor_char_boundary(PATH_BYTES_MAX)].to_owned()
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_and_paths_are_bounded() {
        let losses = Losses::new();
        let long = "é".repeat(PATH_BYTES_MAX);
        for _ in 0..1000 {
            losses.refused(&long, "AccessDenied", "");
        }
        losses.killed("k", 9, Some("1-0-k".to_owned()));
        let writes = losses.subscribe().borrow().clone();
        assert_eq!((writes.refused, writes.killed, writes.kept), (1000, 1, 1));
        assert_eq!(writes.losses.len(), LOSSES_MAX);
        assert_eq!(writes.losses.last().unwrap().number, 1001);
        let refusing = writes.refusing.unwrap();
        assert_eq!(refusing.files, 1000);
        assert_eq!(refusing.paths.len(), LOSSES_MAX);
        assert!(refusing.paths[0].len() <= PATH_BYTES_MAX);
    }

    #[test]
    fn a_refusal_stands_until_a_file_can_be_written_or_there_are_other_keys() {
        let losses = Losses::new();
        let mut writes = losses.subscribe();
        losses.refused("f", "AccessDenied", "");
        assert!(writes.borrow_and_update().refusing.is_some());
        losses.accepted();
        let after = writes.borrow_and_update().clone();
        assert!(after.refusing.is_none() && after.accepting);
        losses.accepted();
        assert!(!writes.has_changed().unwrap(), "nothing is new");
        losses.refused("f", "NoSpace", "QuotaExceeded");
        assert!(!writes.borrow_and_update().accepting);
        losses.reconfigured();
        let after = writes.borrow_and_update().clone();
        assert!(after.refusing.is_none() && !after.accepting);
        assert_eq!(after.refused, 2);
    }
}
