//! `dlf-plugin-host`.

use std::process::ExitCode;

use clap::Parser;
use dlf_plugin_isolated::{Settings, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Fails only where a provider is installed already, and then it is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = Settings::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    match run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dlf-plugin-host: {error}");
            ExitCode::FAILURE
        }
    }
}
