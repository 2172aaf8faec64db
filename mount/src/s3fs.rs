//! The program `s3fs` (s3fs-fuse), for datasets that need its attributes on the bucket.

use std::io;

/// Stands in for fusermount, which s3fs asks for a mounted device.
pub fn fusermount() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
