//! How an object is cut into the parts of an upload. The cut depends on nothing but the offset, so
//! a part that was sent before its neighbours are known never has to be cut again.

use std::ops::Range;

/// Size of the first parts, in bytes. S3 asks for at least 5 MiB but of the last. A file that is no
/// larger is sent whole.
pub(crate) const PART_BYTES: u64 = 8 * 1024 * 1024;

/// Parts grow twofold after each so many, so that 10,000 of them, S3's limit, make 290 GiB while
/// files of ordinary size need little memory.
const PARTS_PER_SIZE: u16 = 2_500;

/// S3's limit (user guide, "Amazon S3 multipart upload limits").
const PARTS_MAX: u16 = 10_000;

/// Largest file, in bytes: what fits into so many parts.
pub(crate) const FILE_BYTES_MAX: u64 =
    PART_BYTES * PARTS_PER_SIZE as u64 * ((1 << (PARTS_MAX / PARTS_PER_SIZE)) - 1);

/// The part that the byte at `offset` belongs to: its number, from 1, and its range in a file that
/// is large enough. `None` beyond the last possible part.
pub(crate) fn part_at(offset: u64) -> Option<(u16, Range<u64>)> {
    let (mut first, mut start) = (0, 0);
    while first < PARTS_MAX {
        let size = PART_BYTES << (first / PARTS_PER_SIZE);
        let end = start + size * u64::from(PARTS_PER_SIZE);
        if offset < end {
            let index = u16::try_from((offset - start) / size).ok()?;
            let begin = start + size * u64::from(index);
            return Some((first + index + 1, begin..begin + size));
        }
        (first, start) = (first + PARTS_PER_SIZE, end);
    }
    None
}

/// All parts of a file of `size` bytes, in order.
pub(crate) fn parts_of(size: u64) -> impl Iterator<Item = (u16, Range<u64>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (number, range) = part_at(at).filter(|_| at < size)?;
        at = range.end;
        Some((number, range.start..range.end.min(size)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_within_s3_limits_and_make_large_files() {
        const GIB: u64 = 1024 * 1024 * 1024;
        const { assert!(FILE_BYTES_MAX > 290 * GIB) };
        let parts: Vec<_> = parts_of(FILE_BYTES_MAX).collect();
        assert_eq!(parts.len(), usize::from(PARTS_MAX));
        assert_eq!(parts.last().unwrap().1.end, FILE_BYTES_MAX);
        assert!(
            parts
                .iter()
                .all(|(_, range)| range.end - range.start >= 5 << 20)
        );
        assert!(part_at(FILE_BYTES_MAX).is_none());
    }

    #[test]
    fn parts_follow_each_other_and_only_the_last_is_cut() {
        let size = PART_BYTES * (u64::from(PARTS_PER_SIZE) + 3) + 5;
        let (mut at, mut next) = (0, 1);
        for (number, range) in parts_of(size) {
            assert_eq!((range.start, number), (at, next));
            let (_, whole) = part_at(range.start).unwrap();
            assert!(range.end == size || range == whole);
            assert_eq!(part_at(range.end - 1).unwrap().0, number);
            (at, next) = (range.end, next + 1);
        }
        assert_eq!(at, size);
        assert_eq!(parts_of(0).count(), 0);
    }
}
