//! How much of the node's disk datasets may fill.

use std::collections::HashMap;
use std::str::FromStr;

use dlf_core::api::quantity_bytes;
use dlf_wire::mounter::v1::Staging;
use rustix::fs::fstatvfs;

use super::{Directories, name_of};
use crate::sys::SysError;

/// Below this part of the node's limit, in use by all together, each dataset may have its own in full:
/// what can be added until we look again is less than the rest.
const AT_EASE: u64 = 2;

/// A flag that is no size.
#[derive(Debug, thiserror::Error)]
#[error("found {found:?}; expected {expected}")]
pub struct BadSize {
    found: String,
    expected: &'static str,
}

/// A number of bytes above zero, given as a quantity of Kubernetes: `64Gi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        quantity_bytes(text).map(Self).ok_or_else(|| BadSize {
            found: text.to_owned(),
            expected: "a quantity above zero, as 64Gi",
        })
    }
}

/// What has to stay free of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeMin {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of it.
    Percent(u8),
}

impl FreeMin {
    /// In bytes, of a disk of so many.
    fn of(self, disk: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            // Rounded down by less than 100 bytes.
            Self::Percent(percent) => disk / 100 * u64::from(percent),
        }
    }
}

impl FromStr for FreeMin {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let found = match text.strip_suffix('%') {
            Some(percent) => percent
                .parse()
                .ok()
                .filter(|percent| (1..100).contains(percent))
                .map(Self::Percent),
            None => quantity_bytes(text).map(Self::Bytes),
        };
        found.ok_or_else(|| BadSize {
            found: text.to_owned(),
            expected: "a quantity above zero, as 20Gi, or 1% to 99%",
        })
    }
}

/// Limits of the node's disk.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one file.
    pub per_file: u64,
    /// Bytes of a dataset's directory.
    pub per_dataset: u64,
    /// Bytes of all directories.
    pub per_node: u64,
    /// What stays free whatever the others say.
    pub min_free: FreeMin,
}

/// What the datasets filled when it was looked at last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes by the directory's name.
    pub(super) used: HashMap<String, u64>,
    /// Datasets that may go on filling: those with mounts.
    pub(super) filling: u64,
}

impl Room {
    /// What one dataset may have now.
    ///
    /// All have what `limits` say, as long as all together have less than half of the node's. Beyond
    /// that each may have what it has and an equal share of the rest: so the sum stays within the
    /// node's, and nobody is asked to give anything up.
    fn dataset_max(&self, limits: &Limits, name: &str) -> u64 {
        let total = self
            .used
            .values()
            .fold(0_u64, |sum, used| sum.saturating_add(*used));
        if total <= limits.per_node / AT_EASE {
            return limits.per_dataset.min(limits.per_node);
        }
        let share = limits.per_node.saturating_sub(total) / self.filling.max(1);
        let own = self.used.get(name).copied().unwrap_or_default();
        limits.per_dataset.min(own.saturating_add(share))
    }
}

impl Directories {
    /// What a child of this dataset is told of its directory; none for a handle that no dataset has.
    pub fn staging(&self, handle: &str) -> Result<Option<Staging>, SysError> {
        let Some(name) = name_of(handle) else {
            return Ok(None);
        };
        let disk = fstatvfs(&self.root).map_err(SysError::on("look at the disk of", &self.path))?;
        let disk = disk.f_blocks.saturating_mul(disk.f_frsize);
        let dataset_bytes_max = self.room().dataset_max(&self.limits, name);
        Ok(Some(Staging {
            directory: name.to_owned(),
            file_bytes_max: self.limits.per_file.min(dataset_bytes_max),
            dataset_bytes_max,
            free_bytes_min: self.limits.min_free.of(disk),
        }))
    }

    /// Remembers what is used now; the handles of those datasets, of `handles`, whose limit is another
    /// for it.
    pub(super) fn note(&self, now: Room, handles: &[String]) -> Vec<String> {
        let mut room = self.room();
        let before = std::mem::replace(&mut *room, now);
        let changed = |handle: &&String| {
            name_of(handle).is_some_and(|name| {
                before.dataset_max(&self.limits, name) != room.dataset_max(&self.limits, name)
            })
        };
        handles.iter().filter(changed).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        Limits {
            per_file: 64,
            per_dataset: 128,
            per_node: 256,
            min_free: FreeMin::Percent(15),
        }
    }

    fn room(used: &[(&str, u64)], filling: u64) -> Room {
        Room {
            used: used
                .iter()
                .map(|(name, used)| ((*name).to_owned(), *used))
                .collect(),
            filling,
        }
    }

    #[test]
    fn sizes_are_quantities_and_what_stays_free_may_be_a_part() {
        assert_eq!("64Gi".parse::<Size>().unwrap(), Size(64 << 30));
        assert_eq!("15%".parse::<FreeMin>().unwrap(), FreeMin::Percent(15));
        assert_eq!("2Gi".parse::<FreeMin>().unwrap(), FreeMin::Bytes(2 << 30));
        for wrong in ["", "0", "-1", "64GB", "1.5.2"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
        for wrong in ["%", "0%", "100%", "1.5%", "-1%", "300%", "0"] {
            assert!(wrong.parse::<FreeMin>().is_err(), "{wrong}");
        }
        assert_eq!(FreeMin::Percent(15).of(1000), 150);
        assert_eq!(FreeMin::Percent(99).of(u64::MAX), u64::MAX / 100 * 99);
        assert_eq!(FreeMin::Bytes(7).of(1000), 7);
    }

    #[test]
    fn a_node_at_ease_gives_each_dataset_its_own() {
        for used in [&[][..], &[("a", 128)], &[("a", 60), ("b", 60)]] {
            assert_eq!(room(used, 9).dataset_max(&limits(), "a"), 128);
            assert_eq!(room(used, 9).dataset_max(&limits(), "new"), 128);
        }
    }

    #[test]
    fn beyond_that_they_share_the_rest() {
        let room = room(&[("a", 120), ("b", 40), ("c", 0)], 3);
        assert_eq!(room.dataset_max(&limits(), "a"), 128);
        assert_eq!(room.dataset_max(&limits(), "b"), 72);
        assert_eq!(room.dataset_max(&limits(), "c"), 32);
    }

    #[test]
    fn a_full_node_gives_nobody_more() {
        let room = room(&[("a", 120), ("b", 120), ("c", 60)], 3);
        assert_eq!(room.dataset_max(&limits(), "a"), 120);
        assert_eq!(room.dataset_max(&limits(), "new"), 0);
    }

    proptest! {
        #[test]
        fn under_pressure_all_together_stay_within_the_nodes(
            used in proptest::collection::vec(0_u64..128, 1..20)
        ) {
            let names: Vec<String> = (0..used.len()).map(|number| number.to_string()).collect();
            let room = Room {
                used: names.iter().cloned().zip(used.iter().copied()).collect(),
                filling: used.len() as u64,
            };
            let total: u64 = used.iter().sum();
            prop_assume!(total > limits().per_node / AT_EASE);
            let allowed: u64 = names.iter().map(|name| room.dataset_max(&limits(), name)).sum();
            prop_assert!(allowed <= limits().per_node.max(total), "{allowed} {total}");
        }
    }
}
