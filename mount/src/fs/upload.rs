//! One multipart upload, several parts of it under way at once.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fuser::Errno;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::inode::Version;
use super::source::{Source, UploadId, UploadedPart};

/// Parts of one file under way: enough to hide a source's latency, and the memory of one file stays
/// at five parts.
const PARTS_IN_FLIGHT_MAX: usize = 4;

/// First parts, in bytes. S3 asks for at least 5 MiB but of the last.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Parts grow twofold after each so many, so that 10,000 of them, S3's limit, make 290 GiB while
/// files of ordinary size need little memory.
const PARTS_PER_SIZE: u16 = 2_500;

/// S3's limit (user guide, "Amazon S3 multipart upload limits").
const PARTS_MAX: u16 = 10_000;

/// Largest piece a source is asked to copy at once: it answers only when it has.
const COPY_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Size of part `number`, counted from 1. `None` beyond the last possible part.
pub(crate) fn part_bytes(number: u16) -> Option<usize> {
    (1..=PARTS_MAX)
        .contains(&number)
        .then(|| PART_BYTES << ((number - 1) / PARTS_PER_SIZE))
}

/// An upload that has been started and not yet completed or aborted.
#[derive(Debug)]
pub(crate) struct Upload {
    id: Arc<UploadId>,
    next: u16,
    done: Vec<UploadedPart>,
    under_way: VecDeque<JoinHandle<Result<UploadedPart, Errno>>>,
}

impl Upload {
    pub(crate) async fn start(source: &Source, key: &str) -> Result<Self, Errno> {
        Ok(Self {
            id: Arc::new(source.start_upload(key).await?),
            next: 1,
            done: Vec::new(),
            under_way: VecDeque::new(),
        })
    }

    /// An upload that begins with what `key` has already, copied by the source: at least one full
    /// part, since a smaller file is kept in memory.
    pub(crate) async fn after(
        source: &Source,
        key: &str,
        version: &Version,
    ) -> Result<Self, Errno> {
        let mut upload = Self::start(source, key).await?;
        let copied = upload.copy(source, key, version).await;
        if let Err(errno) = copied {
            upload.abort(source).await;
            return Err(errno);
        }
        Ok(upload)
    }

    async fn copy(&mut self, source: &Source, key: &str, version: &Version) -> Result<(), Errno> {
        // Equal pieces: none but the last part of an upload may be small, and bytes follow these.
        let pieces = version.size.div_ceil(COPY_BYTES_MAX);
        let piece = version.size.div_ceil(pieces.max(1)).max(1);
        let mut start = 0;
        while start < version.size {
            let range = start..(start + piece).min(version.size);
            start = range.end;
            let part = source.copy_part(key, version, range, &self.id, self.next);
            self.done.push(part.await?);
            self.next += 1;
        }
        Ok(())
    }

    /// Where the object will appear.
    pub(crate) fn key(&self) -> &str {
        &self.id.key
    }

    pub(crate) fn next_part(&self) -> u16 {
        self.next
    }

    /// Sends the next part, after waiting for an earlier one if too many are under way.
    /// An error may be that of an earlier part.
    pub(crate) async fn send(
        &mut self,
        source: &Source,
        body: Bytes,
        memory: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Errno> {
        while self.under_way.len() >= PARTS_IN_FLIGHT_MAX {
            self.wait_for_one().await?;
        }
        let (source, id, number) = (source.clone(), self.id.clone(), self.next);
        self.next += 1;
        self.under_way.push_back(tokio::spawn(async move {
            let part = source.upload_part(&id, number, body).await;
            drop(memory);
            part
        }));
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<(), Errno> {
        if let Some(task) = self.under_way.pop_front() {
            self.done.push(task.await.map_err(|_| Errno::EIO)??);
        }
        Ok(())
    }

    /// Sends the last bytes and makes the object appear; its `ETag` is returned. On an error the
    /// upload is aborted.
    pub(crate) async fn finish(
        mut self,
        source: &Source,
        tail: Bytes,
        memory: Option<OwnedSemaphorePermit>,
    ) -> Result<Arc<str>, Errno> {
        let finished = self.try_finish(source, tail, memory).await;
        if finished.is_err() {
            self.abort(source).await;
        }
        finished
    }

    async fn try_finish(
        &mut self,
        source: &Source,
        tail: Bytes,
        memory: Option<OwnedSemaphorePermit>,
    ) -> Result<Arc<str>, Errno> {
        if !tail.is_empty() {
            self.send(source, tail, memory).await?;
        }
        while !self.under_way.is_empty() {
            self.wait_for_one().await?;
        }
        source.complete_upload(&self.id, &self.done).await
    }

    /// Ends the upload without a trace. If even that fails, it is the bucket's lifecycle rules' to
    /// clear.
    pub(crate) async fn abort(mut self, source: &Source) {
        for task in self.under_way.drain(..) {
            task.abort();
        }
        if let Err(errno) = source.abort_upload(&self.id).await {
            tracing::warn!(?errno, "an unfinished upload was left in the source");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_within_s3_limits_and_make_large_files() {
        const GIB: usize = 1024 * 1024 * 1024;
        let total: usize = (1..).map_while(part_bytes).sum();
        assert!(total > 290 * GIB);
        assert_eq!(part_bytes(0), None);
        assert_eq!(part_bytes(1), Some(PART_BYTES));
        assert_eq!(part_bytes(PARTS_MAX + 1), None);
        assert!((1..).map_while(part_bytes).all(|bytes| bytes >= 5 << 20));
    }
}
