//! The bytes of a file that is being written, wherever they are: in memory, in the staging
//! directory, in the version of the object that the file began as, or, where the node's disk has no
//! room for them, in the parts of an upload alone.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dlf_cache::{Budget, Lease};
use fuser::Errno;

use super::parts::{FILE_BYTES_MAX, PART_BYTES, part_at};
use super::ranges::RangeSet;
use super::staging::{StagedFile, Staging};
use crate::fs::names::Version;

/// The version that bytes which were never written here are read from.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) version: Version,
    /// Bytes before this are still its; what follows was cut off.
    pub(super) end: u64,
}

/// Where a piece of the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Memory,
    Staged,
    /// In parts of an upload, which nobody can read before it is completed.
    Sent,
    Base,
    /// Nowhere: it reads as zeros.
    Hole,
}

/// Bytes that were written last, one after the other, within one part of an upload.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    bytes: BytesMut,
    lease: Option<Lease>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) size: u64,
    window: Window,
    file: Option<StagedFile>,
    /// What the staged file holds.
    staged: RangeSet,
    /// What only an upload holds: whole parts, for which the disk had no room.
    sent: RangeSet,
    /// What differs from the base.
    dirty: RangeSet,
    /// Whether anything does, the size included.
    changed: bool,
    base: Option<Base>,
    /// It began as a version of an object, and what is appended belongs behind that.
    joined: bool,
    /// Since then its length was set, or something was written behind its end: where it ends is
    /// meant, whatever others append.
    sized: bool,
    staging: Arc<Staging>,
    memory: Arc<Budget>,
}

/// A part that was written from its beginning to its end, and the memory it takes.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) range: Range<u64>,
    pub(super) bytes: Bytes,
    pub(super) lease: Option<Lease>,
    /// Whether the disk holds it too. If not, it is lost unless it is sent.
    pub(super) staged: bool,
}

impl Content {
    /// A file that begins as `base`, or empty.
    pub(super) fn new(base: Option<Version>, staging: Arc<Staging>, memory: Arc<Budget>) -> Self {
        Self {
            size: base.as_ref().map_or(0, |version| version.size),
            window: Window::default(),
            file: None,
            staged: RangeSet::default(),
            sent: RangeSet::default(),
            dirty: RangeSet::default(),
            changed: base.is_none(),
            joined: base.is_some(),
            sized: false,
            base: base.map(|version| Base {
                end: version.size,
                version,
            }),
            staging,
            memory,
        }
    }

    /// Writes `data` at `offset`, anywhere; gives the parts that are complete now.
    ///
    /// `EFBIG` beyond what fits into an object, `ENOSPC` where neither memory nor the staging
    /// directory has room. After an error some of `data` may have been written.
    pub(super) async fn write(&mut self, offset: u64, data: Bytes) -> Result<Vec<Sealed>, Errno> {
        let end = offset.checked_add(data.len() as u64).ok_or(Errno::EFBIG)?;
        if end > FILE_BYTES_MAX {
            return Err(Errno::EFBIG);
        }
        if data.is_empty() {
            return Ok(Vec::new());
        }
        // Half of a part that was sent cannot be written again without the other half.
        if self.sent.overlaps(&(offset..end)) {
            return Err(Errno::ENOSPC);
        }
        self.changed = true;
        self.sized |= offset > self.size;
        // Between the old end and here nothing was written.
        self.dirty.insert(self.size.min(offset)..end);
        let (mut at, mut rest, mut sealed) = (offset, data, Vec::new());
        while !rest.is_empty() {
            if !self.window.takes(at) {
                sealed.extend(self.spill().await?);
                self.window.start = at;
            }
            let room = usize::try_from(window_end(self.window.start) - at).unwrap_or(usize::MAX);
            let now = rest.split_to(room.min(rest.len()));
            let behind = at + now.len() as u64;
            if !self.window.write(at, &now, &self.memory) {
                sealed.extend(self.spill().await?);
                self.stage(at, now).await?;
                self.window.start = behind;
            }
            at = behind;
            self.size = self.size.max(at);
            if self.window.end() == window_end(self.window.start) {
                sealed.extend(self.spill().await?);
            }
        }
        Ok(sealed)
    }

    /// Moves the window's bytes to the staging directory; gives them back if they are a whole part.
    async fn spill(&mut self) -> Result<Option<Sealed>, Errno> {
        let start = self.window.start;
        let end = self.window.end();
        let lease = self.window.lease.take();
        // All of its memory: what is written next must not keep what has been sent from going.
        let bytes = std::mem::take(&mut self.window.bytes).freeze();
        self.window.start = end;
        if bytes.is_empty() {
            return Ok(None);
        }
        let whole = part_at(start).is_some_and(|(_, part)| part == (start..end));
        let staged = match self.stage(start, bytes.clone()).await {
            // What is laid behind another version is needed until that is known.
            Err(Errno::ENOSPC) if whole && !self.joined => {
                self.sent.insert(start..end);
                false
            }
            staged => staged.map(|()| true)?,
        };
        Ok(whole.then_some(Sealed {
            range: start..end,
            bytes,
            lease,
            staged,
        }))
    }

    async fn stage(&mut self, at: u64, bytes: Bytes) -> Result<(), Errno> {
        let range = at..at + bytes.len() as u64;
        let fresh = self.staged.missing(range.clone());
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.staging.create()?),
        };
        file.write(at, bytes, fresh).await?;
        self.staged.insert(range);
        Ok(())
    }

    /// Cuts the file off at `size`, or lengthens it by zeros.
    pub(super) fn truncate(&mut self, size: u64) -> Result<(), Errno> {
        if size > FILE_BYTES_MAX {
            return Err(Errno::EFBIG);
        }
        if size == self.size {
            return Ok(());
        }
        let within_part = part_at(size).is_none_or(|(_, part)| part.start < size);
        if within_part && self.sent.overlaps(&(size..size + 1)) {
            return Err(Errno::ENOSPC);
        }
        (self.changed, self.sized) = (true, true);
        if size < self.size {
            let staged = self.size - size - self.staged.missing(size..self.size);
            if let Some(file) = &mut self.file {
                file.truncate(size, staged)?;
            }
            self.window.truncate(size);
            self.staged.truncate(size);
            self.sent.truncate(size);
            self.dirty.truncate(size);
            if let Some(base) = &mut self.base {
                base.end = base.end.min(size);
            }
        } else {
            self.dirty.insert(self.size..size);
        }
        self.size = size;
        Ok(())
    }

    /// `range` cut by where its bytes are, in order and without holes.
    pub(super) fn pieces(&self, range: Range<u64>) -> Vec<(Range<u64>, Place)> {
        let window = self.window.start..self.window.end();
        let base = self.base.as_ref().map_or(0, |base| base.end);
        let mut pieces = Vec::new();
        for piece in cut(range, &[window.start, window.end]) {
            if window.start <= piece.start && piece.end <= window.end {
                pieces.push((piece, Place::Memory));
                continue;
            }
            for (piece, staged) in self.staged.pieces(piece) {
                if staged {
                    pieces.push((piece, Place::Staged));
                    continue;
                }
                for (piece, sent) in self.sent.pieces(piece) {
                    let of = |piece: &Range<u64>| match piece.end <= base {
                        _ if sent => Place::Sent,
                        true => Place::Base,
                        false => Place::Hole,
                    };
                    let cut = cut(piece, &[base]).into_iter();
                    pieces.extend(cut.map(|piece| (piece.clone(), of(&piece))));
                }
            }
        }
        pieces
    }

    /// The bytes of a piece that is in memory, staged or a hole. `EBUSY` for one that was only sent.
    pub(super) async fn local(&self, range: &Range<u64>, place: Place) -> Result<Bytes, Errno> {
        let length = usize::try_from(range.end - range.start).map_err(|_| Errno::EIO)?;
        match (place, &self.file) {
            (Place::Memory, _) => {
                let from = usize::try_from(range.start - self.window.start);
                let from = from.map_err(|_| Errno::EIO)?;
                Ok(Bytes::copy_from_slice(
                    &self.window.bytes[from..from + length],
                ))
            }
            (Place::Staged, Some(file)) => file.read(range.start, length).await,
            (Place::Hole, _) => Ok(BytesMut::zeroed(length).freeze()),
            (Place::Sent, _) => Err(Errno::EBUSY),
            (Place::Base, _) | (Place::Staged, None) => Err(Errno::EIO),
        }
    }

    /// Gives up the room it takes: nothing of it will be written or read any more.
    pub(super) fn discard(&mut self) {
        (self.window, self.file, self.staged) = (Window::default(), None, RangeSet::default());
        self.sent = RangeSet::default();
    }

    /// Moves what was written to where files are kept for a while, and gives its name there. What can
    /// be read here stays so.
    pub(super) async fn keep(&mut self, name: &str) -> Result<Option<String>, Errno> {
        self.spill().await?;
        match &mut self.file {
            Some(file) => file.keep(name),
            None => Ok(None),
        }
    }

    /// Whether anything was written since the source last had all of it.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    pub(super) fn base(&self) -> Option<&Base> {
        self.base.as_ref()
    }

    /// Whether any byte of it is in an upload alone: then it can be nowhere else than where it is.
    pub(super) fn is_only_sent(&self) -> bool {
        self.sent.first().is_some()
    }

    /// Whether any byte of `range` would have to come from the base.
    pub(super) fn needs_base(&self, range: Range<u64>) -> bool {
        let mut pieces = self.pieces(range).into_iter();
        pieces.any(|(_, place)| place == Place::Base)
    }

    /// Whether the source has `range`, unchanged, in the base.
    pub(super) fn is_in_base(&self, range: &Range<u64>) -> bool {
        let base = self.base.as_ref().map_or(0, |base| base.end);
        range.end <= base && !self.dirty.overlaps(range)
    }

    /// Whether any byte of it is the base's: it was made of that version, and of no other.
    pub(super) fn holds_base(&self) -> bool {
        let end = self.base.as_ref().map_or(0, |base| base.end);
        self.dirty.missing(0..end) > 0
    }

    /// Whether it may be laid behind another version: it only extends its base, where it ends was not
    /// said, and all that was appended is here.
    pub(super) fn is_append(&self) -> bool {
        !self.sized && self.extends_base() && !self.is_only_sent()
    }

    /// Whether all that was written lies behind the base, of which nothing was cut off.
    pub(super) fn extends_base(&self) -> bool {
        match &self.base {
            Some(base) => {
                let whole = base.end == base.version.size;
                whole && self.dirty.first().is_none_or(|first| first >= base.end)
            }
            None => self.joined,
        }
    }

    /// Lays what was appended behind another version; `None`: there is no object any more.
    ///
    /// After an error it lies where it was.
    pub(super) async fn rebase(&mut self, version: Option<Version>) -> Result<(), Errno> {
        let before = self.base.as_ref().map_or(0, |base| base.end);
        let now = version.as_ref().map_or(0, |version| version.size);
        // Only what was appended since; of the rest the new version has its own.
        self.staged.remove(0..before);
        let distance = now.cast_signed() - before.cast_signed();
        if let Some(file) = &self.file {
            let mut moved = self.staging.create()?;
            for range in self
                .staged
                .ranges()
                .flat_map(|range| cut_every(range, PART_BYTES))
            {
                let length = range.end - range.start;
                let at = range.start.saturating_add_signed(distance);
                let bytes = usize::try_from(length).map_err(|_| Errno::EIO)?;
                let bytes = file.read(range.start, bytes).await?;
                moved.write(at, bytes, length).await?;
            }
            self.file = Some(moved);
        }
        self.window.cut_before(before);
        self.window.start = self.window.start.saturating_add_signed(distance);
        self.staged.shift(distance);
        self.dirty.shift(distance);
        self.size = self.size.saturating_add_signed(distance);
        self.base = version.map(|version| Base {
            end: version.size,
            version,
        });
        Ok(())
    }

    /// The source has all of it, as `version`.
    pub(super) fn committed(&mut self, version: Version) {
        (self.dirty, self.sent) = (RangeSet::default(), RangeSet::default());
        (self.changed, self.sized) = (false, false);
        self.base = Some(Base {
            end: version.size,
            version,
        });
    }

    /// The source has moved the base, perhaps to another version of the same bytes.
    pub(super) fn moved(&mut self, from: &str, to: &Arc<str>) {
        if let Some(base) = &mut self.base
            && *base.version.etag == *from
        {
            base.version.etag = to.clone();
        }
    }
}

impl Window {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Whether a write at `offset` goes into this window: it begins inside or right behind it.
    fn takes(&self, offset: u64) -> bool {
        (self.start..=self.end()).contains(&offset) && offset < window_end(self.start)
    }

    /// Writes what fits; `false`, and nothing is written, if there is no memory for it.
    fn write(&mut self, offset: u64, data: &[u8], memory: &Arc<Budget>) -> bool {
        let Ok(from) = usize::try_from(offset - self.start) else {
            return false;
        };
        let end = from + data.len();
        if let Some(more) = end.checked_sub(self.bytes.len()).filter(|more| *more > 0) {
            let Some(lease) = memory.try_draft(more) else {
                return false;
            };
            match &mut self.lease {
                Some(all) => all.merge(lease),
                none => *none = Some(lease),
            }
        }
        let over = data.len().min(self.bytes.len() - from);
        self.bytes[from..from + over].copy_from_slice(&data[..over]);
        self.bytes.extend_from_slice(&data[over..]);
        true
    }

    fn truncate(&mut self, size: u64) {
        let length = size.saturating_sub(self.start);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length < self.bytes.len() {
            let surplus = self.bytes.len() - length;
            self.bytes.truncate(length);
            if let Some(lease) = &mut self.lease {
                drop(lease.split(surplus));
            }
        }
        if self.bytes.is_empty() {
            self.start = self.start.min(size);
        }
    }

    /// Drops what lies before `offset`.
    fn cut_before(&mut self, offset: u64) {
        let length = offset.saturating_sub(self.start);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let length = length.min(self.bytes.len());
        drop(self.bytes.split_to(length));
        self.start += length as u64;
        if let Some(lease) = &mut self.lease {
            drop(lease.split(length));
        }
        if self.bytes.is_empty() {
            self.start = self.start.max(offset);
        }
    }
}

/// Where a window that begins at `start` ends: with its part, and it is never larger than a small
/// one.
fn window_end(start: u64) -> u64 {
    let part = part_at(start).map_or(u64::MAX, |(_, part)| part.end);
    part.min(start + PART_BYTES)
}

/// Cuts a range at those of `points` that lie within it.
fn cut(range: Range<u64>, points: &[u64]) -> Vec<Range<u64>> {
    let mut pieces = Vec::new();
    let mut at = range.start;
    for &point in points {
        if at < point && point < range.end {
            pieces.push(at..point);
            at = point;
        }
    }
    if at < range.end {
        pieces.push(at..range.end);
    }
    pieces
}

/// Cuts a range into pieces of `length` bytes, of which the last may be shorter.
fn cut_every(range: Range<u64>, length: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = range.end.min(start + length);
        (start < at).then_some(start..at)
    })
}

#[cfg(test)]
mod tests;
