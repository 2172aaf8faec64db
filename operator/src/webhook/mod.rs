//! Admission: gives pods their datasets and refuses what cannot work, with a reason for a person.
//!
//! It answers from memory and reads of an object only what it needs. Whatever goes wrong, the
//! answer is a decision with a message, never an HTTP error: a failure of the webhook would reach
//! the user as a riddle.

mod body;
pub mod datasets;
pub mod decorate;
#[cfg(test)]
mod fuzz;
pub mod metrics;
mod mutate;
pub mod patch;
pub mod pod;
mod problem;
pub mod review;
mod serve;
mod validate;

use std::{sync::Arc, time::Instant};

use axum::{Router, body::Body, extract::State, response::Response, routing::post};
use dlf_plugin_host::Registry;
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::sync::watch;

pub use self::serve::{CONNECTIONS_MAX, serve};
use self::{
    body::Budget,
    datasets::Lookup,
    metrics::{Labels, Metrics, Outcome},
    problem::Problem,
    review::{Request, Verdict},
};

/// What the handlers share.
pub struct Webhook {
    lookup: Lookup,
    plugins: watch::Receiver<Arc<Registry>>,
    budget: Budget,
    metrics: Metrics,
}

impl Webhook {
    /// Webhooks that answer from this lookup under this configuration.
    #[must_use]
    pub fn new(lookup: Lookup, plugins: watch::Receiver<Arc<Registry>>, metrics: Metrics) -> Self {
        Self {
            lookup,
            plugins,
            budget: Budget::default(),
            metrics,
        }
    }

    /// The paths that the webhook configurations name.
    pub fn router(self) -> Router {
        Router::new()
            .route(MUTATE_PODS, post(mutate_pods))
            .route(VALIDATE_DATASETS, post(validate_datasets))
            .with_state(Arc::new(self))
    }
}

const MUTATE_PODS: &str = "/mutate/pods";
const VALIDATE_DATASETS: &str = "/validate/datasets";

type Shared = State<Arc<Webhook>>;

async fn mutate_pods(State(webhook): Shared, body: Body) -> Response {
    answer(&webhook, MUTATE_PODS, body, async |request| {
        mutate::pods(&webhook, request).await
    })
    .await
}

async fn validate_datasets(State(webhook): Shared, body: Body) -> Response {
    answer(&webhook, VALIDATE_DATASETS, body, async |request| {
        validate::datasets(&webhook, request).await
    })
    .await
}

/// Reads a question, has it decided and answers it.
async fn answer<T: serde::de::DeserializeOwned>(
    webhook: &Webhook,
    path: &'static str,
    body: Body,
    decide: impl AsyncFnOnce(Request<T>) -> Result<Verdict, Problem>,
) -> Response {
    let start = Instant::now();
    let (uid, decided) = match read(webhook, body).await {
        Ok(request) => {
            let uid = request.uid.clone();
            (uid, decide(request).await)
        }
        Err(problem) => (uid_of(&problem), Err(problem)),
    };
    let outcome = match &decided {
        Ok(verdict) if verdict.refusal.is_none() => Outcome::Admitted,
        Ok(_) => Outcome::Refused,
        Err(problem) => {
            tracing::warn!(path, %problem, "an admission request could not be decided on");
            Outcome::Failed
        }
    };
    webhook
        .metrics
        .requests
        .get_or_create(&Labels { path, outcome })
        .inc();
    webhook
        .metrics
        .seconds
        .observe(start.elapsed().as_secs_f64());
    respond(
        &decided.unwrap_or_else(|problem| Verdict::refuse(format!("dlf: {problem}"))),
        &uid,
    )
}

async fn read<T: serde::de::DeserializeOwned>(
    webhook: &Webhook,
    body: Body,
) -> Result<Request<T>, Problem> {
    let held = webhook.budget.read(body).await?;
    Ok(Request::read(&held.bytes)?)
}

fn uid_of(problem: &Problem) -> String {
    match problem {
        Problem::Unreadable(unreadable) => unreadable.uid.clone(),
        _ => String::new(),
    }
}

fn respond(verdict: &Verdict, uid: &str) -> Response {
    let mut response = Response::default();
    match verdict.answer(uid) {
        Ok(json) => {
            *response.body_mut() = Body::from(json);
            response.headers_mut().insert(
                CONTENT_TYPE,
                http::HeaderValue::from_static("application/json"),
            );
        }
        // Strings and JSON values: there is nothing in an answer that cannot be written.
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}
