use std::path::PathBuf;

use clap::Args;

use super::values;

/// Which cluster, and as whom: kubectl's options.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Connection {
    /// Kubeconfig file; otherwise those of `KUBECONFIG`, or ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; otherwise its current one.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// As this user, if you may impersonate it: what does that user see?
    #[arg(long = "as", value_name = "USER")]
    pub(crate) user: Option<String>,
    /// As a member of this group, too; may be repeated.
    #[arg(long = "as-group", value_name = "GROUP", requires = "user")]
    pub(crate) groups: Vec<String>,
}

/// The namespace of Datasets.
#[derive(Clone, Debug, Args)]
pub(crate) struct Within {
    /// Namespace; otherwise that of the context.
    #[arg(short, long, value_name = "NAME", value_parser = values::label)]
    pub(crate) namespace: Option<String>,
}

/// Where DLF itself is installed.
#[derive(Clone, Debug, Args)]
pub(crate) struct Installed {
    /// Namespace in which DLF is installed.
    #[arg(long, value_name = "NAME", default_value = "dlf-system", value_parser = values::label)]
    pub(crate) dlf_namespace: String,
}
