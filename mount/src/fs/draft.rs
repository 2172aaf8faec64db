//! A file that is being written in order: its bytes on their way to the source.
//!
//! A small file is one PUT. A larger one streams as the parts of a multipart upload. Either way the
//! source shows nothing before [`Draft::commit`], and then the whole.

mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fuser::Errno;
use tokio::sync::{Mutex, MutexGuard, Semaphore};

use self::state::State;
use super::inode::Version;
use super::source::Source;

/// Memory of all files being written on one mount, in bytes: thirty files with a full part each.
pub(crate) const DRAFT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A file on its way to the source.
#[derive(Debug)]
pub(crate) struct Draft {
    size: AtomicU64,
    /// When the last byte came, in milliseconds since the epoch.
    modified_ms: AtomicU64,
    /// Handles that write to it.
    writers: AtomicU32,
    state: Mutex<State>,
    memory: Arc<Semaphore>,
    patience: Duration,
}

/// A draft that nobody writes to or commits while this is held: its file can be given another name,
/// or none.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    draft: &'a Draft,
    state: MutexGuard<'a, State>,
}

impl Draft {
    /// An empty file. A write waits `patience` for memory, then it is `ENOSPC`.
    pub(crate) fn new(memory: Arc<Semaphore>, patience: Duration) -> Self {
        let draft = Self {
            size: AtomicU64::new(0),
            modified_ms: AtomicU64::new(0),
            writers: AtomicU32::new(0),
            state: Mutex::new(State::new()),
            memory,
            patience,
        };
        draft.touch();
        draft
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub(crate) fn modified(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.modified_ms.load(Ordering::Relaxed))
    }

    fn touch(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        self.modified_ms.store(ms, Ordering::Relaxed);
    }

    /// Waits for writes and commits that are under way, and keeps others waiting.
    pub(crate) async fn hold(&self) -> Held<'_> {
        Held {
            draft: self,
            state: self.state.lock().await,
        }
    }

    /// Appends `data` at `offset`. `EOPNOTSUPP` anywhere but at the end, `ENOSPC` without memory,
    /// `EFBIG` beyond what fits into one upload, otherwise what the source says to earlier parts.
    ///
    /// `key` tells where the file is: it is asked once the draft is ours, so that a rename cannot
    /// come in between.
    pub(crate) async fn write(
        &self,
        source: &Source,
        key: impl Fn() -> Option<String>,
        offset: u64,
        data: &[u8],
    ) -> Result<(), Errno> {
        let mut state = self.state.lock().await;
        if let Some(errno) = state.failed {
            return Err(errno);
        }
        if offset != self.size() {
            return Err(Errno::EOPNOTSUPP);
        }
        self.touch();
        match state.place(key()) {
            Some(key) => {
                state.resume(source, &key, self.size()).await?;
                self.take(&mut state, data).await?;
                state.dirty = true;
                state.refused = false;
                state.send_full_parts(source, &key).await
            }
            // It has no name any more. As long as it is whole it can be read back.
            None if state.is_whole(self.size()) => self.take(&mut state, data).await,
            None => {
                state.forget_tail();
                self.size.fetch_add(data.len() as u64, Ordering::AcqRel);
                Ok(())
            }
        }
    }

    /// Takes bytes into memory.
    async fn take(&self, state: &mut State, data: &[u8]) -> Result<(), Errno> {
        let bytes = u32::try_from(data.len()).map_err(|_| Errno::EINVAL)?;
        let permit = self.memory.clone().acquire_many_owned(bytes);
        let permit = tokio::time::timeout(self.patience, permit)
            .await
            .map_err(|_| Errno::ENOSPC)?
            .map_err(|_| Errno::EIO)?;
        state.append(data, permit);
        self.size.fetch_add(data.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    /// Makes the source have what has been written so far; nothing to do if it does.
    /// `exclusive`: `EEXIST` if somebody else made the object meanwhile. `key` as for
    /// [`Self::write`].
    pub(crate) async fn commit(
        &self,
        source: &Source,
        key: impl Fn() -> Option<String>,
        exclusive: bool,
    ) -> Result<Option<Version>, Errno> {
        let mut held = self.hold().await;
        let key = held.state.place(key());
        held.commit(source, key, exclusive).await
    }

    /// Whether the program knows that the last of it could not be written.
    pub(crate) async fn was_refused(&self) -> bool {
        self.state.lock().await.refused
    }

    /// Another handle writes to it.
    pub(crate) fn join(&self) {
        self.writers.fetch_add(1, Ordering::AcqRel);
    }

    /// No handle writes to it any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.writers.load(Ordering::Acquire) == 0
    }

    /// A handle that wrote to it was closed; `true` if it was the last.
    pub(crate) fn leave(&self) -> bool {
        self.writers.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Gives up what the source has been sent but does not show.
    pub(crate) async fn abandon(&self, source: &Source) {
        let mut state = self.state.lock().await;
        state.forget_tail();
        state.abandon(source).await;
    }

    /// What has been written, where it is still here; `EOPNOTSUPP` where it has been sent on.
    pub(crate) async fn read(&self, offset: u64, length: u64) -> Result<Bytes, Errno> {
        self.state.lock().await.read(offset, length, self.size())
    }
}

/// Holds several drafts, always in the same order, so that two who do never wait for each other.
pub(crate) async fn hold_all(drafts: &mut Vec<Arc<Draft>>) -> Vec<Held<'_>> {
    drafts.sort_by_key(|draft| Arc::as_ptr(draft).addr());
    drafts.dedup_by(|a, b| Arc::ptr_eq(a, b));
    let mut held = Vec::with_capacity(drafts.len());
    for draft in drafts {
        held.push(draft.hold().await);
    }
    held
}

impl Held<'_> {
    /// Whether this is the hold on `draft`.
    pub(crate) fn is(&self, draft: &Draft) -> bool {
        std::ptr::eq(self.draft, draft)
    }

    /// Whether all of it is here and the source has none of it: its name is ours alone.
    pub(crate) fn is_ours_alone(&self) -> bool {
        self.state.is_whole(self.draft.size()) && self.state.committed.is_none()
    }

    /// See [`Draft::commit`].
    pub(crate) async fn commit(
        &mut self,
        source: &Source,
        key: Option<String>,
        exclusive: bool,
    ) -> Result<Option<Version>, Errno> {
        if let Some(errno) = self.state.failed {
            return Err(errno);
        }
        let Some(key) = key else {
            self.state.abandon(source).await;
            return Ok(None);
        };
        if !self.state.dirty {
            return Ok(self.state.committed.clone());
        }
        let version = Version {
            etag: self.state.send_rest(source, &key, exclusive).await?,
            size: self.draft.size(),
            modified: self.draft.modified(),
        };
        self.state.committed = Some(version.clone());
        (self.state.dirty, self.state.refused) = (false, false);
        Ok(Some(version))
    }

    /// The source has moved a version, which may be what was committed.
    pub(crate) fn moved(&mut self, from: &Version, to: &Version) {
        if self
            .state
            .committed
            .as_ref()
            .is_some_and(|known| known.etag == from.etag)
        {
            self.state.committed = Some(to.clone());
        }
    }

    /// The file lost its name: what is still written goes nowhere.
    pub(crate) fn discard(&mut self) {
        self.state.discarded = true;
    }
}
