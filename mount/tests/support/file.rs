//! Files that are written and closed by hand.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Closes a file and says what close(2) said: `drop` does not.
pub fn close(file: File) -> io::Result<()> {
    nix::unistd::close(file).map_err(io::Error::from)
}

/// Writes all of a file anew, as `cp` does, and says what failed: the write, else the close.
pub fn save(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    let written = file.write_all(body);
    let closed = close(file);
    // A program that does not look at its writes must still learn of it.
    assert!(
        written.is_ok() || closed.is_err(),
        "close(2) says nothing of a write that failed: {written:?}"
    );
    written.and(closed)
}

/// Appends to a file that there is, in one open, one write and one close.
pub fn append(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = open_to_append(path)?;
    file.write_all(body)?;
    close(file)
}

pub fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}
