//! READDIR and READDIRPLUS: filling the kernel's buffer from an open directory.
//!
//! Offset 0 is before `.`, 1 before `..`, and entry `n` is at `n + 2`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{Errno, FileType, INodeNo, ReplyDirectory, ReplyDirectoryPlus};

use super::run::Refuse;
use super::{GENERATION, Requests};
use crate::fs::core::Core;
use crate::fs::cursor::OpenDirectory;
use crate::fs::names::ROOT;

const DOTS: u64 = 2;

impl Requests {
    pub(super) fn read_names(&self, thread: u32, handle: u64, offset: u64, reply: ReplyDirectory) {
        self.run(
            thread,
            (reply, offset),
            move |core| async move { Listed::from(core, handle, offset).await },
            |(mut reply, offset), listed: Listed| {
                listed.names(offset, &mut reply);
                reply.ok();
            },
        );
    }

    pub(super) fn read_entries(
        &self,
        thread: u32,
        handle: u64,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.run(
            thread,
            (reply, offset),
            move |core| async move { Listed::from(core, handle, offset).await },
            |(mut reply, offset), listed: Listed| {
                listed.entries(offset, &mut reply);
                reply.ok();
                listed.core.trim();
            },
        );
    }
}

impl<R: Refuse> Refuse for (R, u64) {
    fn refuse(self, errno: Errno) {
        self.0.refuse(errno);
    }
}

/// What one request can be answered from.
struct Listed {
    core: Arc<Core>,
    directory: Arc<OpenDirectory>,
    entries: Vec<crate::fs::listing::DirEntry>,
    taken: std::time::Instant,
}

impl Listed {
    async fn from(core: Arc<Core>, handle: u64, offset: u64) -> Result<Self, Errno> {
        let directory = core.directories.get(handle)?;
        let index = usize::try_from(offset.saturating_sub(DOTS)).map_err(|_| Errno::EINVAL)?;
        let (entries, taken) = core.entries(&directory, index).await?;
        Ok(Self {
            core,
            directory,
            entries,
            taken,
        })
    }

    fn dots(offset: u64) -> impl Iterator<Item = (u64, &'static str)> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        (1..).zip([".", ".."]).skip(from)
    }

    fn first(offset: u64) -> u64 {
        offset.max(DOTS) + 1
    }

    fn names(&self, offset: u64, reply: &mut ReplyDirectory) {
        for (next, name) in Self::dots(offset) {
            if reply.add(INodeNo(ROOT), next, FileType::Directory, name) {
                return;
            }
        }
        for (next, entry) in (Self::first(offset)..).zip(&self.entries) {
            let kind = match entry.version {
                Some(_) => FileType::RegularFile,
                None => FileType::Directory,
            };
            if reply.add(self.number(&entry.name), next, kind, &*entry.name) {
                return;
            }
        }
    }

    /// The inode's number if it has one, else one that it will not have: programs take 0 for "no
    /// entry".
    fn number(&self, name: &str) -> INodeNo {
        let known = self.core.names().child(self.directory.ino, name);
        INodeNo(known.map_or_else(
            || {
                let mut hasher = DefaultHasher::new();
                (self.directory.ino, name).hash(&mut hasher);
                hasher.finish() | 1 << 63
            },
            |entry| entry.ino,
        ))
    }

    fn entries(&self, offset: u64, reply: &mut ReplyDirectoryPlus) {
        let settings = self.core.settings();
        let here = settings.directory_attr(self.directory.ino);
        for (next, name) in Self::dots(offset) {
            // The kernel takes neither attributes nor inode from these two.
            let ttl = Duration::ZERO;
            if reply.add(here.ino, next, name, &ttl, &here, GENERATION) {
                return;
            }
        }
        for (next, listed) in (Self::first(offset)..).zip(&self.entries) {
            let entry = self
                .core
                .enter_listed(self.directory.ino, listed, self.taken);
            let (attr, ttl) = match &entry {
                Some(entry) => self.core.attr(entry),
                // A name without an inode: the kernel asks when it wants one.
                None => (settings.file_attr(0, 0, UNIX_EPOCH), Duration::ZERO),
            };
            if reply.add(attr.ino, next, &*listed.name, &ttl, &attr, GENERATION) {
                // It did not fit, so the kernel has not learnt of it.
                if let Some(entry) = entry {
                    self.core.names().forgot(entry.ino, 1);
                }
                return;
            }
        }
    }
}
