//! A file that is being written in order: its bytes on their way to the source.
//!
//! A small file is one PUT. A larger one streams as the parts of a multipart upload. Either way the
//! source shows nothing before [`Draft::commit`], and then the whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use fuser::Errno;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::inode::Version;
use super::source::Source;
use super::upload::{Upload, part_bytes};

/// Memory of all files being written on one mount, in bytes: thirty files with a full part each.
pub(crate) const DRAFT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A file on its way to the source.
#[derive(Debug)]
pub(crate) struct Draft {
    size: AtomicU64,
    /// When the last byte came, in milliseconds since the epoch.
    modified_ms: AtomicU64,
    /// It was unlinked: what is still written goes nowhere.
    discarded: AtomicBool,
    /// Handles that write to it.
    writers: AtomicU32,
    state: Mutex<State>,
    memory: Arc<Semaphore>,
    patience: Duration,
}

#[derive(Debug)]
struct State {
    /// The bytes after what `upload` has.
    tail: BytesMut,
    held: Option<OwnedSemaphorePermit>,
    upload: Option<Upload>,
    /// What the source has of this draft, and as what.
    committed: Option<Version>,
    dirty: bool,
    /// The program was told that this could not be written, by `fsync` or `close`.
    refused: bool,
    /// Parts that were lost cannot be sent again: the draft cannot be completed any more.
    failed: Option<Errno>,
}

impl Draft {
    /// An empty file. A write waits `patience` for memory, then it is `ENOSPC`.
    pub(crate) fn new(memory: Arc<Semaphore>, patience: Duration) -> Self {
        let draft = Self {
            size: AtomicU64::new(0),
            modified_ms: AtomicU64::new(0),
            discarded: AtomicBool::new(false),
            writers: AtomicU32::new(0),
            state: Mutex::new(State {
                tail: BytesMut::new(),
                held: None,
                upload: None,
                committed: None,
                dirty: true,
                refused: false,
                failed: None,
            }),
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

    /// Nobody will see it any more.
    pub(crate) fn discard(&self) {
        self.discarded.store(true, Ordering::Release);
    }

    /// Appends `data` at `offset`. `EOPNOTSUPP` anywhere but at the end, `ENOSPC` without memory,
    /// `EFBIG` beyond what fits into one upload, otherwise what the source says to earlier parts.
    pub(crate) async fn write(
        &self,
        source: &Source,
        key: Option<&str>,
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
        let Some(key) = key.filter(|_| !self.discarded.load(Ordering::Acquire)) else {
            self.size.fetch_add(data.len() as u64, Ordering::AcqRel);
            return Ok(());
        };
        state.resume(source, key, self.size()).await?;
        self.reserve(&mut state, data.len()).await?;
        state.tail.extend_from_slice(data);
        state.dirty = true;
        state.refused = false;
        self.size.fetch_add(data.len() as u64, Ordering::AcqRel);
        state.send_full_parts(source, key).await
    }

    async fn reserve(&self, state: &mut State, bytes: usize) -> Result<(), Errno> {
        let bytes = u32::try_from(bytes).map_err(|_| Errno::EINVAL)?;
        let permit = self.memory.clone().acquire_many_owned(bytes);
        let permit = tokio::time::timeout(self.patience, permit)
            .await
            .map_err(|_| Errno::ENOSPC)?
            .map_err(|_| Errno::EIO)?;
        match &mut state.held {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }

    /// Makes the source have what has been written so far; nothing to do if it does.
    /// `exclusive`: `EEXIST` if somebody else made the object meanwhile.
    pub(crate) async fn commit(
        &self,
        source: &Source,
        key: Option<&str>,
        exclusive: bool,
    ) -> Result<Option<Version>, Errno> {
        let mut state = self.state.lock().await;
        if let Some(errno) = state.failed {
            return Err(errno);
        }
        let Some(key) = key.filter(|_| !self.discarded.load(Ordering::Acquire)) else {
            state.abandon(source).await;
            return Ok(None);
        };
        if !state.dirty {
            return Ok(state.committed.clone());
        }
        let exclusive = exclusive && state.committed.is_none();
        let etag = match state.upload.take() {
            None => {
                let body = state.tail.split().freeze();
                let put = source.put(key, body.clone(), exclusive).await;
                // Kept for what may be written after it.
                state.tail = BytesMut::from(body);
                put.inspect_err(|_| state.refused = true)?
            }
            Some(upload) => {
                let tail = state.tail.split().freeze();
                let held = state.held.take();
                let finished = upload.finish(source, tail, held).await;
                finished.inspect_err(|errno| state.failed = Some(*errno))?
            }
        };
        let version = Version {
            etag,
            size: self.size(),
            modified: self.modified(),
        };
        state.committed = Some(version.clone());
        (state.dirty, state.refused) = (false, false);
        Ok(Some(version))
    }

    /// Whether the program knows that the last of it could not be written.
    pub(crate) async fn was_refused(&self) -> bool {
        self.state.lock().await.refused
    }

    /// Whether the source has anything of it.
    pub(crate) async fn was_committed(&self) -> bool {
        self.state.lock().await.committed.is_some()
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
        self.state.lock().await.abandon(source).await;
    }

    /// What has been written, where it is still here; `EOPNOTSUPP` where it has been sent on.
    pub(crate) async fn read(&self, offset: u64, length: u64) -> Result<Bytes, Errno> {
        let state = self.state.lock().await;
        let size = self.size();
        let start = size - state.tail.len() as u64;
        let end = size.min(offset.saturating_add(length));
        if offset >= end {
            return Ok(Bytes::new());
        }
        if offset < start {
            return Err(Errno::EOPNOTSUPP);
        }
        let index = |at: u64| usize::try_from(at - start).map_err(|_| Errno::EIO);
        Ok(Bytes::copy_from_slice(
            &state.tail[index(offset)?..index(end)?],
        ))
    }
}

impl State {
    /// After a commit of a large file its bytes are no longer here: what follows is appended to a
    /// copy the source makes of them.
    async fn resume(&mut self, source: &Source, key: &str, size: u64) -> Result<(), Errno> {
        let sent_on = size > 0 && self.tail.is_empty() && self.upload.is_none();
        if sent_on && let Some(version) = &self.committed {
            self.upload = Some(Upload::after(source, key, version).await?);
        }
        Ok(())
    }

    async fn send_full_parts(&mut self, source: &Source, key: &str) -> Result<(), Errno> {
        loop {
            let next = self.upload.as_ref().map_or(1, Upload::next_part);
            let length = part_bytes(next).ok_or(Errno::EFBIG)?;
            if self.tail.len() < length {
                return Ok(());
            }
            let upload = match &mut self.upload {
                Some(upload) => upload,
                none => none.insert(Upload::start(source, key).await?),
            };
            let part = self.tail.split_to(length).freeze();
            let held = self.held.as_mut().and_then(|held| held.split(length));
            let sent = upload.send(source, part, held).await;
            sent.inspect_err(|errno| self.failed = Some(*errno))?;
        }
    }

    async fn abandon(&mut self, source: &Source) {
        self.tail.clear();
        self.held = None;
        self.dirty = false;
        if let Some(upload) = self.upload.take() {
            upload.abort(source).await;
        }
    }
}
