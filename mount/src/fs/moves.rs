//! Moving objects: copying them within the source, and deleting them where they were.

use std::collections::HashMap;
use std::sync::Arc;

use fuser::Errno;
use futures::{StreamExt, TryStreamExt, stream};

use super::names::Version;
use super::source::{PutCondition, Source};

/// Copies under way at once when a directory is renamed: hides the source's latency without
/// crowding out other requests.
const COPIES_MAX: usize = 16;

impl Source {
    /// Copies a version to another key, and deletes it where it was: it, and not what others may
    /// have put there meanwhile.
    pub(super) async fn move_file(
        &self,
        from: &str,
        version: &Version,
        to: &str,
    ) -> Result<Version, Errno> {
        let copied = self.copy(from, version, to).await?;
        match self.delete_version(from, version).await {
            Ok(()) | Err(Errno::ESTALE) => Ok(copied),
            Err(errno) => Err(errno),
        }
    }

    /// Copies a page of a directory's objects; gives the index of each and its new version.
    ///
    /// What marks a directory is there before what lies in it: a store with directories of its own makes
    /// one for the first file, and may lose a mark that comes in that very moment (`SeaweedFS` 4.48, one of
    /// sixty).
    pub(super) async fn copy_page(
        &self,
        objects: &[(String, Version)],
        from: &str,
        to: &str,
    ) -> Result<Vec<(usize, Arc<str>)>, Errno> {
        let rank = |index: &usize| match &objects[*index].0 {
            mark if mark.ends_with('/') => mark.matches('/').count(),
            _ => usize::MAX,
        };
        let mut order: Vec<usize> = (0..objects.len()).collect();
        order.sort_by_key(rank);
        let mut all = Vec::with_capacity(order.len());
        for together in order.chunk_by(|one, other| rank(one) == rank(other)) {
            // Collected first: a stream over borrowing closures would not be `Send`.
            let copies: Vec<_> = together
                .iter()
                .map(|index| {
                    let (key, version) = &objects[*index];
                    self.copy_to(key, version, from, to)
                })
                .collect();
            let copies = stream::iter(copies).buffered(COPIES_MAX);
            let etags: Vec<_> = copies.try_collect().await?;
            all.extend(together.iter().copied().zip(etags));
        }
        Ok(all)
    }

    async fn copy_to(
        &self,
        key: &str,
        version: &Version,
        from: &str,
        to: &str,
    ) -> Result<Arc<str>, Errno> {
        let rest = key.strip_prefix(from).ok_or(Errno::EIO)?;
        let target = format!("{to}{rest}");
        // Stores that keep directories of their own cannot copy what marks one.
        if key.ends_with('/') && version.size == 0 {
            let empty = bytes::Bytes::new();
            return self.put(&target, empty, PutCondition::None).await;
        }
        let copied = self.copy(key, version, &target).await?;
        Ok(copied.etag)
    }

    /// `ENAMETOOLONG` if a key would be longer than `longest` bytes, before anything is moved.
    pub(super) async fn check_lengths(
        &self,
        from: &str,
        to: &str,
        longest: usize,
    ) -> Result<(), Errno> {
        let mut pages = Pages::new(from);
        while let Some(objects) = pages.next(self).await? {
            let too_long = |(key, _): &(String, _)| key.len() - from.len() + to.len() > longest;
            if objects.iter().any(too_long) {
                return Err(Errno::ENAMETOOLONG);
            }
        }
        Ok(())
    }
}

/// All keys below a prefix, a page at a time.
pub(super) struct Pages<'a> {
    prefix: &'a str,
    /// Where the page at hand began.
    continuation: Option<String>,
    next: Option<String>,
    over: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            continuation: None,
            next: None,
            over: false,
        }
    }

    pub(super) async fn next(
        &mut self,
        source: &Source,
    ) -> Result<Option<Vec<(String, Version)>>, Errno> {
        if self.over {
            return Ok(None);
        }
        self.continuation = self.next.take();
        let page = source
            .keys(self.prefix, self.continuation.clone(), None)
            .await?;
        self.over = page.next.is_none();
        self.next = page.next;
        Ok(Some(page.objects))
    }

    /// The keys of the page at hand that are still the same versions.
    pub(super) async fn unchanged(
        &self,
        source: &Source,
        objects: Vec<(String, Version)>,
    ) -> Result<Vec<String>, Errno> {
        let (mut now, mut continuation) = (HashMap::new(), self.continuation.clone());
        let last = objects.last().map(|(key, _)| key.clone());
        loop {
            let page = source.keys(self.prefix, continuation, None).await?;
            let seen = page.objects.last().map(|(key, _)| key.clone());
            now.extend(page.objects);
            continuation = page.next;
            // New objects push others to the next page.
            if continuation.is_none() || seen >= last {
                break;
            }
        }
        let unchanged = objects.into_iter().filter(|(key, version)| {
            let now = now.get(key);
            now.is_some_and(|now| now.etag == version.etag)
        });
        Ok(unchanged.map(|(key, _)| key).collect())
    }
}
