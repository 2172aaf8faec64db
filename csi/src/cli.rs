//! The command line; every flag can also be given by the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::directories::{FreeMin, Limits, Size};

/// The DLF node driver.
#[derive(Debug, Parser)]
#[command(name = "dlf-csi", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to run as a driver.
    #[command(flatten)]
    pub driver: DriverArgs,
}

/// What else the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mount an NFS share with the driver's own code, and end.
    MountNfs(MountNfsArgs),
}

/// Flags of the driver.
#[derive(Args, Clone, Debug)]
pub struct DriverArgs {
    /// Name of this node.
    #[arg(long, env = "DLF_NODE", default_value = "")]
    pub node: String,
    /// The kubelet's directory, mounted here at the same path with Bidirectional propagation.
    #[arg(long, env = "DLF_KUBELET_DIR", default_value = "/var/lib/kubelet")]
    pub kubelet_dir: PathBuf,
    /// Where the node's allowed host path prefixes are mounted.
    #[arg(long, env = "DLF_HOST_DIR", default_value = "/host")]
    pub host_dir: PathBuf,
    /// The operator, as host:port.
    #[arg(
        long,
        env = "DLF_OPERATOR",
        default_value = "dlf-nodes.dlf-system.svc:9444"
    )]
    pub operator: String,
    /// PEM bundle of the operator's certificate authority; may appear later.
    #[arg(long, env = "DLF_CA", default_value = "/etc/dlf/ca/ca.crt")]
    pub ca: PathBuf,
    /// Service account token for the operator.
    #[arg(long, env = "DLF_TOKEN", default_value = "/var/run/secrets/dlf/token")]
    pub token: PathBuf,
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "DLF_HTTP", default_value = "0.0.0.0:9808")]
    pub http: SocketAddr,
    /// How much of the node's disk datasets may fill.
    #[command(flatten)]
    pub staging: StagingArgs,
}

/// Limits of the node's disk; the chart's values tell their reasons.
#[derive(Args, Clone, Debug)]
pub struct StagingArgs {
    /// Bytes of one file, as a quantity.
    #[arg(long, env = "DLF_STAGING_PER_FILE", default_value = "64Gi")]
    pub staging_per_file: Size,
    /// Bytes of one dataset.
    #[arg(long, env = "DLF_STAGING_PER_DATASET", default_value = "128Gi")]
    pub staging_per_dataset: Size,
    /// Bytes of all datasets.
    #[arg(long, env = "DLF_STAGING_PER_NODE", default_value = "256Gi")]
    pub staging_per_node: Size,
    /// What stays free, as a quantity or a percentage of the disk.
    #[arg(long, env = "DLF_STAGING_MIN_FREE", default_value = "15%")]
    pub staging_min_free: FreeMin,
}

impl StagingArgs {
    /// The limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            per_file: self.staging_per_file.0,
            per_dataset: self.staging_per_dataset.0,
            per_node: self.staging_per_node.0,
            min_free: self.staging_min_free,
        }
    }
}

/// Flags of `mount-nfs`.
#[derive(Args, Debug)]
pub struct MountNfsArgs {
    /// The server's name or address.
    #[arg(long)]
    pub server: String,
    /// The exported path.
    #[arg(long)]
    pub share: String,
    /// Mount options, comma-separated.
    #[arg(long, default_value = "")]
    pub options: String,
    /// Make the share's last directories if they do not exist.
    #[arg(long)]
    pub create: bool,
    /// CIDRs that may be dialled although a built-in rule refuses them.
    #[arg(long)]
    pub allow: Vec<String>,
    /// An existing directory.
    pub target: PathBuf,
}
