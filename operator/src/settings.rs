//! The command line: every flag is also an environment variable.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Parser, Subcommand};
use dlf_core::api::ApiGroup;

use crate::telemetry::LogFormat;

/// Controllers, webhooks and the nodes' stream of DLF.
#[derive(Clone, Debug, Parser)]
#[command(name = "dlf-operator", version)]
pub struct Settings {
    /// What to do instead of running a replica.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Namespace of the installation.
    #[arg(long, env = "DLF_NAMESPACE", default_value = "dlf-system")]
    pub namespace: String,
    /// Namespace of caches.
    #[arg(long, env = "DLF_CACHES_NAMESPACE", default_value = "dlf-caches")]
    pub caches_namespace: String,
    /// Names of Secrets there for pulling the images of caches, with a comma between them.
    #[arg(long, env = "DLF_CACHES_IMAGE_PULL_SECRETS", value_delimiter = ',')]
    pub caches_image_pull_secrets: Vec<String>,
    /// API groups whose Datasets are served, with a comma between them.
    #[arg(long, env = "DLF_API_GROUPS", value_delimiter = ',', value_parser = api_group, default_values = ApiGroup::ALL.map(ApiGroup::name))]
    pub api_groups: Vec<ApiGroup>,
    /// Whether this program installs and upgrades the CRDs, or waits until somebody else has.
    #[arg(long, env = "DLF_INSTALL_CRDS", action = ArgAction::Set, default_value_t = true)]
    pub install_crds: bool,
    /// Name of this pod, which stands in the Lease while it leads.
    #[arg(long, env = "DLF_POD", default_value = "dlf-operator")]
    pub pod: String,
    /// Configuration file (TOML); without it the defaults hold.
    #[arg(long, env = "DLF_CONFIG")]
    pub config: Option<PathBuf>,
    /// Template of the mounter's `DaemonSet` (YAML).
    #[arg(long, env = "DLF_MOUNTER_TEMPLATE")]
    pub mounter_template: Option<PathBuf>,
    /// Where the webhooks listen (HTTPS).
    #[arg(long, env = "DLF_WEBHOOK_LISTEN", default_value = "[::]:9443")]
    pub webhook_listen: SocketAddr,
    /// Where node drivers and workers are answered (gRPC over TLS).
    #[arg(long, env = "DLF_NODES_LISTEN", default_value = "[::]:9444")]
    pub nodes_listen: SocketAddr,
    /// Where metrics and health are told (HTTP).
    #[arg(long, env = "DLF_HTTP_LISTEN", default_value = "[::]:8080")]
    pub http_listen: SocketAddr,
    /// Filter of what is logged: a level, or `info,dlf_operator=debug`.
    #[arg(long, env = "DLF_LOG", default_value = "info")]
    pub log: String,
    /// How it is logged.
    #[arg(long, env = "DLF_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// What to do instead of running a replica.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Take away what the operator made, so that Helm can take the rest; Datasets and CRDs stay.
    /// Refuses, naming them, while pods use datasets.
    Uninstall {
        /// Whether or not pods use datasets: their mounts break.
        #[arg(long, env = "DLF_UNINSTALL_FORCE")]
        force: bool,
    },
}

fn api_group(name: &str) -> Result<ApiGroup, String> {
    let known = ApiGroup::ALL.map(ApiGroup::name);
    let found = ApiGroup::ALL.into_iter().find(|group| group.name() == name);
    found.ok_or_else(|| format!("expected {}", known.join(" or ")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn both_groups_are_served_unless_one_is_named() {
        let groups = |arguments: &[&str]| {
            let arguments = [&["dlf-operator"], arguments].concat();
            Settings::try_parse_from(arguments).map(|settings| settings.api_groups)
        };
        assert_eq!(groups(&[]).unwrap(), ApiGroup::ALL);
        assert_eq!(
            groups(&["--api-groups", "datashim.io"]).unwrap(),
            [ApiGroup::Datashim]
        );
        let refused = groups(&["--api-groups", "datashim"]).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("com.ie.ibm.hpsys or datashim.io")
        );
    }

    #[test]
    fn every_flag_is_also_an_environment_variable() {
        let command = Settings::command();
        command.clone().debug_assert();
        let flags = command
            .get_arguments()
            .filter(|flag| !matches!(flag.get_id().as_str(), "help" | "version"));
        for flag in flags {
            let name = flag.get_env().and_then(|name| name.to_str());
            assert!(
                name.is_some_and(|name| name.starts_with("DLF_")),
                "{}",
                flag.get_id()
            );
        }
    }
}
