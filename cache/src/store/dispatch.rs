//! The dispatch of every request: rounds over the origins, retries.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::rotation::KeyWait;
use super::table::Block;
use super::whole::{Answer, Failed, Wait, read_whole};
use super::{Current, ObjectStore};
use crate::error::{ErrorKind, Failure, StoreError};
use crate::origin::Origin;
use crate::origin_client::{OriginClient, rest_of_answer};
use crate::request::Request;
use crate::retry::Retries;

/// A cache that sends nothing for this long, be it the head of its answer or the next bytes of it,
/// is slower than its source should be.
pub(crate) const CACHE_TIMEOUT: Duration = Duration::from_secs(3);

/// Which origins a request may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Any, in order: a request for bytes of a known version (`If-Match`), which are the same
    /// wherever they come from. Whatever a cache answers but these bytes, the source is asked.
    Blocks(Block<'a>),
    /// The source: all that changes something, and all that asks what there is. A cache may have
    /// lost its bucket, list pages of another moment, or not know what this node has written.
    Source,
}

/// The head of a successful answer, and how it came about.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response<Incoming>,
    pub(crate) client: Arc<OriginClient>,
    /// Whether its origin is a cache, and the source can be asked instead.
    pub(crate) of_cache: bool,
    /// The longest body that is read whole, in bytes.
    pub(super) answer_max: usize,
}

/// What it took to get an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effort {
    /// Attempts that failed on the way: each of them may have had its effect without our hearing
    /// of it.
    pub(crate) failures: u32,
    /// How long other keys were waited for: no time of the source's.
    pub(crate) for_keys: Duration,
}

impl ObjectStore {
    /// Sends the request that `build` makes for an origin until an answer comes that stays, and
    /// gives its head.
    pub(crate) async fn send(
        &self,
        route: Route<'_>,
        build: impl Fn(&Origin) -> Result<Request, ErrorKind>,
    ) -> Result<Reply, StoreError> {
        self.repeat(route, build, |reply, _| std::future::ready(Ok(reply)))
            .await
            .0
    }

    /// As [`Self::send`], and reads the answer whole.
    pub(crate) async fn ask(
        &self,
        route: Route<'_>,
        build: impl Fn(&Origin) -> Result<Request, ErrorKind>,
    ) -> Result<Answer, StoreError> {
        self.repeat(route, build, read_whole).await.0
    }

    /// As [`Self::ask`], and tells how many attempts failed on the way.
    pub(crate) async fn ask_counting(
        &self,
        route: Route<'_>,
        build: impl Fn(&Origin) -> Result<Request, ErrorKind>,
    ) -> (Result<Answer, StoreError>, u32) {
        let (outcome, effort) = self.repeat(route, build, read_whole).await;
        (outcome, effort.failures)
    }

    /// As [`Self::ask`] of the source, but once: what may pass is the caller's to repeat.
    pub(super) async fn ask_once(
        &self,
        build: impl Fn(&Origin) -> Result<Request, ErrorKind>,
    ) -> Result<Answer, StoreError> {
        let mut retries = self.retries();
        let current = self.current();
        self.round(&current, Route::Source, &build, &read_whole, &mut retries)
            .await
    }

    /// Rounds over the origins of `route`, with pauses, as long as that may help. An operation whose
    /// keys are refused had no effect, and waits for others.
    pub(super) async fn repeat<T, R: Future<Output = Result<T, Failed>>>(
        &self,
        route: Route<'_>,
        build: impl Fn(&Origin) -> Result<Request, ErrorKind>,
        finish: impl Fn(Reply, Wait) -> R,
    ) -> (Result<T, StoreError>, Effort) {
        let mut retries = self.retries();
        let mut keys = KeyWait::default();
        loop {
            let current = self.current();
            let round = self.round(&current, route, &build, &finish, &mut retries);
            let outcome = round.await;
            let effort = Effort {
                failures: retries.failures(),
                for_keys: keys.waited,
            };
            let error = match outcome {
                Ok(done) => return (Ok(done), effort),
                Err(error) => error,
            };
            // Keys may have been revoked before their successors reached us.
            let rotated =
                error.kind().is_refusal() && !Arc::ptr_eq(&current.table, &self.current().table);
            let again = if error.kind().rejects_keys() && !rotated {
                let others = keys.for_others(self, &current).await;
                retries.skip(keys.waited.saturating_sub(effort.for_keys));
                others
            } else {
                (error.kind().may_pass() || rotated) && retries.pause().await
            };
            if !again {
                if *error.kind() != ErrorKind::NotFound {
                    self.shared.usage.error();
                }
                return (Err(error), effort);
            }
            tracing::debug!(%error, "asking again");
            self.shared.usage.retry();
        }
    }

    /// Asks each cache, if the route has them, and then the source, until one can answer.
    async fn round<T, R: Future<Output = Result<T, Failed>>>(
        &self,
        current: &Current,
        route: Route<'_>,
        build: &impl Fn(&Origin) -> Result<Request, ErrorKind>,
        finish: &impl Fn(Reply, Wait) -> R,
        retries: &mut Retries,
    ) -> Result<T, StoreError> {
        let source = current.source();
        let permit = timeout_at(retries.deadline(), self.shared.gate.acquire()).await;
        let _permit = permit.map_err(|_| StoreError::new(ErrorKind::Timeout, &source.place))?;
        if let Route::Blocks(block) = route {
            let began = Instant::now();
            let caches = current.caches_of(block);
            if let Some(done) = self.ask_caches(caches, build, finish).await {
                return Ok(done);
            }
            // The source has not been asked yet. Once it has, time runs for all: an operation takes
            // no longer than a source is waited for, and one round of caches.
            if retries.failures() == 0 {
                retries.skip(began.elapsed());
            }
        }
        let wait = Wait {
            end: retries.deadline(),
            stretch: retries.stretch(),
        };
        let outcome = self.attempt(&source, false, build, finish, wait).await;
        let outcome = outcome.map_err(|failed| {
            retries.stretched(failed.worked);
            failed.failure
        });
        // Where the source has nothing either, the cache is not to blame.
        if outcome.is_ok() && route != Route::Source && current.table.has_caches() {
            self.shared.usage.cache_failed();
        }
        let kind = outcome.as_ref().map_err(|failure| &failure.kind);
        if let Ok(_) | Err(ErrorKind::NotFound | ErrorKind::PreconditionFailed) = kind {
            current.keys.worked();
            *self.answered() = Some(Instant::now());
        }
        outcome.map_err(|failure| StoreError::new(failure, &source.place))
    }

    /// Asks each of `caches`; none if none of them can answer.
    async fn ask_caches<T, R: Future<Output = Result<T, Failed>>>(
        &self,
        caches: impl Iterator<Item = Arc<OriginClient>>,
        build: &impl Fn(&Origin) -> Result<Request, ErrorKind>,
        finish: &impl Fn(Reply, Wait) -> R,
    ) -> Option<T> {
        for cache in caches {
            let wait = Wait {
                end: Instant::now() + CACHE_TIMEOUT,
                stretch: Duration::ZERO,
            };
            let asked = self.attempt(&cache, true, build, finish, wait);
            let kind = match asked.await {
                Ok(done) => return Some(done),
                Err(failed) => failed.failure.kind,
            };
            // What it refuses, lacks or has in another version, the next may have.
            if kind.is_unavailable() {
                cache.let_rest();
            }
            tracing::debug!(cache = %cache.place, %kind, "asking the next origin");
        }
        None
    }

    /// What a refusal was really for, if other keys would be waited for: answers to `HEAD` have no
    /// body, and AWS refuses an expired token with status 400. The same as a `GET` tells.
    async fn explained(
        &self,
        client: &OriginClient,
        request: &Request,
        refusal: Failure,
        deadline: Instant,
    ) -> Failure {
        let signed = client.origin.keys.is_some();
        let why = match request.asking_why() {
            Some(why) if signed && !self.key_grace.is_zero() => why,
            _ => return refusal,
        };
        match client.ask(&why, deadline, &self.shared.usage).await {
            Err(why) if why.kind.rejects_keys() => why,
            _ => refusal,
        }
    }

    /// Asks one origin once.
    async fn attempt<T, R: Future<Output = Result<T, Failed>>>(
        &self,
        client: &Arc<OriginClient>,
        of_cache: bool,
        build: &impl Fn(&Origin) -> Result<Request, ErrorKind>,
        finish: &impl Fn(Reply, Wait) -> R,
        wait: Wait,
    ) -> Result<T, Failed> {
        let request = build(&client.origin)?;
        if request.nameless {
            return Err(ErrorKind::Config("an object's key is empty".to_owned()).into());
        }
        let response = match client.ask(&request, wait.end, &self.shared.usage).await {
            Err(failure) if is_unexplained(&failure.kind) => {
                let why = self.explained(client, &request, failure, wait.end).await;
                return Err(why.into());
            }
            outcome => outcome?,
        };
        let reply = Reply {
            response,
            client: Arc::clone(client),
            of_cache,
            answer_max: request.answer_max,
        };
        let stretch = if request.slow {
            wait.stretch
        } else {
            Duration::ZERO
        };
        let end = rest_of_answer(&request, wait.end);
        finish(reply, Wait { end, stretch }).await
    }
}

/// Whether a refusal may be one of the keys that the server could not name as such.
fn is_unexplained(kind: &ErrorKind) -> bool {
    let bad_request = StatusCode::BAD_REQUEST.as_u16();
    match kind {
        ErrorKind::AccessDenied | ErrorKind::WrongRegion { .. } => true,
        kind => *kind == ErrorKind::UnexpectedStatus(bad_request),
    }
}
