//! Who is at the other end of a stream, as the API server says it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use dlf_core::names::TOKEN_AUDIENCE;
use dlf_wire::nodes::v1::Token;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Service account of the node driver, in our namespace.
const DRIVER_ACCOUNT: &str = "dlf-csi";
/// Service account of the worker, in our namespace.
const WORKER_ACCOUNT: &str = "dlf-worker";
/// The API server puts it on tokens that are bound to a pod.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
/// The same.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";

/// A review is one look-up in the API server's memory; a stream waits this long for it at most.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest token that is carried to the API server: a service account's has about a kilobyte.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Reviews under way at once. After a change of leader every node comes within seconds, and the API
/// server has other things to do.
const REVIEWS_MAX: usize = 16;
/// A projected token bound to a pod names its expiry. Should one not, it is reviewed again this soon.
const LIFETIME_DEFAULT: Duration = Duration::from_mins(10);
/// A token that was just found valid and has expired by our clock counts for this long: the clock is
/// wrong then.
const LIFETIME_DOUBTED: Duration = Duration::from_mins(5);
/// No token counts for longer without being reviewed again, whatever it says. The kubelet's live
/// an hour.
const LIFETIME_MAX: Duration = Duration::from_hours(2);

/// Which of our programs it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The node driver.
    Driver,
    /// The worker.
    Worker,
}

/// Who a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which program.
    pub program: Program,
    /// The node that its pod is bound to.
    pub node: String,
    /// Its pod.
    pub pod: String,
    /// For how long the token counts until it is reviewed again.
    pub lifetime: Duration,
}

/// Why a token is not accepted. Never shows the token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The API server did not say.
    #[error("the API server did not review the token: {0}")]
    Review(String),
    /// The API server does not know the token, or it has expired.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// The token is for somebody else than us.
    #[error("the token is not for audience {TOKEN_AUDIENCE}")]
    Audience,
    /// The token is valid and its owner has no business here.
    #[error("{0} is neither the node driver's nor the worker's service account")]
    Account(String),
    /// The token is not bound to a pod on a node.
    #[error("the token is not bound to a pod on a node")]
    Unbound,
}

/// Tells who a token belongs to.
#[async_trait]
pub trait Identify: Send + Sync {
    /// Who `token` belongs to.
    async fn identify(&self, token: &Token) -> Result<Identity, IdentityError>;
}

/// Asks the API server.
pub struct Reviewer {
    reviews: Api<TokenReview>,
    namespace: String,
    permits: Semaphore,
}

impl Reviewer {
    /// A reviewer that accepts the programs of `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        Self {
            reviews: Api::all(client),
            namespace: namespace.into(),
            permits: Semaphore::new(REVIEWS_MAX),
        }
    }
}

#[async_trait]
impl Identify for Reviewer {
    async fn identify(&self, token: &Token) -> Result<Identity, IdentityError> {
        check(&token.value)?;
        let failed = |error: &dyn std::fmt::Display| IdentityError::Review(error.to_string());
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|error| failed(&error))?;
        let spec = TokenReviewSpec {
            token: Some(token.value.clone()),
            audiences: Some(vec![TOKEN_AUDIENCE.to_owned()]),
        };
        let review = TokenReview {
            spec,
            ..TokenReview::default()
        };
        let params = PostParams::default();
        let reviewed = timeout(REVIEW_TIMEOUT, self.reviews.create(&params, &review)).await;
        let reviewed = reviewed.map_err(|error| failed(&error))?;
        let status = reviewed
            .map_err(|error| failed(&error))?
            .status
            .unwrap_or_default();
        let (program, node, pod) = judge(&status, &self.namespace)?;
        let lifetime = lifetime(&token.value, SystemTime::now());
        Ok(Identity {
            program,
            node,
            pod,
            lifetime,
        })
    }
}

/// Whether it can be a token at all: who shows none costs the API server nothing.
fn check(token: &str) -> Result<(), IdentityError> {
    let why = match token.len() {
        0 => "there is none",
        1..=TOKEN_BYTES_MAX => return Ok(()),
        _ => "it is longer than any service account's",
    };
    Err(IdentityError::Invalid(why.to_owned()))
}

/// What a review says of a token's owner: program, node and pod.
fn judge(
    status: &TokenReviewStatus,
    namespace: &str,
) -> Result<(Program, String, String), IdentityError> {
    if status.authenticated != Some(true) {
        return Err(IdentityError::Invalid(
            status.error.clone().unwrap_or_default(),
        ));
    }
    // An API server that ignores the audiences it was asked for gives none back.
    if !status
        .audiences
        .iter()
        .flatten()
        .any(|audience| audience == TOKEN_AUDIENCE)
    {
        return Err(IdentityError::Audience);
    }
    let user = status.user.as_ref();
    let name = user
        .and_then(|user| user.username.as_deref())
        .unwrap_or_default();
    let account = name
        .strip_prefix("system:serviceaccount:")
        .and_then(|account| {
            account
                .strip_prefix(namespace)
                .and_then(|account| account.strip_prefix(':'))
        });
    let program = match account {
        Some(DRIVER_ACCOUNT) => Program::Driver,
        Some(WORKER_ACCOUNT) => Program::Worker,
        _ => return Err(IdentityError::Account(name.to_owned())),
    };
    let extra = |key| match user
        .and_then(|user| user.extra.as_ref()?.get(key))
        .map(Vec::as_slice)
    {
        Some([value]) if !value.is_empty() => Ok(value.clone()),
        _ => Err(IdentityError::Unbound),
    };
    Ok((program, extra(NODE_NAME)?, extra(POD_NAME)?))
}

/// For how long a token that was just found valid counts: its own word, within bounds. Where our clock
/// is behind, no longer than it was made for.
fn lifetime(token: &str, now: SystemTime) -> Duration {
    #[derive(Deserialize)]
    struct Claims {
        exp: u64,
        #[serde(default)]
        iat: u64,
    }
    let claims = token.split('.').nth(1);
    let claims = claims.and_then(|claims| BASE64_URL_SAFE_NO_PAD.decode(claims).ok());
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    let Some(Claims { exp, iat }) = claims else {
        return LIFETIME_DEFAULT;
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    match exp.saturating_sub(now.as_secs().max(iat)) {
        0 => LIFETIME_DOUBTED,
        left => Duration::from_secs(left).min(LIFETIME_MAX),
    }
}

#[cfg(test)]
mod tests;
