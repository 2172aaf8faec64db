//! System calls with their safety rules: nothing here follows a symbolic link below a directory
//! that somebody else may write to.

pub mod bind;
pub mod dir;
pub mod fuse;
#[cfg(test)]
mod fuzz;
pub mod read_ahead;
pub mod staging;
pub mod tree;

use std::path::PathBuf;

use rustix::io::Errno;

/// A system call that failed, and on what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {call} {}: {errno}", path.display())]
pub struct SysError {
    /// What was tried, for example `open`.
    pub call: &'static str,
    /// On which path, as the caller named it.
    pub path: PathBuf,
    /// What the kernel answered.
    pub errno: Errno,
}

impl SysError {
    /// For `map_err`: remembers what was tried on which path.
    pub fn on(call: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(Errno) -> Self {
        let path = path.into();
        move |errno| Self { call, path, errno }
    }
}
