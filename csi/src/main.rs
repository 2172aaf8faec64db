//! `dlf-csi`, the node driver.

use std::process::ExitCode;

use clap::Parser;
use dlf_csi::cli::{Cli, Command};
use dlf_csi::driver;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // Fails only when it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    start_logging();
    let result = match cli.command {
        Some(Command::MountNfs(args)) => driver::mount_nfs(args).map_err(|error| error.to_string()),
        None => run(cli.driver),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: dlf_csi::cli::DriverArgs) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let result = runtime.block_on(async {
        let mut terminated =
            signal(SignalKind::terminate()).map_err(|error| format!("no signals: {error}"))?;
        tokio::select! {
            ended = driver::run(args) => match ended {
                Err(error) => Err(error.to_string()),
            },
            _ = terminated.recv() => {
                tracing::info!("ending; the mounts stay");
                Ok(())
            }
        }
    });
    // A thread that hangs in a system call must not keep the program.
    runtime.shutdown_background();
    result
}

fn start_logging() {
    let filter = EnvFilter::try_from_env("DLF_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::env::var("DLF_LOG_FORMAT").is_ok_and(|format| format == "json") {
        subscriber.json().init();
    } else {
        subscriber.init();
    }
}
