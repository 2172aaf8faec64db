//! Reads of one open file: straight from the source, or from what was fetched ahead.

mod part;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use fuser::Errno;
use tokio::sync::Semaphore;

use self::part::Part;
use super::readahead::Planner;
use super::source::{Source, Target};

/// Memory of all read-ahead of one mount, in bytes: four streams at full window; more streams
/// than that share it and fetch less far ahead, down to nothing.
pub(crate) const READAHEAD_BYTES_MAX: usize = 128 * 1024 * 1024;

/// One request of read-ahead, in bytes: large enough for a source's full speed, small enough that
/// several are under way at once.
const PART_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Read-ahead of one handle.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    stream: Mutex<Stream>,
}

#[derive(Debug, Default)]
struct Stream {
    planner: Planner,
    /// In order of their offsets; they do not overlap.
    parts: VecDeque<Arc<Part>>,
}

impl Reader {
    /// Reads `range`, which lies within the object.
    ///
    /// `ESTALE` if the object is no longer the target's version, otherwise what the source says.
    pub(crate) async fn read(
        &self,
        source: &Source,
        memory: &Arc<Semaphore>,
        target: &Target,
        range: Range<u64>,
    ) -> Result<Bytes, Errno> {
        let parts = self.plan(source, memory, target, &range);
        if parts.is_empty() {
            return source.read(target, range).await;
        }
        let length = usize::try_from(range.end - range.start).map_err(|_| Errno::EINVAL)?;
        let mut answer = BytesMut::with_capacity(length);
        let mut at = range.start;
        for part in parts {
            if at < part.range.start {
                answer.extend_from_slice(&source.read(target, at..part.range.start).await?);
                at = part.range.start;
            }
            let end = range.end.min(part.range.end);
            match part.copy(at..end, &mut answer).await {
                Ok(()) => {}
                Err(Errno::ESTALE) => return Err(Errno::ESTALE),
                // The connection of the read-ahead broke: this read has its own patience.
                Err(_) => answer.extend_from_slice(&source.read(target, at..end).await?),
            }
            at = end;
        }
        if at < range.end {
            answer.extend_from_slice(&source.read(target, at..range.end).await?);
        }
        Ok(answer.freeze())
    }

    /// Updates the plan, starts what it wants fetched, and returns the parts that `range` touches.
    fn plan(
        &self,
        source: &Source,
        memory: &Arc<Semaphore>,
        target: &Target,
        range: &Range<u64>,
    ) -> Vec<Arc<Part>> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = stream.planner.on_read(range, target.size);
        if plan.reset {
            stream.parts.clear();
        }
        while let Some(first) = stream.parts.front()
            && first.range.end <= plan.keep_from
        {
            stream.parts.pop_front();
        }
        for piece in plan.fetch.into_iter().flat_map(pieces) {
            // Without memory this piece is read directly when its turn comes.
            let Some(part) = Part::fetch(source, memory, target, piece) else {
                break;
            };
            stream.parts.push_back(part);
        }
        stream
            .parts
            .iter()
            .filter(|part| part.range.start < range.end && range.start < part.range.end)
            .cloned()
            .collect()
    }
}

/// Cuts a range into requests.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = range.end.min(start + PART_BYTES_MAX);
        (start < at).then_some(start..at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_without_holes() {
        let cut: Vec<_> = pieces(3..3 + 2 * PART_BYTES_MAX + 1).collect();
        assert_eq!(
            cut,
            [
                3..3 + PART_BYTES_MAX,
                3 + PART_BYTES_MAX..3 + 2 * PART_BYTES_MAX,
                3 + 2 * PART_BYTES_MAX..4 + 2 * PART_BYTES_MAX,
            ]
        );
        assert_eq!(pieces(5..5).count(), 0);
    }
}
