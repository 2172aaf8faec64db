//! Request bodies: the caller's pieces, sent without being copied together.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::object::Payload;

/// What is handed to the connection at once: small, so that progress shows; large enough that a
/// system call carries it.
const SLICE_BYTES: usize = 256 * 1024;

/// A body that tells how much of it the connection has taken.
pub(crate) struct PayloadBody {
    pieces: VecDeque<Bytes>,
    left: u64,
    sent: Arc<AtomicU64>,
}

impl PayloadBody {
    /// The body, and the counter of bytes taken.
    pub(crate) fn new(payload: &Payload) -> (Self, Arc<AtomicU64>) {
        let sent = Arc::new(AtomicU64::new(0));
        let pieces = payload
            .pieces
            .iter()
            .filter(|piece| !piece.is_empty())
            .cloned()
            .collect();
        (
            Self {
                pieces,
                left: payload.len(),
                sent: Arc::clone(&sent),
            },
            sent,
        )
    }
}

impl Body for PayloadBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.pieces.front_mut() else {
            return Poll::Ready(None);
        };
        let slice = piece.split_to(piece.len().min(SLICE_BYTES));
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        let length = slice.len() as u64;
        self.left -= length;
        self.sent.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
