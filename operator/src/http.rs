//! Plain HTTP for the cluster's own eyes: `/metrics`, `/livez`, `/readyz`, `/debug/state` and its
//! parts, as `/debug/plugins`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use http::{HeaderName, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use crate::metrics::Catalog;

/// What has to be there before the replica takes requests. A gate not yet named is not asked for.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    gates: Arc<Mutex<BTreeMap<&'static str, bool>>>,
}

/// One thing that has to be there. Closed until it is opened.
#[derive(Clone, Debug)]
pub struct Gate {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Another thing to wait for.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        let gate = Gate {
            name,
            readiness: self.clone(),
        };
        gate.set(false);
        gate
    }

    /// Names of the gates that are still closed.
    #[must_use]
    pub fn closed(&self) -> Vec<&'static str> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates
            .iter()
            .filter(|(_, open)| !**open)
            .map(|(name, _)| *name)
            .collect()
    }
}

impl Gate {
    /// It is there.
    pub fn open(&self) {
        self.set(true);
    }

    /// It is there no longer.
    pub fn close(&self) {
        self.set(false);
    }

    fn set(&self, open: bool) {
        let mut gates = self
            .readiness
            .gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        gates.insert(self.name, open);
    }
}

/// A room's state for `/debug/state`: no keys, and no more than a person reads.
pub type StateSource = Box<dyn Fn() -> Value + Send + Sync>;

/// What the paths answer from.
pub struct Introspection {
    catalog: Catalog,
    readiness: Readiness,
    sources: Vec<(&'static str, StateSource)>,
}

impl Introspection {
    /// Of these metrics, gates and rooms.
    #[must_use]
    pub fn new(
        catalog: Catalog,
        readiness: Readiness,
        sources: Vec<(&'static str, StateSource)>,
    ) -> Self {
        Self {
            catalog,
            readiness,
            sources,
        }
    }

    /// The paths.
    pub fn router(self) -> Router {
        Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/debug/state", get(state))
            .route("/debug/{part}", get(part))
            .with_state(Arc::new(self))
    }
}

type Shared = State<Arc<Introspection>>;

async fn readyz(State(shared): Shared) -> (StatusCode, String) {
    let closed = shared.readiness.closed();
    if closed.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("waiting for {}\n", closed.join(", ")),
        )
    }
}

type Text = (StatusCode, [(HeaderName, &'static str); 1], String);

async fn metrics(State(shared): Shared) -> Text {
    const OPEN_METRICS: [(HeaderName, &str); 1] = [(
        CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    match shared.catalog.scrape() {
        Ok(text) => (StatusCode::OK, OPEN_METRICS, text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            OPEN_METRICS,
            error.to_string(),
        ),
    }
}

async fn state(State(shared): Shared) -> Json<Value> {
    let rooms = shared
        .sources
        .iter()
        .map(|(room, state)| ((*room).to_owned(), state()));
    Json(Value::Object(rooms.collect::<Map<_, _>>()))
}

async fn part(
    State(shared): Shared,
    Path(wanted): Path<String>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let mut sources = shared.sources.iter();
    let found = sources.find(|(room, _)| *room == wanted);
    found.map(|(_, state)| Json(state())).ok_or_else(|| {
        let rooms: Vec<&str> = shared.sources.iter().map(|(room, _)| *room).collect();
        let known = rooms.join(", ");
        (
            StatusCode::NOT_FOUND,
            format!("no part {wanted:?}; there are {known}\n"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_ready_when_every_gate_is_open() {
        let readiness = Readiness::default();
        let (datasets, certificate) = (readiness.gate("datasets"), readiness.gate("certificate"));
        assert_eq!(readiness.closed(), ["certificate", "datasets"]);
        datasets.open();
        certificate.open();
        assert!(readiness.closed().is_empty());
        certificate.close();
        assert_eq!(readiness.closed(), ["certificate"]);
    }
}
