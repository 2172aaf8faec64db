//! A FUSE mount made here and served elsewhere.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::SysError;

const DEVICE: &str = "/dev/fuse";

/// Who decides what a consumer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// The kernel, by the owners and modes that the server shows.
    Modes,
    /// The server, which may let anybody change a mode, an owner or a time.
    Server,
}

/// Mounts a FUSE file system at `point` and returns its `/dev/fuse`, before the INIT handshake:
/// whoever gets the descriptor serves it. `source` is what `df` shows.
///
/// `allow_other` because consumers have any uid.
pub fn mount(point: &Path, source: &str, permissions: Permissions) -> Result<OwnedFd, SysError> {
    let device = rustix::fs::open(DEVICE, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(SysError::on("open", DEVICE))?;
    match rustix::fs::mkdir(point, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(SysError::on("make", point)(errno)),
    }
    let checks = match permissions {
        Permissions::Modes => ",default_permissions",
        Permissions::Server => "",
    };
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,allow_other{checks}",
        device.as_raw_fd()
    );
    // Digits and letters only: there is no NUL to be found.
    let options = CString::new(options).map_err(|_| SysError::on("mount", point)(Errno::INVAL))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount(source, point, "fuse.dlf", flags, options.as_c_str())
        .map_err(SysError::on("mount", point))?;
    Ok(device)
}
