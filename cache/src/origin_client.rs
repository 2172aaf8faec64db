//! The client of one origin: its connections and what its answers have taught.

use std::collections::HashMap;
use std::mem::replace;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dlf_core::network::AddressRules;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Method, Response};
use hyper::body::Incoming;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout};

use crate::answer::{Verdict, judge};
use crate::error::{ErrorKind, Failure, Place};
use crate::origin::{ConfigError, Location, Origin};
use crate::request::Request;
use crate::sign::{PayloadHash, Signer, sign, survives_caches};
use crate::transport::{self, HttpClient, PayloadBody};
use crate::url::Url;
use crate::usage::Usage;

/// A server that moves no byte for so long is given up and asked again: a third of the default
/// source timeout, so that one dead server behind a balancer does not use all of it up.
pub(crate) const STALL_MAX: Duration = Duration::from_secs(30);

/// Redirects of one request: to a region's server, from there to a node, and one to spare.
const REDIRECTS_MAX: u32 = 3;

/// The slowest upload that is waited for, in bytes per second; slower ones would hold a part's
/// memory for longer than a source is waited for.
const UPLOAD_RATE_MIN: u64 = 64 * 1024;

/// How long a cache that could not answer is not asked: its failure costs one read its timeout, and
/// one that is back is used within this.
const REST: Duration = Duration::from_secs(5);

/// Buckets of one server whose region was corrected. Each costs a request to learn again.
const REGIONS_MAX: usize = 1_000;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("dlf/", env!("CARGO_PKG_VERSION")));

/// An origin, its connections and what was learned about it.
pub(crate) struct OriginClient {
    pub(crate) origin: Origin,
    pub(crate) place: Arc<Place>,
    http: HttpClient,
    learned: Arc<Mutex<Learned>>,
    rests: Arc<Mutex<Option<Instant>>>,
}

/// What an origin's answers have corrected.
#[derive(Debug, Default)]
struct Learned {
    /// Of buckets, instead of the configured one.
    regions: HashMap<String, String>,
    /// The server's clock less ours.
    clock: SignedDuration,
}

/// What one operation has corrected already: a server that is not content then never will be.
#[derive(Debug, Default)]
struct Corrected {
    region: bool,
    clock: bool,
}

impl OriginClient {
    pub(crate) fn new(origin: Origin, rules: &Arc<AddressRules>) -> Result<Self, ConfigError> {
        origin.validate()?;
        Ok(Self {
            place: Arc::new(Place::of(&origin)),
            http: transport::client(rules, origin.ca_pem.as_deref())?,
            learned: Arc::default(),
            rests: Arc::default(),
            origin,
        })
    }

    /// Whether it failed a moment ago, so that nobody should wait for it who can ask another.
    pub(crate) fn rests(&self) -> bool {
        let until = *self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// It could not answer, and is left alone for a moment.
    pub(crate) fn let_rest(&self) {
        let until = Some(Instant::now() + REST);
        *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// The client of a changed origin: connections and lessons stay where they still apply.
    pub(crate) fn succeed(
        origin: Origin,
        before: &[Arc<Self>],
        rules: &Arc<AddressRules>,
    ) -> Result<Self, ConfigError> {
        let same_server = |client: &&Arc<Self>| {
            client.origin.endpoint == origin.endpoint && client.origin.ca_pem == origin.ca_pem
        };
        let Some(old) = before.iter().find(same_server) else {
            return Self::new(origin, rules);
        };
        origin.validate()?;
        Ok(Self {
            place: Arc::new(Place::of(&origin)),
            http: old.http.clone(),
            learned: if old.origin.region == origin.region {
                Arc::clone(&old.learned)
            } else {
                Arc::default()
            },
            rests: Arc::clone(&old.rests),
            origin,
        })
    }

    /// The client of another place of the same server, for one request.
    pub(crate) fn at(&self, location: &Location) -> Self {
        let origin = Origin {
            endpoint: self.origin.endpoint.clone(),
            bucket: location.bucket().to_owned(),
            prefix: location.prefix().to_owned(),
            region: self.origin.region.clone(),
            keys: self.origin.keys.clone(),
            // Of the connections, which are there.
            ca_pem: None,
            // A table's, which has chosen this one.
            shards: None,
        };
        Self {
            place: Arc::new(Place::of(&origin)),
            http: self.http.clone(),
            learned: Arc::clone(&self.learned),
            rests: Arc::clone(&self.rests),
            origin,
        }
    }

    /// Sends a request and gives the head of a successful answer.
    ///
    /// What the server asks to be corrected (region, clock, address) is corrected here; what may
    /// pass is the caller's to repeat.
    pub(crate) async fn ask(
        &self,
        request: &Request,
        deadline: Instant,
        usage: &Usage,
    ) -> Result<Response<Incoming>, Failure> {
        let mut url = request.url.clone();
        let mut redirects = 0;
        let mut corrected = Corrected::default();
        loop {
            let (region, now) = self.knowledge();
            let response = self
                .send(request, &url, &region, now, deadline, usage)
                .await?;
            if response.status().is_success() {
                return Ok(response);
            }
            match judge(request, response, now, rest_of_answer(request, deadline)).await {
                Verdict::Failed(failure) => return Err(failure),
                Verdict::Region(right) => self.learn_region(&region, right, &mut corrected)?,
                Verdict::Clock(time) => self.learn_clock(time, &mut corrected)?,
                Verdict::Redirect { location, region } => {
                    redirects += 1;
                    if redirects > REDIRECTS_MAX {
                        return Err(ErrorKind::RedirectRefused("too often").into());
                    }
                    url = url.redirected(&location)?;
                    if let Some(region) = region {
                        self.set_region(Some(region));
                    }
                }
            }
        }
    }

    /// The bucket's region as far as is known, and the time by the server's clock.
    fn knowledge(&self) -> (String, Timestamp) {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let region = match learned.regions.get(&self.origin.bucket) {
            Some(region) => region,
            None if self.origin.region.is_empty() => Origin::DEFAULT_REGION,
            None => &self.origin.region,
        };
        let now = Timestamp::now();
        let there = now.checked_add(learned.clock).unwrap_or(now);
        (region.to_owned(), there)
    }

    /// Takes over the server's word once per operation: `used` is what the refused request was
    /// signed with.
    fn learn_region(
        &self,
        used: &str,
        region: String,
        corrected: &mut Corrected,
    ) -> Result<(), ErrorKind> {
        let tried = replace(&mut corrected.region, true) || used == region;
        if tried || self.origin.keys.is_none() {
            self.set_region(None);
            return Err(ErrorKind::WrongRegion { region });
        }
        tracing::debug!(endpoint = %self.origin.endpoint, region, "signing for another region");
        self.set_region(Some(region));
        Ok(())
    }

    /// Takes over the server's clock once per operation.
    fn learn_clock(&self, time: Timestamp, corrected: &mut Corrected) -> Result<(), ErrorKind> {
        if replace(&mut corrected.clock, true) || self.origin.keys.is_none() {
            self.correct(|learned| learned.clock = SignedDuration::ZERO);
            return Err(ErrorKind::ClockSkew);
        }
        let skew = time.duration_since(Timestamp::now());
        tracing::warn!(endpoint = %self.origin.endpoint, seconds = skew.as_secs(), "clocks differ");
        self.correct(|learned| learned.clock = skew);
        Ok(())
    }

    fn correct(&self, change: impl FnOnce(&mut Learned)) {
        change(&mut self.learned.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What the bucket's region is in truth; `None`: what is configured.
    fn set_region(&self, region: Option<String>) {
        let bucket = &self.origin.bucket;
        self.correct(|learned| match region {
            Some(region) => {
                if learned.regions.len() >= REGIONS_MAX {
                    learned.regions.clear();
                }
                learned.regions.insert(bucket.clone(), region);
            }
            None => drop(learned.regions.remove(bucket)),
        });
    }

    /// One exchange on the wire, up to the head of the answer.
    async fn send(
        &self,
        request: &Request,
        url: &Url,
        region: &str,
        now: Timestamp,
        deadline: Instant,
        usage: &Usage,
    ) -> Result<Response<Incoming>, ErrorKind> {
        let mut headers = request.headers.clone();
        if let (Some(keys), false) = (&self.origin.keys, url.is_presigned()) {
            let hash = PayloadHash::of(&request.payload, self.origin.endpoint.is_https());
            let signer = Signer {
                keys,
                region,
                now,
                is_signed: survives_caches,
            };
            sign(&request.method, url, &mut headers, &hash, &signer)
                .map_err(|_| ErrorKind::Config("the keys cannot be sent".to_owned()))?;
        } else {
            let host = HeaderValue::from_str(&url.host_header())
                .map_err(|_| ErrorKind::Config("the request has no valid URL".to_owned()))?;
            headers.insert(HOST, host);
        }
        headers.insert(USER_AGENT, AGENT);
        let (body, sent) = PayloadBody::new(&request.payload);
        let mut outgoing = http::Request::new(body);
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = url.uri()?;
        *outgoing.headers_mut() = headers;

        usage.request();
        let began = Instant::now();
        let exchange = self.http.request(outgoing);
        let progress = || sent.load(Ordering::Relaxed);
        let answer = until_stalled(exchange, progress, limits(request, deadline)).await;
        usage.waited(began.elapsed());
        if request.method == Method::PUT {
            usage.written(sent.load(Ordering::Relaxed));
        }
        answer
            .ok_or(ErrorKind::Timeout)?
            .map_err(|error| transport::cause(&error))
    }
}

/// How long to wait: without progress, and at all.
struct Limits {
    stall: Duration,
    end: Instant,
}

fn limits(request: &Request, deadline: Instant) -> Limits {
    let transfer = Duration::from_secs(request.payload.len() / UPLOAD_RATE_MIN);
    let remaining = deadline.saturating_duration_since(Instant::now());
    let stall = if request.slow {
        remaining
    } else {
        remaining.min(STALL_MAX)
    };
    Limits {
        stall,
        end: deadline + transfer,
    }
}

/// Until when the rest of an answer is waited for whose head has come. The answer to an upload that
/// took longer than a source is waited for is heard all the same.
pub(crate) fn rest_of_answer(request: &Request, deadline: Instant) -> Instant {
    if request.payload.is_empty() {
        deadline
    } else {
        deadline.max(Instant::now() + STALL_MAX)
    }
}

/// Waits for `exchange` as long as `progress` grows; `None` when it stands still.
async fn until_stalled<F: Future>(
    exchange: F,
    progress: impl Fn() -> u64,
    limits: Limits,
) -> Option<F::Output> {
    tokio::pin!(exchange);
    let mut seen = progress();
    loop {
        let silence = limits
            .stall
            .min(limits.end.saturating_duration_since(Instant::now()));
        if let Ok(output) = timeout(silence, &mut exchange).await {
            return Some(output);
        }
        let moved = progress();
        if moved == seen || Instant::now() >= limits.end {
            return None;
        }
        seen = moved;
    }
}

impl std::fmt::Debug for OriginClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OriginClient")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn limits_of(stall: u64, end: u64) -> Limits {
        Limits {
            stall: Duration::from_secs(stall),
            end: Instant::now() + Duration::from_secs(end),
        }
    }

    #[test]
    fn a_region_that_was_learned_is_of_one_bucket_of_the_server() {
        let origin = Origin {
            endpoint: "http://s3".parse().unwrap(),
            bucket: "here".to_owned(),
            prefix: String::new(),
            region: "configured".to_owned(),
            keys: None,
            ca_pem: None,
            shards: None,
        };
        let here = OriginClient::new(origin, &Arc::default()).unwrap();
        let at = |bucket: &str| here.at(&Location::new(bucket, "p/").unwrap());
        assert_eq!(at("there").place.to_string(), "bucket there at http://s3");
        at("there").set_region(Some("learned".to_owned()));
        assert_eq!(at("there").knowledge().0, "learned");
        assert_eq!(here.knowledge().0, "configured");
        at("there").set_region(None);
        assert_eq!(at("there").knowledge().0, "configured");
        for number in 0..2 * REGIONS_MAX {
            at(&number.to_string()).set_region(Some("learned".to_owned()));
        }
        assert!(here.learned.lock().unwrap().regions.len() <= REGIONS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_given_up_after_a_stall() {
        let began = Instant::now();
        assert!(
            until_stalled(pending::<()>(), || 0, limits_of(30, 90))
                .await
                .is_none()
        );
        assert_eq!(began.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_moves_is_waited_for_but_not_for_ever() {
        let began = Instant::now();
        let progress = || began.elapsed().as_secs();
        assert!(
            until_stalled(pending::<()>(), progress, limits_of(30, 90))
                .await
                .is_none()
        );
        assert_eq!(began.elapsed(), Duration::from_secs(90));
        let slow = tokio::time::sleep(Duration::from_secs(80));
        assert!(
            until_stalled(slow, progress, limits_of(30, 90))
                .await
                .is_some()
        );
    }
}
