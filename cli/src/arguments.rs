use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// What DLF does and why, and tools for authors of plugins.
#[derive(Debug, Parser)]
#[command(name = "kubectl dlf", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look at plugins, check them and see what they plan.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Run one plugin in this process: how the others run it isolated.
    #[command(hide = true)]
    PluginHost(dlf_plugin_isolated::Settings),
    /// Print the completion script of a shell.
    Completion {
        /// Which.
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Who a plugin says it is, and what it can do.
    Inspect {
        #[command(flatten)]
        plugin: Which,
        #[command(flatten)]
        shown: Shown,
    },
    /// Whether a plugin does what a host relies on; exit code 1 if it does not.
    Check {
        #[command(flatten)]
        plugin: Which,
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
        /// The plugin's section of the configuration, as JSON.
        #[arg(long, value_name = "JSON")]
        config: Option<String>,
        /// As if all that was planned were there and ready.
        #[arg(long)]
        ready: bool,
        #[command(flatten)]
        shown: Shown,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Yaml,
}
