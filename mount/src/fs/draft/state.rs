//! The bytes of a draft: in memory, on their way, or in the source.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fuser::Errno;
use tokio::sync::OwnedSemaphorePermit;

use super::super::inode::Version;
use super::super::source::Source;
use super::super::upload::{Upload, part_bytes};

#[derive(Debug)]
pub(super) struct State {
    /// The bytes after what `upload` has.
    tail: BytesMut,
    held: Option<OwnedSemaphorePermit>,
    upload: Option<Upload>,
    /// What the source has of this draft, and as what.
    pub(super) committed: Option<Version>,
    pub(super) dirty: bool,
    /// The program was told that this could not be written, by `fsync` or `close`.
    pub(super) refused: bool,
    /// Parts that were lost cannot be sent again: the draft cannot be completed any more.
    pub(super) failed: Option<Errno>,
    /// It was unlinked, or something else got its name.
    pub(super) discarded: bool,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            tail: BytesMut::new(),
            held: None,
            upload: None,
            committed: None,
            dirty: true,
            refused: false,
            failed: None,
            discarded: false,
        }
    }

    /// Where the draft goes, if it goes anywhere.
    pub(super) fn place(&self, key: Option<String>) -> Option<String> {
        key.filter(|_| !self.discarded)
    }

    /// Whether all of `size` bytes are here.
    pub(super) fn is_whole(&self, size: u64) -> bool {
        self.upload.is_none() && self.tail.len() as u64 == size
    }

    pub(super) fn append(&mut self, data: &[u8], permit: OwnedSemaphorePermit) {
        self.tail.extend_from_slice(data);
        match &mut self.held {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
    }

    pub(super) fn read(&self, offset: u64, length: u64, size: u64) -> Result<Bytes, Errno> {
        let start = size - self.tail.len() as u64;
        let end = size.min(offset.saturating_add(length));
        if offset >= end {
            return Ok(Bytes::new());
        }
        if offset < start {
            return Err(Errno::EOPNOTSUPP);
        }
        let index = |at: u64| usize::try_from(at - start).map_err(|_| Errno::EIO);
        Ok(Bytes::copy_from_slice(
            &self.tail[index(offset)?..index(end)?],
        ))
    }

    /// After a commit of a large file its bytes are no longer here: what follows is appended to a
    /// copy the source makes of them.
    pub(super) async fn resume(
        &mut self,
        source: &Source,
        key: &str,
        size: u64,
    ) -> Result<(), Errno> {
        let sent_on = size > 0 && self.tail.is_empty() && self.upload.is_none();
        if sent_on && let Some(version) = &self.committed {
            self.upload = Some(Upload::after(source, key, version).await?);
        }
        Ok(())
    }

    pub(super) async fn send_full_parts(
        &mut self,
        source: &Source,
        key: &str,
    ) -> Result<(), Errno> {
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

    /// Sends what is left and makes the object appear; its `ETag` is returned.
    pub(super) async fn send_rest(
        &mut self,
        source: &Source,
        key: &str,
        exclusive: bool,
    ) -> Result<Arc<str>, Errno> {
        let Some(upload) = self.upload.take() else {
            let exclusive = exclusive && self.committed.is_none();
            let body = self.tail.split().freeze();
            let put = source.put(key, body.clone(), exclusive).await;
            // Kept for what may be written after it.
            self.tail = BytesMut::from(body);
            return put.inspect_err(|_| self.refused = true);
        };
        let (tail, held) = (self.tail.split().freeze(), self.held.take());
        let finished = if upload.key() == key {
            upload.finish(source, tail, held).await
        } else {
            // A directory above was renamed under it. It must not appear where it was.
            upload.abort(source).await;
            Err(Errno::ESTALE)
        };
        finished.inspect_err(|errno| self.failed = Some(*errno))
    }

    pub(super) fn forget_tail(&mut self) {
        self.tail.clear();
        self.held = None;
    }

    pub(super) async fn abandon(&mut self, source: &Source) {
        self.dirty = false;
        if let Some(upload) = self.upload.take() {
            upload.abort(source).await;
        }
    }
}
