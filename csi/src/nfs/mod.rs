//! Kernel NFS mounts by `mount(2)`, without the programs of nfs-utils.

mod error;
mod options;

use std::ffi::CString;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dlf_core::network::AddressRules;
use dlf_wire::dataset::v1::NfsVolume;
use rustix::fs::Mode;
use rustix::io::Errno;

pub use error::NfsError;
pub use options::{Options, OptionsError};

use crate::sys::SysError;
use crate::sys::bind::unmount_all;
use crate::sys::dir::{make_beneath, open_trusted};
use crate::sys::staging::Staging;

/// Asked before the kernel is: its own attempt at an address that swallows packets takes minutes
/// and cannot be interrupted.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

/// Mode of directories that `createDirPVC` makes: pods of any uid can use them.
const MODE: Mode = Mode::from_raw_mode(0o777);

/// Mounts a share at `point`, an existing directory.
///
/// Blocks, for minutes if the server accepts connections and then says nothing.
pub fn mount(
    volume: &NfsVolume,
    point: &Path,
    rules: &AddressRules,
    staging: &Staging,
) -> Result<(), NfsError> {
    let options: Options = volume.options.parse()?;
    let address = reachable(&volume.server, options.port(), rules)?;
    match mount_share(volume, &volume.share, &options, address, point) {
        Err(NfsError::NoSuchShare { .. }) if volume.create => {
            make_share(volume, &options, address, staging)?;
            mount_share(volume, &volume.share, &options, address, point)
        }
        result => result,
    }
}

/// The first address of the server that may be dialled and answers.
fn reachable(server: &str, port: u16, rules: &AddressRules) -> Result<SocketAddr, NfsError> {
    let host = server.trim_start_matches('[').trim_end_matches(']');
    let resolved = (host, port).to_socket_addrs();
    let resolved = resolved.map_err(|error| NfsError::Resolve(server.to_owned(), error))?;
    let mut last = NfsError::NoAddress(server.to_owned());
    for address in resolved {
        last = match rules.check(address) {
            Err(refused) => NfsError::Refused(refused),
            Ok(()) => match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
                Ok(_) => return Ok(address),
                Err(error) => NfsError::Unreachable(address, error.to_string()),
            },
        };
    }
    Err(last)
}

/// Tries the protocol versions that the options leave open, newest first.
fn mount_share(
    volume: &NfsVolume,
    share: &str,
    options: &Options,
    address: SocketAddr,
    point: &Path,
) -> Result<(), NfsError> {
    let source = match address.ip() {
        IpAddr::V6(_) => format!("[{}]:{share}", address.ip()),
        IpAddr::V4(_) => format!("{}:{share}", address.ip()),
    };
    let mut errno = Errno::PROTONOSUPPORT;
    for version in options.versions() {
        let data = options.data(version, address.ip(), client_address(address));
        let data = CString::new(data).map_err(|_| OptionsError::Nul)?;
        let flags = options.flags();
        errno = match rustix::mount::mount(&source, point, "nfs", flags, data.as_c_str()) {
            Ok(()) => return Ok(()),
            Err(errno) => errno,
        };
        if errno != Errno::PROTONOSUPPORT {
            break;
        }
    }
    Err(NfsError::of(errno, volume, share, address))
}

/// Where an NFS 4.0 server calls back to: the address that a packet to it would leave from.
fn client_address(server: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => [0; 4].into(),
        SocketAddr::V6(_) => [0; 16].into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(server).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Mounts the nearest ancestor that exists, privately, and makes the rest of the path in it.
fn make_share(
    volume: &NfsVolume,
    options: &Options,
    address: SocketAddr,
    staging: &Staging,
) -> Result<(), NfsError> {
    let share = Path::new(&volume.share);
    for ancestor in share.ancestors().skip(1).map(Path::to_path_buf) {
        let staged = staging.enter()?;
        let name = ancestor.to_string_lossy();
        match mount_share(volume, &name, options, address, staged.path()) {
            Err(NfsError::NoSuchShare { .. }) => continue,
            result => result?,
        }
        let rest = share.strip_prefix(&ancestor).unwrap_or(share);
        let made = open_trusted(staged.path())
            .and_then(|root| make_beneath(root.as_fd(), rest, MODE).map(drop));
        unmount_all(staged.path())?;
        return made.map_err(|cause| NfsError::Create(volume.share.clone(), cause));
    }
    let cause = SysError::on("open", PathBuf::from(&volume.share))(Errno::NOENT);
    Err(NfsError::Create(volume.share.clone(), cause))
}
