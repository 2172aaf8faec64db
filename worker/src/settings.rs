//! What the installation tells the worker.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Touches sources on behalf of the DLF operator.
#[derive(Clone, Debug, Parser)]
#[command(name = "dlf-worker", version)]
pub struct Settings {
    /// The operator's streams, `host:port`; every address of the host is tried.
    #[arg(
        long,
        env = "DLF_OPERATOR",
        default_value = "dlf-nodes.dlf-system.svc:9444"
    )]
    pub operator: String,
    /// CA bundle that the operator's certificate must come from.
    #[arg(long, env = "DLF_CA", default_value = "/etc/dlf/ca/ca.crt")]
    pub ca: PathBuf,
    /// Service account token for the operator.
    #[arg(long, env = "DLF_TOKEN", default_value = "/var/run/secrets/dlf/token")]
    pub token: PathBuf,
    /// Name of this pod.
    #[arg(long, env = "DLF_POD")]
    pub pod: String,
    /// Tasks at once. Each holds a connection or two and a page of a listing.
    #[arg(long, env = "DLF_CAPACITY", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub capacity: u32,
    /// Address of `/livez`, `/readyz` and `/metrics`.
    #[arg(long, env = "DLF_HTTP", default_value = "0.0.0.0:8080")]
    pub http: SocketAddr,
    /// How the log is written.
    #[arg(long, env = "DLF_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error, filtered by `DLF_LOG`.
pub fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("DLF_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
