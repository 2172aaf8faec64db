//! `/livez`, `/readyz` and `/metrics`.

use std::io;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use dlf_listen::Listener;
use tokio::sync::watch;

use crate::metrics::Metrics;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until the program ends. `ready` turns true when the kubelet has registered the driver;
/// not when the operator is there: a node keeps working without it.
pub async fn serve(
    listener: Listener,
    metrics: Metrics,
    ready: watch::Receiver<bool>,
) -> io::Result<()> {
    let readiness = move || {
        let ready = *ready.borrow();
        async move {
            if ready {
                (StatusCode::OK, "ok\n")
            } else {
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "not registered with the kubelet\n",
                )
            }
        }
    };
    let text = move || {
        let text = metrics.text();
        async move { ([(CONTENT_TYPE, OPEN_METRICS)], text) }
    };
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .route("/metrics", get(text));
    axum::serve(listener, router).await
}
