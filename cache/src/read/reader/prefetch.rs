//! One range that is being fetched ahead; its bytes can be had as they arrive.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::super::budget::Lease;
use super::super::{Object, stream};
use crate::store::ObjectStore;

#[derive(Debug)]
pub(super) struct Prefetch {
    pub(super) range: Range<u64>,
    arrived: Mutex<Arrived>,
    news: Notify,
    /// Given back when the last reader has let go of the bytes.
    memory: Lease,
}

#[derive(Debug)]
struct Arrived {
    /// Offsets of their first bytes, ascending without holes.
    chunks: Vec<(u64, Bytes)>,
    end: u64,
    failed: bool,
    /// Bytes that were handed to readers, each as often as it was.
    copied: u64,
    task: Option<AbortHandle>,
}

impl Prefetch {
    /// Starts to fetch `range`, for which there is `memory`.
    pub(super) fn start(
        store: &ObjectStore,
        object: &Object,
        range: Range<u64>,
        memory: Lease,
    ) -> Arc<Self> {
        let prefetch = Arc::new(Self {
            arrived: Mutex::new(Arrived {
                chunks: Vec::new(),
                end: range.start,
                failed: false,
                copied: 0,
                task: None,
            }),
            range,
            news: Notify::new(),
            memory,
        });
        // The task does not keep it: dropping the last reader's handle ends the download.
        let (weak, range) = (Arc::downgrade(&prefetch), prefetch.range.clone());
        let (store, object) = (store.clone(), object.clone());
        let task = tokio::spawn(async move {
            let result = stream(&store, &object, range, |chunk| match weak.upgrade() {
                Some(prefetch) => prefetch.append(chunk),
                None => false,
            });
            if let Err(error) = result.await
                && let Some(prefetch) = weak.upgrade()
            {
                tracing::debug!(%error, "reading ahead failed");
                prefetch.fail();
            }
        });
        prefetch.lock().task = Some(task.abort_handle());
        prefetch
    }

    /// The memory it has, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Whether readers had as many bytes of it as there are.
    pub(super) fn is_used_up(&self) -> bool {
        self.lock().copied >= self.range.end - self.range.start
    }

    /// Appends `wanted`, which lies within the range, to `answer`, as soon as it has arrived.
    /// `false`, and nothing has been appended, if it does not.
    pub(super) async fn copy(&self, wanted: Range<u64>, answer: &mut BytesMut) -> bool {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // From here on no news is missed.
            news.as_mut().enable();
            {
                let mut arrived = self.lock();
                if arrived.end >= wanted.end {
                    arrived.copy(wanted, answer);
                    return true;
                }
                if arrived.failed {
                    return false;
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

    fn fail(&self) {
        self.lock().failed = true;
        self.news.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrived {
    fn copy(&mut self, wanted: Range<u64>, answer: &mut BytesMut) {
        self.copied += wanted.end - wanted.start;
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

impl Drop for Prefetch {
    fn drop(&mut self) {
        if let Some(task) = self.lock().task.take() {
            task.abort();
        }
    }
}
