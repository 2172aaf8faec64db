//! A new consumer sees the source as it is: what was believed before it came is asked again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Body, Entry, Names, Node};

/// Names that the kernel was told do not exist, at about 150 bytes each: 15 MB. It is told of more
/// than these that the answer does not last.
const ABSENT_MAX: usize = 100_000;

/// Names of which the kernel still believes that there is nothing.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// With the time of the last answer.
    names: HashMap<(u64, Arc<str>), Instant>,
    /// Answers, oldest first. A name may have several.
    order: VecDeque<(Instant, u64, Arc<str>)>,
}

impl Absent {
    /// Whether the kernel may believe it; answers older than `age_max` it believes no more.
    fn remember(
        &mut self,
        parent: u64,
        name: &str,
        asked: Instant,
        age_max: Option<Duration>,
    ) -> bool {
        while let Some((at, parent, name)) = self.order.front()
            && age_max.is_some_and(|age_max| at.elapsed() >= age_max)
        {
            let key = (*parent, name.clone());
            if self.names.get(&key) == Some(at) {
                self.names.remove(&key);
            }
            self.order.pop_front();
        }
        let key = (parent, Arc::from(name));
        if age_max.is_none() && self.names.contains_key(&key) {
            return true;
        }
        if self.order.len() >= ABSENT_MAX {
            return false;
        }
        self.order.push_back((asked, parent, key.1.clone()));
        self.names.insert(key, asked);
        true
    }

    /// The name stands for something.
    pub(super) fn forget(&mut self, parent: u64, name: &Arc<str>) {
        self.names.remove(&(parent, name.clone()));
    }
}

impl<B: Body> Names<B> {
    /// Whether what the source said at `checked` still counts: it is no older than `age_max` and no
    /// new consumer has come since.
    pub(crate) fn is_fresh(&self, checked: Instant, age_max: Option<Duration>) -> bool {
        let since = self.refreshed.is_none_or(|refreshed| checked >= refreshed);
        since && age_max.is_none_or(|age_max| checked.elapsed() < age_max)
    }

    /// Whether the kernel may keep what it is told of an entry: not where its name may stand for
    /// something else at any time, and asking us costs next to nothing.
    pub(crate) fn lasts(&self, entry: &Entry<B>) -> bool {
        let parent = self.table.get(&entry.ino).map(|inode| inode.parent);
        self.is_fresh(entry.checked, None)
            && !self.is_unsettled(entry.ino)
            && !parent.is_some_and(|parent| self.was_top(parent))
    }

    /// The kernel is told that there is nothing. Returns whether it may believe that for as long as
    /// an answer counts.
    pub(crate) fn observe_absent(
        &mut self,
        parent: u64,
        name: &str,
        asked: Instant,
        age_max: Option<Duration>,
    ) -> bool {
        self.is_fresh(asked, age_max)
            && !self.was_top(parent)
            && self.absent.remember(parent, name, asked, age_max)
    }

    /// A new consumer has come: nothing that was said before `now` counts any more. Returns the names
    /// that the kernel, too, has to ask for again.
    ///
    /// Directories are not among them. The kernel takes what is mounted or worked in below one away
    /// with its name, and what is in it is asked for anyway.
    pub(crate) fn refreshed(
        &mut self,
        now: Instant,
        age_max: Option<Duration>,
    ) -> Vec<(u64, Arc<str>)> {
        let in_kernel = self.table.iter().filter(|(ino, inode)| {
            let known = matches!(inode.node, Node::File(_)) && inode.lookups > 0;
            known && self.is_fresh(inode.checked, age_max) && self.is_named(**ino, inode)
        });
        let mut names: Vec<_> = in_kernel
            .map(|(_, inode)| (inode.parent, inode.name.clone()))
            .collect();
        names.extend(std::mem::take(&mut self.absent).names.into_keys());
        self.directories.drop_listings();
        self.refreshed = Some(now);
        names
    }

    /// A directory was moved with all that the source has below it, which may be more than was seen
    /// there before. Returns the names below it that the kernel has to ask for again.
    pub(crate) fn moved_with_all_below(&mut self, directory: u64) -> Vec<(u64, Arc<str>)> {
        let is_moved = |at: &u64| *at == directory || self.is_below(*at, directory);
        let listed = self.directories.listed().filter(is_moved).collect();
        let absent = self.absent.names.keys();
        let absent: Vec<_> = absent.filter(|(at, _)| is_moved(at)).cloned().collect();
        self.directories.invalidate_all(&listed);
        for (parent, name) in &absent {
            self.absent.forget(*parent, name);
        }
        absent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn an_answer_that_got_old_does_not_take_a_newer_one_with_it() {
        let now = Instant::now();
        let mut absent = Absent::default();
        for asked in [now.checked_sub(MINUTE).unwrap(), now] {
            assert!(absent.remember(1, "a", asked, Some(2 * MINUTE)));
        }
        assert!(absent.remember(1, "b", now, Some(MINUTE)));
        assert_eq!((absent.names.len(), absent.order.len()), (2, 2));
    }

    #[test]
    fn no_more_names_are_remembered_than_the_limit_and_one_counts_once_where_none_gets_old() {
        let now = Instant::now();
        let mut absent = Absent::default();
        for name in 0..ABSENT_MAX {
            assert!(absent.remember(1, &name.to_string(), now, None));
        }
        assert!(absent.remember(1, "7", now, None));
        assert!(!absent.remember(1, "one more", now, None));
        assert_eq!(absent.order.len(), ABSENT_MAX);
    }
}
