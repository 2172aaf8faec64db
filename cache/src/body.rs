//! The bytes of an object, as they come in.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use crate::error::{ErrorKind, StoreError};
use crate::object::ETag;
use crate::origin_client::{OriginClient, STALL_MAX};
use crate::retry::Retries;
use crate::store::ObjectStore;
use crate::store::dispatch::{CACHE_TIMEOUT, Route};
use crate::transport;

/// A stream of bytes that has begun.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) etag: ETag,
    pub(crate) object_size: u64,
    /// What the stream holds: the range asked for, cut at the object's end.
    pub(crate) range: Range<u64>,
    pub(crate) stream: Incoming,
    /// How long other keys were waited for.
    pub(crate) for_keys: Duration,
    /// Who sends it, unless that is the source.
    pub(crate) cache: Option<Arc<OriginClient>>,
}

/// A stretch of one version of an object, streamed without copies.
///
/// A stream that breaks is taken up again behind its last byte, at the source and with `If-Match`,
/// so bytes of two versions never mix. One that a cache breaks costs the source none of its
/// time, and the cache its turn: it rests. Dropping it unread closes its connection; read it to the end to keep that.
pub struct ObjectBody {
    store: ObjectStore,
    key: String,
    etag: ETag,
    object_size: u64,
    /// Of the next byte, within the object.
    position: u64,
    /// Behind the last byte.
    end: u64,
    /// Behind the last byte of the stream: what follows, another server may have.
    stream_end: u64,
    /// `None` between a break and the resumption.
    stream: Option<Incoming>,
    /// Who is to blame when the stream breaks, unless that is the source.
    cache: Option<Arc<OriginClient>>,
    /// With who sends the stream.
    retries: Retries,
    /// When the caller last had the word.
    returned: Instant,
    failed: bool,
}

/// The slowest stream that is read on, in bytes per second. One that is slower for so long that a
/// silent server would be given up is given up too: nobody waits for what it holds.
const READ_RATE_MIN: u64 = 1024;

impl ObjectBody {
    /// Hands out `opened`, of which everything from its first byte on is still to come, and what
    /// follows it up to `end`.
    pub(crate) fn new(store: ObjectStore, key: &str, end: u64, opened: Opened) -> Self {
        Self {
            retries: retries_of(&store, opened.cache.as_ref()),
            store,
            key: key.to_owned(),
            etag: opened.etag,
            object_size: opened.object_size,
            position: opened.range.start,
            end: end.min(opened.object_size),
            stream_end: opened.range.end,
            stream: Some(opened.stream),
            cache: opened.cache,
            returned: Instant::now(),
            failed: false,
        }
    }

    /// The version these bytes belong to.
    #[must_use]
    pub fn etag(&self) -> &ETag {
        &self.etag
    }

    /// Size of the whole object in bytes, whatever the range.
    #[must_use]
    pub fn object_size(&self) -> u64 {
        self.object_size
    }

    /// Bytes still to come: the range asked for, cut at the object's end, less what was handed out.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.end - self.position
    }

    /// The next bytes as the connection delivered them; `None` after the last and after an error.
    ///
    /// Never empty. Cancel-safe: dropping the future loses no bytes.
    pub async fn next_chunk(&mut self) -> Option<Result<Bytes, StoreError>> {
        if self.position == self.end || self.failed {
            return None;
        }
        let began = Instant::now();
        // Only waiting for the server counts.
        self.retries.skip(began - self.returned);
        let chunk = self.receive().await;
        self.store.counters().waited(began.elapsed());
        match &chunk {
            Ok(bytes) => {
                self.position += bytes.len() as u64;
                let of_cache = self.cache.is_some();
                self.store.counters().read(bytes.len() as u64, of_cache);
                self.retries.credit(time_of(bytes.len() as u64));
            }
            Err(_) => self.failed = true,
        }
        self.returned = Instant::now();
        Some(chunk)
    }

    /// All that remains, joined. The caller bounds it by the range it asked for.
    pub async fn collect(mut self) -> Result<Bytes, StoreError> {
        let Some(first) = self.next_chunk().await.transpose()? else {
            return Ok(Bytes::new());
        };
        if self.remaining() == 0 {
            return Ok(first);
        }
        let mut joined = BytesMut::from(first);
        while let Some(chunk) = self.next_chunk().await.transpose()? {
            joined.extend_from_slice(&chunk);
        }
        Ok(joined.freeze())
    }

    /// The next bytes, from this stream or from one that resumes it.
    async fn receive(&mut self) -> Result<Bytes, StoreError> {
        if self.position == self.stream_end {
            self.follow_on().await?;
        }
        loop {
            let kind = match self.next_frame().await {
                Ok(bytes) => return Ok(bytes),
                Err(kind) => kind,
            };
            self.stream = None;
            tracing::debug!(position = self.position, %kind, "resuming a read");
            if let Some(cache) = self.cache.take() {
                cache.let_rest();
                self.store.counters().cache_failed();
                self.retries = Retries::new(self.store.source_timeout());
            } else if self.retries.pause().await {
                self.store.counters().retry();
            } else {
                self.store.counters().error();
                return Err(self.store.source_error(kind));
            }
            let rest = self.position..self.stream_end;
            let opened = self
                .store
                .with_timeout(self.retries.remaining())
                .open(Route::Source, &self.key, rest, Some(&self.etag))
                .await?;
            self.retries.skip(opened.for_keys);
            self.stream = Some(opened.stream);
        }
    }

    /// Begins the stream of the next unit, at the server that has it.
    async fn follow_on(&mut self) -> Result<(), StoreError> {
        let rest = self.position..self.end;
        let opened = self.store.open_unit(&self.key, rest, &self.etag).await?;
        self.retries = retries_of(&self.store, opened.cache.as_ref());
        self.stream_end = opened.range.end;
        self.stream = Some(opened.stream);
        self.cache = opened.cache;
        Ok(())
    }

    /// The next frame with bytes; an early end is a break.
    async fn next_frame(&mut self) -> Result<Bytes, ErrorKind> {
        let cut = || ErrorKind::Unreachable("the connection was closed in the middle".to_owned());
        let stream = self.stream.as_mut().ok_or_else(cut)?;
        let stall = STALL_MAX.min(self.retries.remaining());
        loop {
            let frame = timeout(stall, stream.frame())
                .await
                .map_err(|_| ErrorKind::Timeout)?;
            let frame = frame
                .ok_or_else(cut)?
                .map_err(|error| transport::cause(&error))?;
            // Anything but data is trailers, which say nothing to us.
            let Ok(mut bytes) = frame.into_data() else {
                continue;
            };
            if bytes.is_empty() {
                continue;
            }
            let wanted = usize::try_from(self.stream_end - self.position).unwrap_or(usize::MAX);
            bytes.truncate(wanted);
            return Ok(bytes);
        }
    }
}

/// How long the sender of a stream may be silent.
fn retries_of(store: &ObjectStore, cache: Option<&Arc<OriginClient>>) -> Retries {
    Retries::new(match cache {
        Some(_) => CACHE_TIMEOUT,
        None => store.source_timeout(),
    })
}

/// How long so many bytes may take.
fn time_of(bytes: u64) -> Duration {
    Duration::from_millis(bytes * 1_000 / READ_RATE_MIN)
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody")
            .field("key", &self.key)
            .field("etag", &self.etag)
            .field("position", &self.position)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
