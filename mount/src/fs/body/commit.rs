//! Making the source have what was written: whole, or not at all.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dlf_cache::{ETag, Payload};
use fuser::Errno;

use super::content::{Content, Place};
use super::parts::{PART_BYTES, parts_of};
use super::{Body, Refused, Turn};
use crate::fs::names::Version;
use crate::fs::source::{PutCondition, Source};

/// Attempts to lay what was appended behind a version that others replace all the time.
const REBASES_MAX: u32 = 20;

/// First pause between two of them, which doubles up to a second: two nodes that append at the same
/// time get out of step.
const REBASE_PAUSE: Duration = Duration::from_millis(5);

/// Smallest range that a store copies into a part that is not the last (S3 user guide, "Amazon S3
/// multipart upload limits").
const COPY_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// What a commit did.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    pub(crate) version: Version,
    /// What was appended lies elsewhere than it was written: the object had grown meanwhile.
    pub(crate) moved: bool,
}

impl Body {
    /// Makes the source have all that was written so far, at `key`; `None` if it does already.
    ///
    /// Writers wait meanwhile, readers do not. `EEXIST` where the file was to be new and is not,
    /// `ESTALE` where it holds bytes of a version that somebody replaced, otherwise what the source
    /// says; then nothing of it appears, and it may be tried again.
    pub(crate) async fn commit(
        &self,
        source: &Source,
        key: &str,
    ) -> Result<Option<Committed>, Errno> {
        let mut turn = self.turn.lock().await;
        let broken = self.marks().broken;
        if let Some(errno) = broken {
            self.content.lock().await.discard();
            return Err(errno);
        }
        if !self.content.lock().await.is_changed() {
            return Ok(None);
        }
        let committed = self.commit_or_rebase(&mut turn, source, key).await;
        if let Some(upload) = turn.upload.take() {
            upload.abort(source);
        }
        // Also when it has not arrived, what was appended may lie elsewhere.
        self.publish(self.content.lock().await.size);
        self.marks().refused = committed.is_err().then_some(Refused::Failed);
        if let Err(errno) = &committed
            && self.is_only_sent().await
        {
            // It went with the upload.
            self.marks().broken = Some(*errno);
        }
        let committed = committed?;
        self.marks().lost = false;
        turn.exclusive = false;
        self.content
            .lock()
            .await
            .committed(committed.version.clone());
        Ok(Some(committed))
    }

    async fn commit_or_rebase(
        &self,
        turn: &mut Turn,
        source: &Source,
        key: &str,
    ) -> Result<Committed, Errno> {
        let (mut pause, mut moved, mut vanished) = (REBASE_PAUSE, false, false);
        for _ in 0..REBASES_MAX {
            match self.send_all(turn, source, key, vanished).await {
                Ok(version) => return Ok(Committed { version, moved }),
                // The object was removed, and has been made again since.
                Err(Errno::EEXIST) if vanished => {}
                Err(Errno::ESTALE) if self.content.lock().await.is_append() => {}
                Err(errno) => return Err(errno),
            }
            // The offsets of what was sent are no longer right.
            if let Some(upload) = turn.upload.take() {
                upload.abort(source);
            }
            // Half of it is chance, so that two who meet do not meet again.
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(Duration::from_secs(1));
            let now = source.head(key).await?;
            vanished = now.is_none();
            self.content.lock().await.rebase(now).await?;
            moved = true;
        }
        Err(Errno::ESTALE)
    }

    async fn send_all(
        &self,
        turn: &mut Turn,
        source: &Source,
        key: &str,
        vanished: bool,
    ) -> Result<Version, Errno> {
        let (size, in_parts, condition) = {
            let content = self.content.lock().await;
            (
                content.size,
                content.size > PART_BYTES || content.is_only_sent(),
                condition(&content, turn.exclusive || vanished),
            )
        };
        check(source, key, &condition, in_parts).await?;
        let etag = if in_parts {
            self.send_parts(turn, source, key, size, condition).await?
        } else {
            let length = usize::try_from(size).map_err(|_| Errno::EIO)?;
            let memory = self.memory.upload(length).await;
            let body = self.assemble(source, key, 0..size).await?;
            let put = source.put(key, body, condition).await;
            drop(memory);
            put?
        };
        Ok(Version {
            etag,
            size,
            modified: self.modified(),
        })
    }

    async fn send_parts(
        &self,
        turn: &mut Turn,
        source: &Source,
        key: &str,
        size: u64,
        condition: PutCondition,
    ) -> Result<Arc<str>, Errno> {
        let upload = turn.upload_to(source, key).await?;
        // What failed of it is sent again.
        let _ = upload.settle().await;
        let mut count = 0;
        for (number, range) in parts_of(size) {
            count = number;
            if upload.has(number, range.end - range.start) {
                continue;
            }
            if let Some(version) = self.to_copy(&range, size).await {
                let (from, to) = (source.clone(), upload.upload().clone());
                let key = key.to_owned();
                let copied =
                    async move { from.copy_part(&key, &version, range, &to, number).await };
                upload.begin(number, copied).await?;
                continue;
            }
            let length = usize::try_from(range.end - range.start).map_err(|_| Errno::EIO)?;
            let memory = self.memory.upload(length).await;
            let body = self.assemble(source, key, range).await?;
            upload.send(source, number, body, Some(memory)).await?;
        }
        upload.complete(source, count, condition).await
    }

    /// The version that the source can copy a part from, where that spares us sending it.
    async fn to_copy(&self, range: &Range<u64>, size: u64) -> Option<Version> {
        let content = self.content.lock().await;
        let large = range.end - range.start >= COPY_BYTES_MIN || range.end == size;
        let base = content
            .base()
            .filter(|_| large && content.is_in_base(range))?;
        // What we have ourselves need not be asked of a version that may have gone.
        content
            .needs_base(range.clone())
            .then(|| base.version.clone())
    }

    /// The bytes of a range, from wherever they are.
    async fn assemble(
        &self,
        source: &Source,
        key: &str,
        range: Range<u64>,
    ) -> Result<Payload, Errno> {
        let (pieces, base) = {
            let content = self.content.lock().await;
            let base = content.base().map(|base| base.version.clone());
            (content.pieces(range), base)
        };
        let mut body = Vec::with_capacity(pieces.len());
        for (piece, place) in pieces {
            let bytes = if place == Place::Base {
                let version = base.as_ref().ok_or(Errno::EIO)?;
                source.read(key, version, piece).await?
            } else {
                self.content.lock().await.local(&piece, place).await?
            };
            body.push(bytes);
        }
        Ok(joined(body))
    }
}

/// Many small pieces are joined: each would be a write to the connection of its own.
fn joined(pieces: Vec<Bytes>) -> Payload {
    const SMALL: usize = 64 * 1024;
    if pieces.len() < 2 || pieces.iter().all(|piece| piece.len() >= SMALL) {
        return Payload::from(pieces);
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    Payload::from(whole.freeze())
}

/// Looks whether a condition holds, since some servers take one and do not heed it. All that we know
/// of heed that an object is to be new, if it is put whole.
async fn check(
    source: &Source,
    key: &str,
    condition: &PutCondition,
    in_parts: bool,
) -> Result<(), Errno> {
    match condition {
        PutCondition::IfMatch(expected) => {
            let now = source.head(key).await?;
            let same = now.is_some_and(|now| *now.etag == *expected.as_str());
            same.then_some(()).ok_or(Errno::ESTALE)
        }
        PutCondition::IfNoneMatch if in_parts => {
            let now = source.head(key).await?;
            now.is_none().then_some(()).ok_or(Errno::EEXIST)
        }
        PutCondition::IfNoneMatch | PutCondition::None => Ok(()),
    }
}

/// On what the object may be replaced: on nothing, if no byte of it is an older version's.
fn condition(content: &Content, exclusive: bool) -> PutCondition {
    match content.base() {
        Some(base) if content.holds_base() || content.is_append() => {
            PutCondition::IfMatch(ETag::from_wire(&base.version.etag))
        }
        None if exclusive => PutCondition::IfNoneMatch,
        _ => PutCondition::None,
    }
}
