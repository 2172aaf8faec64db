//! Which of a cache's servers has which part of which object.
//!
//! Every reader finds the same server for the same bytes without asking anybody, and when servers
//! come or go only their own bytes move. Plugins in any language repeat the choice, so it is made of
//! SHA-256, which all of them have; `plugins/sdk/tests/v2/shards.json` has examples.

use sha2::{Digest, Sha256};

/// Bytes of an object that are kept together where a plan does not say: 4 MiB.
pub const SHARD_BYTES_DEFAULT: u64 = 4 << 20;

/// The shortest units, in bytes: shorter ones make a request of nearly every read.
pub const SHARD_BYTES_MIN: u64 = 256 << 10;

/// More shards are no cache of one dataset.
pub const SHARDS_MAX: usize = 256;

/// The unit of an object that a byte lies in, counted from 0. `shard_bytes` is the length of a unit;
/// 0 keeps an object in one piece.
#[must_use]
pub const fn unit_of(offset: u64, shard_bytes: u64) -> u64 {
    match offset.checked_div(shard_bytes) {
        Some(unit) => unit,
        None => 0,
    }
}

/// The first byte behind the unit that a byte lies in.
#[must_use]
pub const fn unit_end(offset: u64, shard_bytes: u64) -> u64 {
    match offset.checked_rem(shard_bytes) {
        Some(within) => (offset - within).saturating_add(shard_bytes),
        None => u64::MAX,
    }
}

/// Index of the shard that has a unit of an object; none where there are no shards.
///
/// `shards` are named as the plan names them, and `key` is the whole key, with the dataset's prefix.
/// Rendezvous hashing (Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates",
/// IEEE/ACM Transactions on Networking 6(1), 1998): the shard with the highest weight has it, where a
/// weight is the first 8 bytes, big-endian, of SHA-256 over shard, bucket, key and the unit in
/// decimal, with a NUL between two of them. The first of equal weights wins.
pub fn shard_of<'a>(
    shards: impl IntoIterator<Item = &'a str>,
    bucket: &str,
    key: &str,
    unit: u64,
) -> Option<usize> {
    let unit = unit.to_string();
    let mut heaviest = None;
    for (index, shard) in shards.into_iter().enumerate() {
        let weight = weight([shard, bucket, key, &unit]);
        if heaviest.is_none_or(|(most, _)| weight > most) {
            heaviest = Some((weight, index));
        }
    }
    heaviest.map(|(_, index)| index)
}

fn weight(parts: [&str; 4]) -> u64 {
    let mut hash = Sha256::new();
    for (number, part) in parts.into_iter().enumerate() {
        if number > 0 {
            hash.update([0]);
        }
        hash.update(part);
    }
    let hash = hash.finalize();
    hash.iter()
        .take(8)
        .fold(0, |weight, byte| weight << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count)
            .map(|number| format!("http://cache-1-{number}.cache-1.dlf-caches.svc:8080"))
            .collect()
    }

    fn chosen(shards: &[String], unit: u64) -> usize {
        let shards = shards.iter().map(String::as_str);
        shard_of(shards, "books", "train/0.tar", unit).unwrap()
    }

    #[test]
    fn shards_have_about_as_many_units_each() {
        let shards = names(8);
        let mut units = [0; 8];
        for unit in 0..8_000 {
            units[chosen(&shards, unit)] += 1;
        }
        // Three standard deviations of a fair choice are 90.
        assert!(
            units.iter().all(|count| (850..1150).contains(count)),
            "{units:?}"
        );
    }

    #[test]
    fn when_a_shard_goes_only_its_own_units_move_whatever_the_order_of_the_others() {
        let before = names(5);
        let mut after = before.clone();
        let gone = after.remove(2);
        after.reverse();
        for unit in 0..1_000 {
            let (had, has) = (&before[chosen(&before, unit)], &after[chosen(&after, unit)]);
            assert!(had == has || *had == gone);
        }
    }

    #[test]
    fn units_lie_one_behind_the_other() {
        assert_eq!((unit_of(0, 4), unit_of(3, 4), unit_of(4, 4)), (0, 0, 1));
        assert_eq!((unit_end(0, 4), unit_end(3, 4), unit_end(4, 4)), (4, 4, 8));
        assert_eq!(unit_end(u64::MAX - 1, 4), u64::MAX);
        assert_eq!((unit_of(99, 0), unit_end(99, 0)), (0, u64::MAX));
    }

    #[test]
    fn there_is_none_of_none() {
        assert_eq!(shard_of([], "b", "k", 0), None);
        assert_eq!(shard_of(["a"], "b", "k", 7), Some(0));
    }
}
