//! Answers that are read whole, and how long they are waited for.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};

use super::dispatch::Reply;
use crate::answer;
use crate::error::{ErrorKind, Failure};
use crate::origin_client::OriginClient;
use crate::transport;

/// An answer read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) client: Arc<OriginClient>,
}

/// How long the rest of an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// If nothing comes.
    pub(crate) end: Instant,
    /// By how much what comes may put that off, in all.
    pub(crate) stretch: Duration,
}

/// An attempt that failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// For how long the server showed that it was at work.
    pub(crate) worked: Duration,
}

impl<F: Into<Failure>> From<F> for Failed {
    fn from(failure: F) -> Self {
        Self {
            failure: failure.into(),
            worked: Duration::ZERO,
        }
    }
}

/// Reads a short answer to its end. Some requests fail after their head said success: the server
/// sent it early to keep the connection, and the failure is in the body.
pub(crate) async fn read_whole(reply: Reply, wait: Wait) -> Result<Answer, Failed> {
    let (head, body) = reply.response.into_parts();
    let (body, worked) = collect(Limited::new(body, reply.answer_max), wait).await;
    let failed = |failure| Failed { failure, worked };
    let body = body.map_err(|kind| failed(kind.into()))?;
    match answer::late_failure(&body) {
        Some(failure) => Err(failed(failure)),
        None => Ok(Answer {
            headers: head.headers,
            body,
            client: reply.client,
        }),
    }
}

/// All of a body, and by how much its bytes put the end of waiting off. AWS sends a space now and
/// then while it puts an upload together or copies (API reference of `CompleteMultipartUpload`).
async fn collect<B>(mut body: B, mut wait: Wait) -> (Result<Bytes, ErrorKind>, Duration)
where
    B: Body<Data = Bytes, Error = Box<dyn std::error::Error + Send + Sync>> + Unpin,
{
    let mut bytes = BytesMut::new();
    let mut worked = Duration::ZERO;
    let outcome = loop {
        let began = Instant::now();
        match timeout_at(wait.end, body.frame()).await {
            Err(_) => break Err(ErrorKind::Timeout),
            Ok(None) => break Ok(bytes.freeze()),
            Ok(Some(Err(error))) => break Err(transport::cause(&*error)),
            Ok(Some(Ok(frame))) => {
                // Anything but data is trailers, which say nothing to us.
                let data = frame.into_data().unwrap_or_default();
                if data.is_empty() {
                    continue;
                }
                bytes.extend_from_slice(&data);
                let more = began.elapsed().min(wait.stretch.saturating_sub(worked));
                worked += more;
                wait.end += more;
            }
        }
    };
    (outcome, worked)
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use futures::stream::{self, BoxStream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    type Failure = Box<dyn std::error::Error + Send + Sync>;

    const SECOND: Duration = Duration::from_secs(1);

    /// A space every 20 s, so many times.
    fn spaces(count: usize) -> StreamBody<BoxStream<'static, Result<Frame<Bytes>, Failure>>> {
        let space = stream::repeat(()).take(count).then(|()| async {
            tokio::time::sleep(20 * SECOND).await;
            Ok(Frame::data(Bytes::from_static(b" ")))
        });
        StreamBody::new(space.boxed())
    }

    fn wait(silence: u32, stretch: u32) -> Wait {
        Wait {
            end: Instant::now() + silence * SECOND,
            stretch: stretch * SECOND,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_shows_its_work_is_waited_for() {
        let spaces_of = |outcome: (Result<Bytes, ErrorKind>, Duration)| {
            (outcome.0.map(|bytes| bytes.len()), outcome.1)
        };
        let outcome = collect(spaces(9), wait(30, 600)).await;
        assert_eq!(spaces_of(outcome), (Ok(9), 180 * SECOND));
        // Not for one that is silent for too long.
        let outcome = collect(spaces(9), wait(10, 600)).await;
        assert_eq!(
            spaces_of(outcome),
            (Err(ErrorKind::Timeout), Duration::ZERO)
        );
        // Nor where it is not expected to work for long.
        let outcome = collect(spaces(9), wait(30, 0)).await;
        assert_eq!(
            spaces_of(outcome),
            (Err(ErrorKind::Timeout), Duration::ZERO)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_only_seems_to_work_is_not_waited_for_for_ever() {
        let began = Instant::now();
        let (outcome, worked) = collect(spaces(usize::MAX), wait(30, 600)).await;
        assert_eq!((outcome, worked), (Err(ErrorKind::Timeout), 600 * SECOND));
        assert_eq!(began.elapsed(), 630 * SECOND);
    }
}
