//! The road every request takes: rounds over the origins, retries, answers read whole.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::ObjectStore;
use crate::answer;
use crate::error::{ErrorKind, StoreError};
use crate::origin::Origin;
use crate::request::Request;
use crate::retry::Patience;
use crate::site::{Site, rest_of_answer};
use crate::transport;

/// A cache that has not begun to answer after this long is slower than its source should be.
const CACHE_PATIENCE: Duration = Duration::from_secs(3);

/// Which origins a request may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Any, in order.
    Read,
    /// The source.
    Write,
}

/// The head of a successful answer, and how it came about.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response<Incoming>,
    pub(crate) site: Arc<Site>,
    /// The longest body that is read whole, in bytes.
    answer_max: usize,
}

/// An answer read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) site: Arc<Site>,
}

impl ObjectStore {
    /// Sends the request that `build` makes for an origin until an answer comes that stays, and
    /// gives its head.
    pub(crate) async fn send(
        &self,
        route: Route,
        build: impl Fn(&Origin) -> Result<Request, ErrorKind>,
    ) -> Result<Reply, StoreError> {
        self.repeat(route, build, |reply, _| std::future::ready(Ok(reply)))
            .await
            .0
    }

    /// As [`Self::send`], and reads the answer whole.
    pub(crate) async fn ask(
        &self,
        route: Route,
        build: impl Fn(&Origin) -> Result<Request, ErrorKind>,
    ) -> Result<Answer, StoreError> {
        self.repeat(route, build, read_whole).await.0
    }

    /// As [`Self::ask`], and tells how many attempts failed on the way: each of them may have had
    /// its effect without our hearing of it.
    pub(crate) async fn ask_counting(
        &self,
        route: Route,
        build: impl Fn(&Origin) -> Result<Request, ErrorKind>,
    ) -> (Result<Answer, StoreError>, u32) {
        self.repeat(route, build, read_whole).await
    }

    /// Rounds over the origins of `route`, with pauses, as long as that may help.
    pub(super) async fn repeat<T, R: Future<Output = Result<T, ErrorKind>>>(
        &self,
        route: Route,
        build: impl Fn(&Origin) -> Result<Request, ErrorKind>,
        finish: impl Fn(Reply, Instant) -> R,
    ) -> (Result<T, StoreError>, u32) {
        let mut patience = Patience::new(self.source_timeout);
        loop {
            let current = self.current();
            let sites = match route {
                Route::Read => &current.sites[..],
                Route::Write => std::slice::from_ref(&current.source),
            };
            let error = match self
                .round(sites, &build, &finish, patience.deadline())
                .await
            {
                Ok(done) => return (Ok(done), patience.failures()),
                Err(error) => error,
            };
            // Keys may have been revoked before their successors reached us.
            let rotated =
                error.kind().is_refusal() && !Arc::ptr_eq(&current.sites, &self.current().sites);
            let failures = patience.failures();
            if !(error.kind().may_pass() || rotated) || !patience.pause().await {
                if *error.kind() != ErrorKind::NotFound {
                    self.shared.usage.error();
                }
                return (Err(error), failures);
            }
            tracing::debug!(%error, "asking again");
            self.shared.usage.retry();
        }
    }

    /// Asks each of `sites` until one can answer.
    async fn round<T, R: Future<Output = Result<T, ErrorKind>>>(
        &self,
        sites: &[Arc<Site>],
        build: &impl Fn(&Origin) -> Result<Request, ErrorKind>,
        finish: &impl Fn(Reply, Instant) -> R,
        deadline: Instant,
    ) -> Result<T, StoreError> {
        let mut sites = sites.iter().peekable();
        while let Some(site) = sites.next() {
            let is_cache = sites.peek().is_some();
            if is_cache && site.rests() {
                continue;
            }
            let patience = if is_cache {
                deadline.min(Instant::now() + CACHE_PATIENCE)
            } else {
                deadline
            };
            let outcome = self.attempt(site, build, finish, patience).await;
            match outcome.map_err(|kind| StoreError::new(kind, &site.place)) {
                // What a cache refuses, or knows an older version of, the source may have.
                Err(error) if is_cache && *error.kind() != ErrorKind::NotFound => {
                    if error.kind().is_unavailable() {
                        site.let_rest();
                    }
                    tracing::debug!(%error, "asking the next origin");
                }
                outcome => return outcome,
            }
        }
        Err(self.source_error(ErrorKind::Config("there is no origin".to_owned())))
    }

    async fn attempt<T, R: Future<Output = Result<T, ErrorKind>>>(
        &self,
        site: &Arc<Site>,
        build: &impl Fn(&Origin) -> Result<Request, ErrorKind>,
        finish: &impl Fn(Reply, Instant) -> R,
        deadline: Instant,
    ) -> Result<T, ErrorKind> {
        let request = build(&site.origin)?;
        if request.nameless {
            return Err(ErrorKind::Config("an object's key is empty".to_owned()));
        }
        let permit = timeout_at(deadline, self.shared.gate.acquire()).await;
        let _permit = permit.map_err(|_| ErrorKind::Timeout)?;
        let response = site.ask(&request, deadline, &self.shared.usage).await?;
        let reply = Reply {
            response,
            site: Arc::clone(site),
            answer_max: request.answer_max,
        };
        finish(reply, rest_of_answer(&request, deadline)).await
    }
}

/// Reads a short answer to its end. Some requests fail after their head said success: the server
/// sent it early to keep the connection, and the failure is in the body.
async fn read_whole(reply: Reply, end: Instant) -> Result<Answer, ErrorKind> {
    let (head, body) = reply.response.into_parts();
    let body = timeout_at(end, Limited::new(body, reply.answer_max).collect())
        .await
        .map_err(|_| ErrorKind::Timeout)?
        .map_err(|error| transport::cause(&*error))?
        .to_bytes();
    match answer::late_failure(&body) {
        Some(kind) => Err(kind),
        None => Ok(Answer {
            headers: head.headers,
            body,
            site: reply.site,
        }),
    }
}
