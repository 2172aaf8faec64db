//! `kubectl dlf`.
//!
//! Exit codes: 0 done, 1 what was asked for cannot be had or failed its checks, 2 a mistake in the
//! command line.

mod arguments;
mod output;
mod plugin;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::arguments::{Arguments, Command};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Fails only where a provider is installed already, and then it is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match Arguments::parse().command {
        Command::Plugin(command) => plugin::run(command).await,
        Command::PluginHost(settings) => dlf_plugin_isolated::run(settings)
            .await
            .map(|()| ExitCode::SUCCESS),
        Command::Completion { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "kubectl-dlf", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
