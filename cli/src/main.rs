//! `kubectl dlf`.
//!
//! Exit codes: 0 done, 1 what was asked for cannot be had or failed its checks, 2 a mistake in the
//! command line.

mod arguments;
mod cluster;
mod datasets;
mod doctor;
mod explain;
mod get;
mod output;
mod plugin;
mod text;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::arguments::{Arguments, Command};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Fails only where a provider is installed already, and then it is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match Arguments::parse().command {
        Command::Get {
            name,
            within,
            all_namespaces,
            shown,
            connection,
        } => {
            let asked = get::Asked {
                name,
                namespace: within.namespace,
                all: all_namespaces,
            };
            get::run(&asked, shown, &connection).await
        }
        Command::Explain {
            name,
            within,
            group,
            shown,
            connection,
        } => {
            let asked = explain::Asked {
                name,
                namespace: within.namespace,
                group,
            };
            explain::run(&asked, shown, &connection).await
        }
        Command::Doctor {
            installed,
            shown,
            connection,
        } => doctor::run(&installed, shown, &connection).await,
        Command::Plugin(command) => plugin::run(command).await,
        Command::PluginHost(library) => dlf_plugin_isolated::answer_parent(&library)
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
