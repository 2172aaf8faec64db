//! A mounter process and mounts in it, as the node driver makes them.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use dlf_wire::channel::{Channel, ChannelError};
use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume, NetworkRules, Origin, dataset_config};
use dlf_wire::mounter::v1::{
    Configure, FromMounter, Hello, List, Start, Stop, ToMounter, Usage, from_mounter, to_mounter,
};
use rustix::mount::{MountFlags, UnmountFlags};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(30);

/// A mounter of this build, in a directory of its own, and a driver's connection to it.
pub struct Mounter {
    pub directory: TempDir,
    process: Child,
    runtime: Runtime,
    channel: Channel,
    pub hello: Hello,
    events: VecDeque<from_mounter::Message>,
    requests: u64,
}

impl Mounter {
    pub fn start() -> Self {
        Self::start_program(&program())
    }

    pub fn start_program(program: &Path) -> Self {
        let directory = tempfile::Builder::new().prefix("dlf-").tempdir().unwrap();
        let public = Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), public).unwrap();
        // A child's uid must get to the program, and the build directory may be root's alone.
        let copy = directory.path().join("dlf-mounter");
        fs::copy(program, &copy).unwrap();
        fs::create_dir(directory.path().join("staging")).unwrap();
        let process = spawn(
            Command::new(&copy)
                .env("DLF_SOCKET_DIR", directory.path().join("socket"))
                .env("DLF_STAGING_DIR", directory.path().join("staging"))
                .env("DLF_MOUNTER_REVISION", "test"),
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let socket = directory.path().join("socket/m.sock");
        let (channel, hello) = runtime.block_on(connect(&socket));
        Self {
            directory,
            process,
            runtime,
            channel,
            hello,
            events: VecDeque::new(),
            requests: 0,
        }
    }

    /// Drops the connection and makes another, as a restarted driver does.
    pub fn reconnect(&mut self) {
        let socket = self.directory.path().join("socket/m.sock");
        (self.channel, self.hello) = self.runtime.block_on(connect(&socket));
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a request and gives its answer; what nobody asked for is kept.
    pub fn ask(
        &mut self,
        message: to_mounter::Message,
        device: Option<&File>,
    ) -> from_mounter::Message {
        self.requests += 1;
        let message = ToMounter {
            request: self.requests,
            message: Some(message),
        };
        let (channel, events, request) = (&self.channel, &mut self.events, self.requests);
        self.runtime.block_on(async {
            let descriptor = device.map(AsFd::as_fd);
            channel.send(&message, descriptor).await.unwrap();
            loop {
                let received = channel.recv::<FromMounter>();
                let received = tokio::time::timeout(PATIENCE, received).await.unwrap();
                let message = received.unwrap().0;
                if message.request == request {
                    return message.message.unwrap();
                }
                events.extend(message.message);
            }
        })
    }

    pub fn ask_done(&mut self, message: to_mounter::Message, device: Option<&File>) {
        let answer = self.ask(message, device);
        assert!(
            matches!(answer, from_mounter::Message::Done(_)),
            "{answer:?}"
        );
    }

    /// The next event that `wanted` takes.
    pub fn event<T>(&mut self, wanted: impl Fn(&from_mounter::Message) -> Option<T>) -> T {
        let (channel, events) = (&self.channel, &mut self.events);
        self.runtime.block_on(async {
            let deadline = Instant::now() + PATIENCE;
            loop {
                while let Some(event) = events.pop_front() {
                    if let Some(found) = wanted(&event) {
                        return found;
                    }
                }
                let left = deadline.saturating_duration_since(Instant::now());
                let received = tokio::time::timeout(left, channel.recv::<FromMounter>()).await;
                let received = received.expect("the event came in time");
                events.extend(received.unwrap().0.message);
            }
        })
    }

    /// Mounts `dataset` as the driver does, and starts a child on it.
    pub fn mount(&mut self, id: &str, dataset: &DatasetConfig, fs_group: Option<u32>) -> Mount {
        let path = self.directory.path().join(id);
        fs::create_dir_all(&path).unwrap();
        let device = mount_fuse(&path, umask(dataset));
        let start = to_mounter::Message::Start(Start {
            mount_id: id.to_owned(),
            dataset: Some(dataset.clone()),
            fs_group,
            network: Some(network()),
        });
        // Mounted from here on, so that a failed start is cleaned up too.
        let mount = Mount { path };
        self.ask_done(start, Some(&device));
        mount
    }

    pub fn pid_of(&mut self, id: &str) -> u32 {
        match self.ask(to_mounter::Message::List(List {}), None) {
            from_mounter::Message::Children(list) => {
                let child = list.children.iter().find(|child| child.mount_id == id);
                child.expect("the mount has a child").pid
            }
            other => panic!("no list: {other:?}"),
        }
    }

    pub fn configure(&mut self, id: &str, dataset: &DatasetConfig) {
        let configure = to_mounter::Message::Configure(Configure {
            mount_id: id.to_owned(),
            dataset: Some(dataset.clone()),
            network: Some(network()),
        });
        self.ask_done(configure, None);
    }

    /// Stops a child; its last figures, if there are any that were not reported.
    pub fn stop(&mut self, id: &str) -> Option<Usage> {
        let stop = to_mounter::Message::Stop(Stop {
            mount_id: id.to_owned(),
        });
        match self.ask(stop, None) {
            from_mounter::Message::Done(done) => done.usage,
            other => panic!("not stopped: {other:?}"),
        }
    }

    /// Waits until the mounter ends the connection.
    pub fn wait_for_end(&self) -> ChannelError {
        self.runtime.block_on(async {
            let deadline = tokio::time::Instant::now() + PATIENCE;
            loop {
                let received = self.channel.recv::<FromMounter>();
                let received = tokio::time::timeout_at(deadline, received).await;
                if let Err(error) = received.expect("it ends the connection in time") {
                    return error;
                }
            }
        })
    }
}

impl Drop for Mounter {
    fn drop(&mut self) {
        // Its children end with it, and with them the connections of the mounts.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program of this build: tests are told where it is, examples lie beside it.
fn program() -> PathBuf {
    option_env!("CARGO_BIN_EXE_dlf-mounter").map_or_else(
        || {
            let example = std::env::current_exe().unwrap();
            example.ancestors().nth(2).unwrap().join("dlf-mounter")
        },
        PathBuf::from,
    )
}

async fn connect(socket: &Path) -> (Channel, Hello) {
    let deadline = Instant::now() + PATIENCE;
    let channel = loop {
        match Channel::connect(socket) {
            Ok(channel) => break channel,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    match channel.recv::<FromMounter>().await.unwrap().0.message {
        Some(from_mounter::Message::Hello(hello)) => (channel, hello),
        other => panic!("no greeting: {other:?}"),
    }
}

/// A FUSE mount; goes with the value.
pub struct Mount {
    pub path: PathBuf,
}

impl Mount {
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// How far the kernel reads ahead: what the driver sets once the child serves.
    pub fn set_read_ahead(&self, kib: &str) {
        let device = fs::metadata(&self.path).unwrap().dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let file = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
        fs::write(file, kib).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.path, UnmountFlags::DETACH);
    }
}

fn mount_fuse(path: &Path, umask: u32) -> File {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .unwrap();
    let permissions = if umask == 0 {
        ""
    } else {
        ",default_permissions"
    };
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,allow_other{permissions}",
        device.as_raw_fd()
    );
    let options = CString::new(options).unwrap();
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("dlf", path, "fuse.dlf", flags, options.as_c_str()).unwrap();
    device
}

fn umask(dataset: &DatasetConfig) -> u32 {
    match &dataset.volume {
        Some(dataset_config::Volume::Fuse(volume)) => volume.umask,
        _ => 0,
    }
}

/// Test servers are on addresses that tenants may not use.
pub fn network() -> NetworkRules {
    NetworkRules {
        allow: vec!["0.0.0.0/0".to_owned()],
        ..NetworkRules::default()
    }
}

/// A dataset at `origin`: what others change is seen at once, and a source that is away is given
/// up soon.
pub fn dataset(origin: Origin) -> DatasetConfig {
    with_volume(FuseVolume {
        program: "native".to_owned(),
        origins: vec![origin],
        revalidate_ms: Some(0),
        source_timeout_ms: 5_000,
        ..FuseVolume::default()
    })
}

pub fn with_volume(volume: FuseVolume) -> DatasetConfig {
    DatasetConfig {
        volume_handle: "dlf-test".to_owned(),
        version: 1,
        volume: Some(dataset_config::Volume::Fuse(volume)),
        ..DatasetConfig::default()
    }
}

/// Starts a program that was written just now. Another test's fork may hold the copy's descriptor
/// until its exec, and a file that is open for writing cannot be run (`ETXTBSY`).
fn spawn(command: &mut Command) -> Child {
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            started => return started.unwrap(),
        }
    }
    panic!("the program stays busy");
}
