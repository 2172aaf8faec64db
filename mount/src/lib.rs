//! The mounter: the program in which the file systems of a node run.
//!
//! `dlf-mounter` listens for the node driver and runs one [`child`] process per mount, each with a
//! uid of its own and no privilege. The driver alone may mount; it sends the mounted `/dev/fuse`
//! over the socket, and the child serves it with the file system `native` ([`fs`]) or, where a
//! dataset asks for it, with s3fs ([`s3fs`]).
//!
//! Architecture invariant: this crate knows neither Kubernetes nor CSI. A key reaches it over the
//! socket only, and leaves it in signed requests only: it is in no argument, environment or log.

pub mod child;
mod convert;
pub mod fs;
pub mod mounter;
mod node;
pub mod s3fs;

pub use convert::{BadRoot, InvalidConfig};
