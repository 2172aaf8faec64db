//! The worker's process: settings, log, HTTP, and the stream to the operator.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use dlf_listen::{Listener, OF_HEALTH};
use dlf_wire::dial::Dialer;
use dlf_worker::http;
use dlf_worker::metrics::Metrics;
use dlf_worker::session::Session;
use dlf_worker::settings::{Settings, start_log};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only if a provider is installed already, and this is the first line.
    drop(rustls::crypto::ring::default_provider().install_default());
    let settings = Settings::parse();
    start_log(settings.log_format);
    match run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the worker cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
    let dialer = Dialer::new(&settings.operator, settings.ca, settings.token)?;
    let metrics = Arc::new(Metrics::default());
    let listener = Listener::bind(settings.http, OF_HEALTH).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let session = Session::new(dialer, settings.pod, settings.capacity, metrics.clone());
    // What is under way when the process ends is put back by the operator: there is nothing to
    // finish first.
    tokio::select! {
        served = http::serve(listener, metrics) => served?,
        () = session.run() => {}
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
