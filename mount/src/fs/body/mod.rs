//! A file that is being written, in whatever order: its bytes, and their way to the source.
//!
//! What is written last waits in memory, what is older in the staging directory, and what was never
//! written here is in the version the file began as (`content`). A file that is written from its
//! beginning to its end is sent ahead, part by part (`pending_upload`). The source shows nothing of
//! it before [`Body::commit`], and then all (`commit`).

mod commit;
mod content;
mod parts;
mod pending_upload;
mod ranges;
mod staging;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use dlf_cache::Budget;
use fuser::Errno;

use self::content::{Content, Place};
use self::parts::part_at;
use self::pending_upload::PendingUpload;
use super::names::{self, Version};
use super::source::Source;

pub(crate) use self::staging::Staging;

/// Where the bytes of files that are being written may be.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) memory: Arc<Budget>,
    pub(crate) staging: Arc<Staging>,
}

/// See the module. Locks are taken in this order: `turn`, `content`, `marks`.
#[derive(Debug)]
pub(crate) struct Body {
    size: AtomicU64,
    /// When the last byte came, in milliseconds since the epoch.
    modified_ms: AtomicU64,
    /// Handles that can write to it.
    writers: AtomicU32,
    /// Who writes or commits.
    turn: tokio::sync::Mutex<Turn>,
    content: tokio::sync::Mutex<Content>,
    marks: Mutex<Marks>,
    memory: Arc<Budget>,
    /// There was an object in its place when it began.
    replaces: bool,
}

/// What belongs to whoever writes or commits.
#[derive(Debug)]
struct Turn {
    upload: Option<PendingUpload>,
    /// The file was to be new: it must not replace what others make meanwhile.
    exclusive: bool,
    /// There are holes in it, which may yet be written: nothing of it is sent ahead.
    sparse: bool,
}

impl Turn {
    /// The upload that ends at `key`, begun anew if the file was renamed since its first parts went.
    async fn upload_to(&mut self, source: &Source, key: &str) -> Result<&mut PendingUpload, Errno> {
        if let Some(upload) = self.upload.take_if(|upload| upload.key() != key) {
            upload.abort(source);
        }
        match &mut self.upload {
            Some(upload) => Ok(upload),
            none => Ok(none.insert(PendingUpload::start(source, key).await?)),
        }
    }
}

#[derive(Debug, Default)]
struct Marks {
    /// A write failed: what was written is not what the program meant, and never appears.
    broken: Option<Errno>,
    /// The last of it is not to appear any more.
    refused: Option<Refused>,
    /// It was told that the source does not have it.
    lost: bool,
    /// Sending parts ahead failed; a commit tries again.
    behind: bool,
}

/// Why the last that was written is not to appear, unless somebody goes on writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// The program was told that it could not be written.
    Failed,
    /// The program was killed.
    Killed,
}

impl Body {
    /// A file that was not there. `exclusive`: it must not replace what others make meanwhile.
    pub(crate) fn created(room: &Room, exclusive: bool) -> Arc<Self> {
        Self::new(room, None, exclusive, false)
    }

    /// A file that begins empty, in the place of an object.
    pub(crate) fn anew(room: &Room) -> Arc<Self> {
        Self::new(room, None, false, true)
    }

    /// A file that begins as a version of an object.
    pub(crate) fn of(room: &Room, version: Version) -> Arc<Self> {
        Self::new(room, Some(version), false, false)
    }

    fn new(room: &Room, base: Option<Version>, exclusive: bool, replaces: bool) -> Arc<Self> {
        let modified = base.as_ref().map(|version| version.modified);
        let (memory, staging) = (room.memory.clone(), room.staging.clone());
        let body = Self {
            size: AtomicU64::new(base.as_ref().map_or(0, |version| version.size)),
            modified_ms: AtomicU64::new(0),
            writers: AtomicU32::new(0),
            turn: tokio::sync::Mutex::new(Turn {
                upload: None,
                exclusive,
                sparse: false,
            }),
            content: tokio::sync::Mutex::new(Content::new(base, staging, memory.clone())),
            marks: Mutex::default(),
            memory,
            replaces,
        };
        body.touch(modified.unwrap_or_else(SystemTime::now));
        Arc::new(body)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub(crate) fn modified(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.modified_ms.load(Ordering::Relaxed))
    }

    fn touch(&self, time: SystemTime) {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        let ms = since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
        self.modified_ms.store(ms, Ordering::Relaxed);
    }

    fn publish(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `data` at `offset`, or behind the last byte with `None`. `key` is where the file is,
    /// if it has a name.
    ///
    /// `ENOSPC` where there is no room for it, `EFBIG` beyond what fits into an object. After an
    /// error nothing of the file appears any more.
    pub(crate) async fn write(
        &self,
        source: &Source,
        key: Option<&str>,
        offset: Option<u64>,
        data: Bytes,
    ) -> Result<(), Errno> {
        let length = data.len() as u64;
        let mut turn = self.turn.lock().await;
        if let Some(errno) = self.marks().broken {
            return Err(errno);
        }
        let (written, at, end) = {
            let mut content = self.content.lock().await;
            let before = content.size;
            let at = offset.unwrap_or(before);
            let written = content.write(at, data).await;
            self.publish(content.size);
            (written, at, before)
        };
        self.touch(SystemTime::now());
        self.marks().refused = None;
        let sealed = written.inspect_err(|errno| self.marks().broken = Some(*errno))?;
        let last = at + length;
        if let Some(upload) = &mut turn.upload {
            let touched = at.min(end)..last;
            let first = part_at(touched.start).map_or(u16::MAX, |(number, _)| number);
            let until = part_at(touched.end.saturating_sub(1)).map_or(first, |(number, _)| number);
            (first..=until).for_each(|number| upload.touch(number));
        }
        turn.sparse |= at > end;
        let in_order = at == end && !turn.sparse;
        let key = key.filter(|_| in_order && !self.marks().behind);
        let sent = self.send_ahead(&mut turn, source, key, at..last, sealed);
        sent.await
            .inspect_err(|errno| self.marks().broken = Some(*errno))
    }

    /// Sends the parts that a write in order has completed. What fails is tried again by a commit, if
    /// that could go better.
    async fn send_ahead(
        &self,
        turn: &mut Turn,
        source: &Source,
        key: Option<&str>,
        written: std::ops::Range<u64>,
        mut sealed: Vec<content::Sealed>,
    ) -> Result<(), Errno> {
        let Some(key) = key else {
            let staged = sealed.iter().all(|sealed| sealed.staged);
            return staged.then_some(()).ok_or(Errno::ENOSPC);
        };
        let mut at = written.start;
        while let Some((number, range)) = part_at(at).filter(|(_, part)| part.end <= written.end) {
            at = range.end;
            let ready = sealed.iter().position(|sealed| sealed.range == range);
            let ready = ready.map(|index| sealed.swap_remove(index));
            let sent = self.send_part(turn, source, key, number, range, ready);
            match sent.await {
                Ok(()) => {}
                // It would be no better at the end, and much would have been written for nothing.
                Err(errno @ (Errno::EACCES | Errno::ENOSPC)) => return Err(errno),
                Err(errno) if self.is_only_sent().await => return Err(errno),
                Err(_) => {
                    self.marks().behind = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn send_part(
        &self,
        turn: &mut Turn,
        source: &Source,
        key: &str,
        number: u16,
        range: std::ops::Range<u64>,
        ready: Option<content::Sealed>,
    ) -> Result<(), Errno> {
        let (bytes, memory) = if let Some(sealed) = ready {
            (sealed.bytes, sealed.lease)
        } else {
            if self.content.lock().await.needs_base(range.clone()) {
                return Ok(());
            }
            let length = usize::try_from(range.end - range.start).map_err(|_| Errno::EIO)?;
            let memory = self.memory.upload(length).await;
            (self.local(range).await?, Some(memory))
        };
        let upload = turn.upload_to(source, key).await?;
        upload.send(source, number, bytes.into(), memory).await
    }

    /// The bytes of a range that needs nothing of the base.
    async fn local(&self, range: std::ops::Range<u64>) -> Result<Bytes, Errno> {
        let content = self.content.lock().await;
        let length = usize::try_from(range.end - range.start).map_err(|_| Errno::EIO)?;
        let pieces = content.pieces(range);
        // Most parts lie in one place, and would be in memory twice.
        if let [(piece, place)] = &pieces[..] {
            return content.local(piece, *place).await;
        }
        let mut bytes = BytesMut::with_capacity(length);
        for (piece, place) in pieces {
            bytes.extend_from_slice(&content.local(&piece, place).await?);
        }
        Ok(bytes.freeze())
    }

    /// Reads up to `length` bytes, fewer only at the end. `fetch` reads a range of a version of the
    /// object. After a write that failed it fails as that did: not all is there.
    pub(crate) async fn read<F>(
        &self,
        offset: u64,
        length: u64,
        fetch: impl Fn(Version, std::ops::Range<u64>) -> F,
    ) -> Result<Bytes, Errno>
    where
        F: Future<Output = Result<Bytes, Errno>>,
    {
        let (mut pieces, version) = {
            let content = self.content.lock().await;
            if let Some(errno) = self.marks().broken {
                return Err(errno);
            }
            let end = content.size.min(offset.saturating_add(length));
            let pieces = if offset < end {
                content.pieces(offset..end)
            } else {
                Vec::new()
            };
            let mut local = Vec::with_capacity(pieces.len());
            for (piece, place) in pieces {
                let bytes = match place {
                    Place::Base => None,
                    _ => Some(content.local(&piece, place).await?),
                };
                local.push((piece, bytes));
            }
            (local, content.base().map(|base| base.version.clone()))
        };
        if let [(_, Some(bytes))] = &mut pieces[..] {
            return Ok(std::mem::take(bytes));
        }
        let mut answer = BytesMut::new();
        for (piece, bytes) in pieces {
            let bytes = if let Some(local) = bytes {
                local
            } else {
                let version = version.clone().ok_or(Errno::EIO)?;
                fetch(version, piece).await?
            };
            answer.extend_from_slice(&bytes);
        }
        Ok(answer.freeze())
    }

    /// Cuts the file off, or lengthens it by zeros. `EFBIG` beyond what fits into an object.
    pub(crate) async fn truncate(&self, size: u64) -> Result<(), Errno> {
        let mut turn = self.turn.lock().await;
        if let Some(errno) = self.marks().broken {
            return Err(errno);
        }
        let mut content = self.content.lock().await;
        let before = content.size;
        content.truncate(size)?;
        self.publish(content.size);
        drop(content);
        turn.sparse |= size > before;
        if size != before {
            self.touch(SystemTime::now());
            self.marks().refused = None;
        }
        if let Some(upload) = &mut turn.upload
            && let Some((first, _)) = part_at(size.min(before))
        {
            let last = part_at(size.max(before)).map_or(u16::MAX, |(number, _)| number);
            (first..=last).for_each(|number| upload.touch(number));
        }
        Ok(())
    }

    /// The version that the source has of it, if it has all.
    pub(crate) async fn version(&self) -> Option<Version> {
        let content = self.content.lock().await;
        let base = content.base().filter(|_| !content.is_changed())?;
        Some(base.version.clone())
    }

    /// Whether the last of it is not to appear: the program knows, or was killed.
    pub(crate) fn was_refused(&self) -> bool {
        let marks = self.marks();
        marks.refused.is_some() || marks.broken.is_some()
    }

    /// Whether a commit would replace a whole object by something that does not hold all of it: what
    /// was new, and what was only appended to, would not.
    pub(crate) async fn would_replace(&self) -> bool {
        let content = self.content.lock().await;
        let rewritten = content.base().is_some() && !content.extends_base();
        content.is_changed() && (self.replaces || rewritten)
    }

    /// What was written is not to appear, unless somebody goes on writing. Who started the program may
    /// hold the file too, as `timeout` does, and its close says nothing about what is in it.
    pub(crate) fn give_up(&self) {
        self.marks().refused = Some(Refused::Killed);
    }

    /// Whether it was given up, and nobody has written since.
    pub(crate) fn is_given_up(&self) -> bool {
        self.marks().refused == Some(Refused::Killed)
    }

    /// Notes that the source does not have it: true the first time since it had.
    pub(crate) fn is_newly_lost(&self) -> bool {
        !std::mem::replace(&mut self.marks().lost, true)
    }

    /// Keeps what was written in the dataset's directory on the node, under a name that holds `name`
    /// and is given. Does nothing where there is no such directory.
    pub(crate) async fn keep(&self, name: &str) -> Result<Option<String>, Errno> {
        let _turn = self.turn.lock().await;
        self.content.lock().await.keep(name).await
    }

    /// Whether any byte of it is an older version's, which has to stay where it is until this is
    /// committed.
    pub(crate) async fn needs_base(&self) -> bool {
        let content = self.content.lock().await;
        content.needs_base(0..content.size)
    }

    /// Whether some of it is in an upload to its present name alone, and nowhere else.
    pub(crate) async fn is_only_sent(&self) -> bool {
        self.content.lock().await.is_only_sent()
    }

    /// The source has moved a version, which may be what this began as.
    pub(crate) async fn moved(&self, from: &str, to: &Arc<str>) {
        self.content.lock().await.moved(from, to);
    }

    /// Gives up what the source has been sent but does not show.
    pub(crate) async fn abandon(&self, source: &Source) {
        if let Some(upload) = self.turn.lock().await.upload.take() {
            upload.abort(source);
        }
    }
}

impl names::Body for Arc<Body> {
    fn is(&self, other: &Self) -> bool {
        Self::ptr_eq(self, other)
    }

    fn writers(&self) -> u32 {
        self.writers.load(Ordering::Acquire)
    }

    fn join(&self) {
        self.writers.fetch_add(1, Ordering::AcqRel);
    }

    fn leave(&self) {
        self.writers.fetch_sub(1, Ordering::AcqRel);
    }
}
