mod checked;
mod cluster;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::checked::InCluster;
pub(crate) use self::cluster::{Connection, Installed, Within};
use dlf_core::api::ApiGroup;

/// What DLF does and why, and tools for authors of plugins.
#[derive(Debug, Parser)]
#[command(name = "kubectl dlf", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Datasets of both API groups, and how they are.
    Get {
        /// This one alone.
        #[arg(value_parser = values::label)]
        name: Option<String>,
        #[command(flatten)]
        within: Within,
        /// Of all namespaces.
        #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
        all_namespaces: bool,
        #[command(flatten)]
        shown: ShownWide,
        #[command(flatten)]
        connection: Connection,
    },
    /// Why a Dataset is as it is: what stands in its way, its cache, its users.
    Explain {
        /// The Dataset's name.
        #[arg(value_parser = values::label)]
        name: String,
        #[command(flatten)]
        within: Within,
        /// API group, where both have a Dataset of this name.
        #[arg(long, value_parser = values::group)]
        group: Option<ApiGroup>,
        #[command(flatten)]
        shown: Shown,
        #[command(flatten)]
        connection: Connection,
    },
    /// Whether DLF works in this cluster, and what to do where it does not; exit code 1 if it does not.
    Doctor {
        #[command(flatten)]
        installed: Installed,
        #[command(flatten)]
        shown: Shown,
        #[command(flatten)]
        connection: Connection,
    },
    /// Look at plugins, check them and see what they plan; which ones the operator has.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Run one plugin in this process: how the others run it isolated.
    #[command(hide = true)]
    PluginHost(dlf_plugin_isolated::Library),
    /// Print the completion script of a shell.
    Completion {
        /// Which.
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Plugins that the cluster's operator has, and whether they answer.
    List {
        #[command(flatten)]
        installed: Installed,
        #[command(flatten)]
        shown: ShownWide,
        #[command(flatten)]
        connection: Connection,
    },
    /// Who a plugin says it is, and what it can do.
    Inspect {
        #[command(flatten)]
        plugin: Which,
        #[command(flatten)]
        shown: Shown,
    },
    /// Whether a plugin does what a host relies on; exit code 1 if it does not.
    ///
    /// With --cluster PLUGIN is the name of a caching plugin that is installed: a Dataset is made,
    /// cached, read, edited and deleted, and its cache is killed meanwhile.
    #[command(
        override_usage = "kubectl dlf plugin check [OPTIONS] <FILE> [-- <ARGUMENTS>...]\n       \
                                kubectl dlf plugin check --cluster [OPTIONS] -f <FILE> <NAME>"
    )]
    Check {
        #[command(flatten)]
        plugin: Which,
        /// The plugin's section of the configuration: JSON, or a file with JSON or YAML.
        #[arg(long, value_name = "JSON|FILE", conflicts_with = "cluster")]
        config: Option<String>,
        #[command(flatten)]
        installed: InCluster,
        #[command(flatten)]
        shown: Shown,
    },
    /// What a plugin plans for a Dataset.
    Plan {
        #[command(flatten)]
        plugin: Which,
        /// A file with a Dataset; `-` for standard input.
        #[arg(short = 'f', long, value_name = "FILE")]
        filename: PathBuf,
        /// The plugin's section of the configuration: JSON, or a file with JSON or YAML.
        #[arg(long, value_name = "JSON|FILE")]
        config: Option<String>,
        /// As if all that was planned were there and ready.
        #[arg(long)]
        ready: bool,
        /// What the plan would change in the cluster, and what of it the API server does not take; against
        /// nothing where there is no cluster. Exit code 1 if something is not taken.
        #[arg(long, conflicts_with = "output")]
        diff: bool,
        /// Name by which the plugin is installed; otherwise the one in the Dataset's spec.cache.plugin, or
        /// the one that the plugin says.
        #[arg(long, value_name = "NAME", requires = "diff", value_parser = values::label)]
        installed_as: Option<String>,
        /// Namespace in which the operator makes caches.
        #[arg(long, value_name = "NAME", default_value = "dlf-caches", value_parser = values::label)]
        cache_namespace: String,
        #[command(flatten)]
        within: Within,
        #[command(flatten)]
        shown: Shown,
        #[command(flatten)]
        connection: Connection,
    },
}

/// A plugin that is run isolated for the length of the command.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// A shared library (FILE.so), or a program that answers on the socket in `DLF_PLUGIN_SOCKET`.
    pub(crate) file: PathBuf,
    /// Arguments of the program.
    #[arg(last = true)]
    pub(crate) arguments: Vec<String>,
}

/// How the answer is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Shown {
    /// For programs: json or yaml. For people otherwise.
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Format>,
}

/// How a table is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ShownWide {
    /// More columns (wide), or for programs: json or yaml.
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<FormatWide>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Yaml,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatWide {
    Wide,
    Json,
    Yaml,
}

impl FormatWide {
    /// The format for programs, if it is one.
    pub(crate) const fn program(self) -> Option<Format> {
        match self {
            Self::Wide => None,
            Self::Json => Some(Format::Json),
            Self::Yaml => Some(Format::Yaml),
        }
    }
}

impl ShownWide {
    /// The format for programs, if one is asked for.
    pub(crate) fn program(self) -> Option<Format> {
        self.output.and_then(FormatWide::program)
    }

    /// Whether a person wants all columns.
    pub(crate) fn is_wide(self) -> bool {
        self.output == Some(FormatWide::Wide)
    }
}
