//! One range that is being fetched ahead; its bytes can be had as they arrive.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use fuser::Errno;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use super::super::source::{Source, Target};

#[derive(Debug)]
pub(super) struct Part {
    pub(super) range: Range<u64>,
    arrived: Mutex<Arrived>,
    news: Notify,
    /// Given back when the last reader has let go of the bytes.
    _memory: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Arrived {
    /// Offsets of their first bytes, ascending without holes.
    chunks: Vec<(u64, Bytes)>,
    end: u64,
    failed: Option<Errno>,
    task: Option<AbortHandle>,
}

impl Part {
    /// Starts to fetch `range`, or does nothing if there is no memory for it now.
    pub(super) fn fetch(
        source: &Source,
        memory: &Arc<Semaphore>,
        target: &Target,
        range: Range<u64>,
    ) -> Option<Arc<Self>> {
        let length = u32::try_from(range.end - range.start).ok()?;
        let permit = memory.clone().try_acquire_many_owned(length).ok()?;
        let part = Arc::new(Self {
            arrived: Mutex::new(Arrived {
                chunks: Vec::new(),
                end: range.start,
                failed: None,
                task: None,
            }),
            range,
            news: Notify::new(),
            _memory: permit,
        });
        // The task does not keep the part: dropping the last reader's handle ends the download.
        let (weak, range) = (Arc::downgrade(&part), part.range.clone());
        let (source, target) = (source.clone(), target.clone());
        let task = tokio::spawn(async move {
            let result = source.stream(&target, range, |chunk| match weak.upgrade() {
                Some(part) => part.append(chunk),
                None => false,
            });
            if let Err(errno) = result.await
                && let Some(part) = weak.upgrade()
            {
                part.fail(errno);
            }
        });
        part.lock().task = Some(task.abort_handle());
        Some(part)
    }

    /// Appends `wanted`, which lies within the part, to `answer`, as soon as it has arrived.
    /// On an error nothing has been appended.
    pub(super) async fn copy(
        &self,
        wanted: Range<u64>,
        answer: &mut BytesMut,
    ) -> Result<(), Errno> {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // From here on no news is missed.
            news.as_mut().enable();
            {
                let arrived = self.lock();
                if arrived.end >= wanted.end {
                    arrived.copy(wanted, answer);
                    return Ok(());
                }
                if let Some(errno) = arrived.failed {
                    return Err(errno);
                }
            }
            news.await;
        }
    }

    /// Takes bytes over; `false` when there are enough.
    fn append(&self, chunk: Bytes) -> bool {
        let mut arrived = self.lock();
        let at = arrived.end;
        arrived.end += chunk.len() as u64;
        arrived.chunks.push((at, chunk));
        let more = arrived.end < self.range.end;
        drop(arrived);
        self.news.notify_waiters();
        more
    }

    fn fail(&self, errno: Errno) {
        self.lock().failed = Some(errno);
        self.news.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrived {
    fn copy(&self, wanted: Range<u64>, answer: &mut BytesMut) {
        let first = self
            .chunks
            .partition_point(|(at, chunk)| at + chunk.len() as u64 <= wanted.start);
        for (at, chunk) in &self.chunks[first..] {
            if *at >= wanted.end {
                break;
            }
            let from = within(wanted.start, *at, chunk);
            let to = within(wanted.end, *at, chunk);
            answer.extend_from_slice(&chunk[from..to]);
        }
    }
}

/// The index in a chunk that begins at `start` of the absolute offset, or the nearest there is.
fn within(offset: u64, start: u64, chunk: &Bytes) -> usize {
    usize::try_from(offset.saturating_sub(start)).map_or(chunk.len(), |at| at.min(chunk.len()))
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(task) = self.lock().task.take() {
            task.abort();
        }
    }
}
