use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{Connection, Installed, values};

/// How a plugin that is installed is checked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Of an installed plugin")]
pub(crate) struct InCluster {
    /// Check the plugin of this name that is installed in the cluster.
    #[arg(long, requires = "filename", conflicts_with = "arguments")]
    pub(crate) cluster: bool,
    /// A file with a Dataset of type COS, and with the Secret that it names, if it names one; `-` for
    /// standard input.
    #[arg(short = 'f', long, value_name = "FILE", requires = "cluster")]
    pub(crate) filename: Option<PathBuf>,
    /// The same Dataset with other keys, good for the same bucket: they take the place of the first.
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub(crate) rotated: Option<PathBuf>,
    /// Image of the pods that read: with a shell, find and dd.
    #[arg(
        long,
        value_name = "IMAGE",
        default_value = "docker.io/library/busybox:1.37"
    )]
    pub(crate) image: String,
    /// How long each step may take.
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = values::deadline)]
    pub(crate) timeout: Duration,
    /// Leave the namespace of the check, with all that is in it.
    #[arg(long, requires = "cluster")]
    pub(crate) keep: bool,
    /// Namespace in which the operator makes caches.
    #[arg(long, value_name = "NAME", default_value = "dlf-caches", value_parser = values::label)]
    pub(crate) cache_namespace: String,
    #[command(flatten)]
    pub(crate) installed: Installed,
    #[command(flatten)]
    pub(crate) connection: Connection,
}
