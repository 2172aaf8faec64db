//! `dlf-operator`. The one place that names the built-in plugins.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use dlf_operator::{
    replica,
    settings::{Command, Settings},
    telemetry, uninstall,
};
use dlf_plugin_host::BuiltIn;
use dlf_plugin_hostpath::HostPath;
use dlf_plugin_nfs::Nfs;
use dlf_plugin_s3fs::S3fs;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only where a provider is installed already, and then it is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dlf-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::parse();
    telemetry::init(&settings.log, settings.log_format)?;
    if let Some(Command::Uninstall { force }) = settings.command {
        let client = kube::Client::try_default().await?;
        return Ok(uninstall::run(
            client,
            &settings.namespace,
            &settings.caches_namespace,
            &settings.api_groups,
            force,
        )
        .await?);
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let built_in = vec![
        BuiltIn::Storage(Arc::new(S3fs)),
        BuiltIn::Storage(Arc::new(Nfs)),
        BuiltIn::Storage(Arc::new(HostPath)),
    ];
    replica::run(settings, built_in, stop).await?;
    Ok(())
}
