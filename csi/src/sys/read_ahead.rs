//! How far the kernel reads ahead in a mount.

use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

use super::staging::Staging;
use crate::mountinfo::MountTable;

/// In KiB; the kernel's own is 128.
///
/// It has to be more than what programs read at once: a longer random read looks like a stream to
/// the kernel, and random reads of 256 KiB fetched 1.9 times what they asked for. With this they
/// fetch what they ask for and take 3.4 ms for 5.8 (300 of them, `SeaweedFS` in the same network,
/// medians of five runs each in turn). Streams are as fast, for 15 % less processor time. More
/// would be fetched around every page fault in a mapped file: with 1 MiB one waits twice as long.
pub const KIB: u32 = 512;

/// Where sysfs is.
const SYS: &str = "/sys";

/// Sets the read-ahead of what is mounted at `point`. Only once it is served: the end of the INIT
/// handshake cuts it to what it was when the mount was made.
pub fn widen(point: &Path, staging: &Staging) -> io::Result<()> {
    let table = MountTable::read()?;
    let mount = table.top(point).ok_or(io::ErrorKind::NotFound)?;
    match write(Path::new(SYS), &mount.device) {
        // containerd shows it so to a privileged container too, which may mount another.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            let staged = staging.enter().map_err(|error| error.errno)?;
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            rustix::mount::mount("sysfs", staged.path(), "sysfs", flags, None)?;
            write(staged.path(), &mount.device)
        }
        written => written,
    }
}

fn write(sys: &Path, device: &str) -> io::Result<()> {
    std::fs::write(file(sys, device), KIB.to_string())
}

/// Where the read-ahead of a mounted device (`major:minor`) is set
/// (`Documentation/ABI/testing/sysfs-class-bdi`).
fn file(sys: &Path, device: &str) -> PathBuf {
    sys.join("class/bdi").join(device).join("read_ahead_kb")
}
