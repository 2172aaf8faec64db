//! `dlf-mounter`: serves the node driver, or is one of its own children.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dlf_mount::mounter::MounterOptions;
use dlf_mount::{child, mounter, s3fs};

/// Runs the file systems of a node.
#[derive(Debug, Parser)]
#[command(name = "dlf-mounter", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Directory of the socket `m.sock`, which must belong to root and to nobody else.
    #[arg(long, env = "DLF_SOCKET_DIR", default_value = "/run/dlf")]
    socket_dir: PathBuf,
    /// Directory with one for each dataset, which the driver makes; of a child: its dataset's.
    #[arg(long, env = "DLF_STAGING_DIR", default_value = "/staging")]
    staging_dir: PathBuf,
    /// The revision that the driver knows this mounter by.
    #[arg(long, env = "DLF_MOUNTER_REVISION", default_value = "")]
    revision: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves one mount; started by the mounter, with its socket as standard input.
    #[command(hide = true)]
    Child,
    /// Stands in for fusermount under s3fs.
    #[command(hide = true)]
    Fusermount {
        /// What s3fs passes to fusermount.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    // s3fs finds the stand-in by the name fusermount and passes no subcommand.
    let as_fusermount = std::env::args_os()
        .next()
        .is_some_and(|name| PathBuf::from(name).file_name() == Some("fusermount".as_ref()));
    if as_fusermount {
        return finish(s3fs::fusermount());
    }
    let arguments = Arguments::parse();
    log_to_stderr();
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        tracing::error!("another TLS provider was installed first");
        return ExitCode::FAILURE;
    }
    match arguments.command {
        Some(Command::Child) => finish(child::run(&arguments.staging_dir)),
        Some(Command::Fusermount { .. }) => finish(s3fs::fusermount()),
        None => finish(mounter::run(MounterOptions {
            socket_dir: arguments.socket_dir,
            staging_dir: arguments.staging_dir,
            revision: arguments.revision,
        })),
    }
}

fn finish<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "ended");
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("DLF_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::env::var_os("DLF_LOG_FORMAT").is_some_and(|format| format == "json") {
        log.json().init();
    } else {
        log.init();
    }
}
