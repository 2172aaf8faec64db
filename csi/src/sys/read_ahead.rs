//! How far the kernel reads ahead in a mount.

use std::io;
use std::path::{Path, PathBuf};

use crate::mountinfo::MountTable;

/// In KiB; the kernel's own is 128.
///
/// It has to be more than what programs read at once: a longer random read looks like a stream to
/// the kernel, and random reads of 256 KiB fetched 1.9 times what they asked for. With this they
/// fetch what they ask for and take 3.4 ms for 5.8 (300 of them, `SeaweedFS` in the same network,
/// medians of five runs each in turn). Streams are as fast, for 15 % less processor time. More
/// would be fetched around every page fault in a mapped file: with 1 MiB one waits twice as long.
pub const KIB: u32 = 512;

/// Each mount has a directory of its own here (`Documentation/ABI/testing/sysfs-class-bdi`).
const DEVICES: &str = "/sys/class/bdi";

/// Sets the read-ahead of what is mounted at `point`. Only once it is served: the end of the INIT
/// handshake cuts it to what it was when the mount was made.
pub fn widen(point: &Path) -> io::Result<()> {
    let table = MountTable::read()?;
    let mount = table.top(point).ok_or(io::ErrorKind::NotFound)?;
    std::fs::write(file(&mount.device), KIB.to_string())
}

/// Where the read-ahead of a mounted device (`major:minor`) is set.
#[must_use]
pub fn file(device: &str) -> PathBuf {
    Path::new(DEVICES).join(device).join("read_ahead_kb")
}
