use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser};

/// Runs one plugin of DLF in a process of its own: `--library FILE`, or a program and its arguments.
///
/// Without --listen it is the process of a library, and answers its parent on the Unix socket that
/// `DLF_PLUGIN_SOCKET` names.
#[derive(Clone, Debug, Parser)]
#[command(name = "dlf-plugin-host", version)]
pub struct Settings {
    /// The library, if it is one.
    #[command(flatten)]
    pub library: Library,

    /// Answer the operator at this address, and run the plugin as a child.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "tls")]
    pub listen: Option<SocketAddr>,

    /// Directory with tls.crt and tls.key to show, and with ca.crt, whose operator is let in.
    #[arg(long, value_name = "DIRECTORY")]
    pub tls: Option<PathBuf>,

    /// Copy this program into a directory and end: for an image that has the plugin and not this.
    #[arg(long, value_name = "DIRECTORY", exclusive = true)]
    pub copy_to: Option<PathBuf>,

    /// A program that answers on the socket in `DLF_PLUGIN_SOCKET`, and its arguments.
    #[arg(
        last = true,
        value_name = "PROGRAM",
        conflicts_with = "library",
        requires = "listen"
    )]
    pub program: Vec<String>,
}

/// A plugin in a shared library.
#[derive(Args, Clone, Debug)]
pub struct Library {
    /// A shared library with a plugin: an absolute path.
    #[arg(long, value_name = "FILE")]
    pub library: Option<PathBuf>,

    /// SHA-256 that the library must have, in hex.
    #[arg(long, value_name = "HEX", requires = "library")]
    pub sha256: Option<String>,
}
