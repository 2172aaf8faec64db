//! Reads of one open file: straight from the store, or from what was fetched ahead.

mod prefetch;
mod stream;

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use self::prefetch::Prefetch;
use self::stream::Stream;
use super::budget::Budget;
use super::{Object, in_memory, read_range};
use crate::error::StoreError;
use crate::store::ObjectStore;

/// Reads of one open file, with read-ahead.
///
/// A read is never refused for want of memory: without any it waits for other reads' answers, and
/// goes straight to the store.
#[derive(Debug)]
pub struct Reader {
    store: ObjectStore,
    budget: Arc<Budget>,
    stream: Arc<Stream>,
}

impl Reader {
    /// A reader that has read nothing yet.
    #[must_use]
    pub fn new(store: ObjectStore, budget: Arc<Budget>) -> Self {
        Self {
            store,
            budget,
            stream: Arc::default(),
        }
    }

    /// Reads `range` of `object`; what lies behind its end is left out.
    ///
    /// The whole range is in memory at once and counted as a reply for as long as any clone of the
    /// answer is: the caller bounds its length. The object's key may be another than at the last
    /// read, after a rename; with another version, what was fetched ahead is dropped. Errors are
    /// those of [`read_range`].
    pub async fn read(&self, object: &Object, range: Range<u64>) -> Result<Bytes, StoreError> {
        let range = range.start..range.end.min(object.size);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let memory = self.budget.reply(in_memory(range.end - range.start)).await;
        let ahead = self.stream.plan(&self.store, &self.budget, object, &range);
        let answer = if ahead.fetched.is_empty() {
            read_range(&self.store, object, range).await?
        } else {
            let answer = self.assemble(object, range, &ahead.fetched).await?;
            self.stream.release();
            answer
        };
        Ok(memory.cover(answer))
    }

    /// Reads a range of which `fetched` has some, in order of offsets.
    async fn assemble(
        &self,
        object: &Object,
        range: Range<u64>,
        fetched: &[Arc<Prefetch>],
    ) -> Result<Bytes, StoreError> {
        let mut answer = BytesMut::with_capacity(in_memory(range.end - range.start));
        let mut at = range.start;
        for prefetch in fetched {
            if at < prefetch.range.start {
                let missing = at..prefetch.range.start;
                answer.extend_from_slice(&read_range(&self.store, object, missing).await?);
                at = prefetch.range.start;
            }
            let end = range.end.min(prefetch.range.end);
            // It may have failed because its connection broke, or because a rename took its key
            // away. This read has its own timeout and the key as it is now; if the version has
            // gone, it is told so.
            if !prefetch.copy(at..end, &mut answer).await {
                answer.extend_from_slice(&read_range(&self.store, object, at..end).await?);
            }
            at = end;
        }
        if at < range.end {
            answer.extend_from_slice(&read_range(&self.store, object, at..range.end).await?);
        }
        Ok(answer.freeze())
    }
}

#[cfg(test)]
mod tests;
