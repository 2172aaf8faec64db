//! The store: what callers see, and the road every request takes.

mod bucket;
mod copy;
mod delete;
mod multipart;
pub(crate) mod read;
mod write;

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use dlf_core::network::AddressRules;
use http::HeaderMap;
use http::Response;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::answer;
use crate::error::{ErrorKind, StoreError};
use crate::options::ClientOptions;
use crate::origin::{ConfigError, Origin};
use crate::request::Request;
use crate::retry::Patience;
use crate::site::Site;
use crate::transport;
use crate::usage::{Usage, UsageSnapshot};

/// Requests of one store that wait for the head of their answer at the same time. Far more than
/// fill any link; what comes on top waits here and not in sockets.
const REQUESTS_MAX: usize = 256;

/// The longest answer that is read whole: a page of 1,000 keys of 1,024 bytes, each byte of them
/// escaped, takes 4 MiB with what stands around the keys.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A client of one dataset's objects; clones share connections, configuration and accounting.
///
/// Origins are ordered: a read asks the first and goes on to the next where one cannot answer; the
/// last is the source, and writes and buckets are its business alone.
///
/// Keys are relative to each origin's prefix and may hold any character but NUL.
///
/// Failures that may pass are retried with growing, jittered pauses until the operation has gone
/// [`ClientOptions::source_timeout`] without progress; so every operation ends.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    shared: Arc<Shared>,
    source_timeout: Duration,
}

#[derive(Debug)]
struct Shared {
    current: RwLock<Current>,
    usage: Usage,
    gate: Semaphore,
}

/// What `reconfigure` and `set_rules` replace.
#[derive(Clone, Debug)]
struct Current {
    sites: Arc<[Arc<Site>]>,
    /// The last of `sites`, of which there is at least one.
    source: Arc<Site>,
    rules: Arc<AddressRules>,
}

impl Current {
    fn new(
        origins: Vec<Origin>,
        rules: Arc<AddressRules>,
        before: &[Arc<Site>],
    ) -> Result<Self, ConfigError> {
        let site = |origin| Site::succeed(origin, before, &rules).map(Arc::new);
        let sites: Arc<[_]> = origins.into_iter().map(site).collect::<Result<_, _>>()?;
        let source = sites.last().cloned().ok_or(ConfigError::NoOrigin)?;
        Ok(Self {
            sites,
            source,
            rules,
        })
    }
}

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
}

/// An answer read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) site: Arc<Site>,
}

impl ObjectStore {
    /// A client of `origins`; nothing is dialled yet.
    pub fn new(origins: Vec<Origin>, options: ClientOptions) -> Result<Self, ConfigError> {
        let current = Current::new(origins, Arc::new(options.rules), &[])?;
        let shared = Shared {
            current: RwLock::new(current),
            usage: Usage::default(),
            gate: Semaphore::new(REQUESTS_MAX),
        };
        Ok(Self {
            shared: Arc::new(shared),
            source_timeout: options.source_timeout,
        })
    }

    /// Replaces the origins between two requests: keys, endpoint, CA, order. Requests in flight
    /// finish as they began; their retries are sent to the new origins.
    ///
    /// On an error the old ones stay.
    pub fn reconfigure(&self, origins: Vec<Origin>) -> Result<(), ConfigError> {
        let before = self.current();
        self.replace(Current::new(origins, before.rules, &before.sites)?);
        Ok(())
    }

    /// Replaces the address rules. Connections made under the old ones are not used again.
    pub fn set_rules(&self, rules: AddressRules) -> Result<(), ConfigError> {
        let before = self.current();
        if *before.rules == rules {
            return Ok(());
        }
        let origins = before
            .sites
            .iter()
            .map(|site| site.origin.clone())
            .collect();
        self.replace(Current::new(origins, Arc::new(rules), &[])?);
        Ok(())
    }

    /// The same store with another [`ClientOptions::source_timeout`]: a probe asks for 10 s.
    #[must_use]
    pub fn with_timeout(&self, source_timeout: Duration) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            source_timeout,
        }
    }

    /// What this store and its clones have done.
    #[must_use]
    pub fn usage(&self) -> UsageSnapshot {
        self.shared.usage.snapshot()
    }

    pub(crate) fn counters(&self) -> &Usage {
        &self.shared.usage
    }

    pub(crate) fn source_timeout(&self) -> Duration {
        self.source_timeout
    }

    fn current(&self) -> Current {
        self.shared
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn replace(&self, current: Current) {
        *self
            .shared
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner) = current;
    }

    pub(crate) fn source_error(&self, kind: ErrorKind) -> StoreError {
        StoreError::new(kind, &self.current().source.place)
    }

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
    async fn repeat<T, R: Future<Output = Result<T, ErrorKind>>>(
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
            let outcome = self.attempt(site, build, finish, deadline).await;
            match outcome.map_err(|kind| StoreError::new(kind, &site.place)) {
                Err(error) if error.kind().is_unavailable() && sites.peek().is_some() => {
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
        let permit = timeout_at(deadline, self.shared.gate.acquire()).await;
        let _permit = permit.map_err(|_| ErrorKind::Timeout)?;
        let response = site.ask(&request, deadline, &self.shared.usage).await?;
        finish(
            Reply {
                response,
                site: Arc::clone(site),
            },
            deadline,
        )
        .await
    }
}

/// Reads a short answer to its end. Some requests fail after their head said success: the server
/// sent it early to keep the connection, and the failure is in the body.
async fn read_whole(reply: Reply, deadline: Instant) -> Result<Answer, ErrorKind> {
    let (head, body) = reply.response.into_parts();
    let body = timeout_at(deadline, Limited::new(body, ANSWER_BYTES_MAX).collect())
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
