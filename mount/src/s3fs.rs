//! The program `s3fs` (s3fs-fuse 1.90), for datasets that need its attributes on the bucket.
//!
//! libfuse does not mount by itself if it is told to unmount at the end (`auto_unmount`): it runs
//! `fusermount` and takes the mounted device from it (`receive_fd` in libfuse 2.9's `mount.c`). We
//! have the device already, so a stand-in of that name hands it over, and nobody needs privilege.
//!
//! Its limits: it gets keys, endpoint and CA when it starts, and its address is checked then; it
//! keeps no account of what it reads.

mod stand_in;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use dlf_core::network::{AddressNotAllowed, AddressRules};
use dlf_wire::dataset::v1::{FuseVolume, Origin};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

pub use self::stand_in::fusermount;

/// Where Debian's package puts it.
const PROGRAM: &str = "/usr/bin/s3fs";

/// s3fs looks for the bucket before it serves, and ends if that fails. If it has not by then, it
/// serves or waits for the source as a native mount would.
const START_GRACE: Duration = Duration::from_secs(2);

/// After SIGTERM; what is closed has been uploaded by then.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Space that s3fs leaves free where it keeps the data of open files, in MiB: the disk is the node's.
const DISK_FREE_MIB: u32 = 512;

/// Tries after the first. With a time-out of a third of the source's, all of them take as long as
/// a request to the source may.
const RETRIES: u32 = 2;

/// Why s3fs could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3fsError {
    /// It needs files, and there is no directory for them.
    #[error("s3fs needs a staging directory")]
    NoStaging,
    /// It reads from one place only.
    #[error("s3fs takes one origin, not {0}")]
    Origins(usize),
    /// Temporary keys would have to be in its environment.
    #[error("s3fs takes no session token")]
    SessionToken,
    /// The endpoint is no URL with a host.
    #[error("endpoint {0:?} cannot be used")]
    Endpoint(String),
    /// The endpoint leads to an address that may not be dialled.
    #[error(transparent)]
    Address(#[from] AddressNotAllowed),
    /// It ended at once.
    #[error("s3fs ended at once ({0}): its log says why")]
    Ended(std::process::ExitStatus),
    /// A file or the process could not be made.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A running s3fs.
#[derive(Debug)]
pub(crate) struct S3fs {
    process: Child,
}

impl S3fs {
    /// Runs s3fs on `device`, with its files in `directory`, which only we may read.
    pub(crate) async fn start(
        volume: &FuseVolume,
        readonly: bool,
        gid: Option<u32>,
        rules: &AddressRules,
        directory: &Path,
        device: OwnedFd,
    ) -> Result<Self, S3fsError> {
        let [origin] = &volume.origins[..] else {
            return Err(S3fsError::Origins(volume.origins.len()));
        };
        check_address(&origin.endpoint, rules).await?;
        let files = Files::write(origin, directory)?;
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments(volume, origin, readonly, gid, &files))
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", files.programs.display()),
            )
            // The stand-in inherits it from s3fs.
            .stdin(Stdio::from(device))
            .stdout(Stdio::null())
            .kill_on_drop(true);
        if let Some(ca) = &files.ca {
            command.env("CURL_CA_BUNDLE", ca);
        }
        let mut process = command.spawn()?;
        match tokio::time::timeout(START_GRACE, process.wait()).await {
            Ok(status) => Err(S3fsError::Ended(status?)),
            Err(_) => Ok(Self { process }),
        }
    }

    /// Waits for its end: the file system was unmounted, or it failed.
    pub(crate) async fn ended(&mut self) -> io::Result<()> {
        let status = self.process.wait().await?;
        if status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("s3fs ended: {status}")))
    }

    /// Ends it.
    pub(crate) async fn stop(&mut self) {
        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, Signal::TERM)
        {
            tracing::warn!(%error, "s3fs could not be told to end");
        }
        let ended = tokio::time::timeout(END_TIMEOUT, self.process.wait()).await;
        if ended.is_err()
            && let Err(error) = self.process.kill().await
        {
            tracing::warn!(%error, "s3fs could not be killed");
        }
    }
}

/// What s3fs reads instead of arguments, which everybody on the node could read.
struct Files {
    keys: Option<PathBuf>,
    ca: Option<PathBuf>,
    /// Has the stand-in under the name `fusermount`.
    programs: PathBuf,
    temporary: PathBuf,
    /// s3fs wants a directory to name. The device is mounted elsewhere already.
    mount_point: PathBuf,
}

impl Files {
    fn write(origin: &Origin, directory: &Path) -> Result<Self, S3fsError> {
        let files = Self {
            keys: origin.keys.as_ref().map(|_| directory.join("passwd")),
            ca: (!origin.ca_pem.is_empty()).then(|| directory.join("ca.pem")),
            programs: directory.join("bin"),
            temporary: directory.join("tmp"),
            mount_point: directory.join("mnt"),
        };
        for made in [&files.programs, &files.temporary, &files.mount_point] {
            fs::create_dir(made)?;
        }
        symlink(std::env::current_exe()?, files.programs.join("fusermount"))?;
        if let (Some(keys), Some(path)) = (&origin.keys, &files.keys) {
            if !keys.session_token.is_empty() {
                return Err(S3fsError::SessionToken);
            }
            let line = format!("{}:{}\n", keys.access_key_id, keys.secret_access_key);
            write_private(path, line.as_bytes())?;
        }
        if let Some(path) = &files.ca {
            write_private(path, origin.ca_pem.as_bytes())?;
        }
        Ok(files)
    }
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)?.write_all(content)
}

/// The whole command line. Nothing of it is secret, and no value can hold a comma: the table of
/// programs sees to the options, the store's rules to bucket and region.
fn arguments(
    volume: &FuseVolume,
    origin: &Origin,
    readonly: bool,
    gid: Option<u32>,
    files: &Files,
) -> Vec<String> {
    let timeout_s = (volume.source_timeout_ms / 1000 / u64::from(RETRIES + 1)).max(1);
    let mut options = vec![
        format!("url={}", origin.endpoint),
        "use_path_request_style".to_owned(),
        "auto_unmount".to_owned(),
        "allow_other".to_owned(),
        format!("umask={:04o}", volume.umask),
        format!("tmpdir={}", files.temporary.display()),
        format!("ensure_diskfree={DISK_FREE_MIB}"),
        format!("connect_timeout={timeout_s}"),
        format!("readwrite_timeout={timeout_s}"),
        format!("retries={RETRIES}"),
    ];
    // s3fs grants the ids 0 to root only, which it is not; they are what it shows by itself.
    for (name, id) in [("uid", volume.uid), ("gid", gid.or(volume.gid))] {
        if let Some(id) = id.filter(|id| *id != 0) {
            options.push(format!("{name}={id}"));
        }
    }
    match &files.keys {
        Some(path) => options.push(format!("passwd_file={}", path.display())),
        None => options.push("public_bucket=1".to_owned()),
    }
    if !origin.region.is_empty() {
        options.push(format!("endpoint={}", origin.region));
    }
    if readonly {
        options.push("ro".to_owned());
    }
    // The plan's come last: of two values s3fs takes the later.
    options.extend(volume.options.iter().map(|(key, value)| match &**value {
        "" | "true" => key.clone(),
        value => format!("{key}={value}"),
    }));
    let bucket = match origin.prefix.trim_end_matches('/') {
        "" => origin.bucket.clone(),
        prefix => format!("{}:/{prefix}", origin.bucket),
    };
    let mut arguments = vec![
        bucket,
        files.mount_point.display().to_string(),
        "-f".to_owned(),
    ];
    for option in options {
        arguments.extend(["-o".to_owned(), option]);
    }
    arguments
}

/// All addresses of the endpoint must be allowed: s3fs chooses among them by itself.
async fn check_address(endpoint: &str, rules: &AddressRules) -> Result<(), S3fsError> {
    let invalid = || S3fsError::Endpoint(endpoint.to_owned());
    let (scheme, rest) = endpoint.split_once("://").ok_or_else(invalid)?;
    let authority = rest.split('/').next().unwrap_or_default();
    let port = if scheme == "https" { 443 } else { 80 };
    let address = match authority.parse::<std::net::SocketAddr>() {
        Ok(address) => address.to_string(),
        // A colon behind the last bracket begins a port.
        Err(_)
            if authority
                .rsplit(']')
                .next()
                .is_some_and(|end| end.contains(':')) =>
        {
            authority.to_owned()
        }
        Err(_) => format!("{authority}:{port}"),
    };
    let mut found = false;
    for socket in tokio::net::lookup_host(address).await? {
        rules.check(socket)?;
        found = true;
    }
    if found { Ok(()) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests;
