//! Reading objects: single ranges, streams that are read ahead, and the memory for both.
//!
//! - [`read_range`]: one range, straight from the store;
//! - [`Reader`]: the reads of one open file, answered from what was fetched ahead where there is
//!   some; `planner` decides when and how far to read ahead;
//! - [`Budget`]: the memory of a whole mount or server, shared by everything that reads or writes.
//!
//! Architecture invariant: every read is of one version of an object. Every request carries
//! `If-Match`, so bytes of two versions are never mixed.

mod budget;
mod planner;
mod reader;

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::future::try_join_all;

pub use budget::{Budget, BudgetUsage, Lease};
pub use reader::Reader;

use crate::error::{ErrorKind, StoreError};
use crate::object::ETag;
use crate::store::ObjectStore;

/// Longest piece of a single read, in bytes. Two halves of 512 KiB arrive sooner than the whole from
/// a store that gives each connection a share of its speed; `SeaweedFS` 4.48 takes 1.9 ms up to here
/// and 5 ms for a byte more. The kernel asks for 1 MiB at most, which makes four pieces.
const PIECE_BYTES_MAX: u64 = 256 * 1024;

/// One version of one object: what a read is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Where the version is now, relative to the origin's prefix. A rename moves it.
    pub key: String,
    /// The version.
    pub etag: ETag,
    /// Of this version, in bytes.
    pub size: u64,
}

/// Reads a range that lies within the object, as several pieces at once if it is long.
///
/// The whole range is in memory at once: the caller bounds its length. If the version has gone, the
/// error is of kind [`ErrorKind::PreconditionFailed`], [`ErrorKind::NotFound`] or
/// [`ErrorKind::RangeNotSatisfiable`].
pub async fn read_range(
    store: &ObjectStore,
    object: &Object,
    range: Range<u64>,
) -> Result<Bytes, StoreError> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let length = range.end - range.start;
    let piece = length.div_ceil(length.div_ceil(PIECE_BYTES_MAX));
    // The pieces fill one buffer, each its own stretch of it.
    let mut rest = BytesMut::with_capacity(in_memory(length));
    let mut pieces = Vec::new();
    for piece in cut(range, piece) {
        let behind = rest.split_off(in_memory(piece.end - piece.start));
        pieces.push(fill(store, object, piece, rest));
        rest = behind;
    }
    let mut whole = BytesMut::new();
    for filled in try_join_all(pieces).await? {
        whole.unsplit(filled);
    }
    Ok(whole.freeze())
}

/// Reads a range to the end of `buffer`.
async fn fill(
    store: &ObjectStore,
    object: &Object,
    range: Range<u64>,
    mut buffer: BytesMut,
) -> Result<BytesMut, StoreError> {
    stream(store, object, range, |chunk| {
        buffer.extend_from_slice(&chunk);
        true
    })
    .await?;
    Ok(buffer)
}

/// Reads a range and hands its bytes over as they come, until `take` returns `false`.
///
/// [`ErrorKind::Protocol`] if the store has fewer bytes of this version than the object's size says.
async fn stream(
    store: &ObjectStore,
    object: &Object,
    range: Range<u64>,
    mut take: impl FnMut(Bytes) -> bool,
) -> Result<(), StoreError> {
    let mut missing = range.end - range.start;
    let body = store.get_range(&object.key, range, Some(&object.etag));
    let mut body = body.await?;
    while let Some(chunk) = body.next_chunk().await {
        let chunk = chunk?;
        missing = missing.saturating_sub(chunk.len() as u64);
        if !take(chunk) {
            return Ok(());
        }
    }
    if missing > 0 {
        let kind = ErrorKind::Protocol("it has fewer bytes of this version than it told");
        return Err(store.source_error(kind));
    }
    Ok(())
}

/// Cuts a range into pieces of `piece` bytes, of which the last may be shorter.
fn cut(range: Range<u64>, piece: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = range.end.min(start.saturating_add(piece));
        (start < at).then_some(start..at)
    })
}

/// The length of something that is to be in memory.
fn in_memory(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_without_holes() {
        assert_eq!(
            cut(3..3 + 2 * 10 + 1, 10).collect::<Vec<_>>(),
            [3..13, 13..23, 23..24]
        );
        assert_eq!(cut(5..5, 10).count(), 0);
    }
}
