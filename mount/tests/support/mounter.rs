//! A mounter process and mounts in it, as the node driver makes them.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Instant;

use dlf_wire::channel::ChannelError;
use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume, NetworkRules, Origin, dataset_config};
use dlf_wire::mounter::v1::{
    Configure, Hello, List, Refresh, Start, Stop, ToMounter, Usage, from_mounter, to_mounter,
};
use rustix::mount::{MountFlags, UnmountFlags};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::cgroup::Group;
use super::link::{Link, TIMEOUT};

/// A mounter of this build, in a directory of its own, and a driver's connection to it.
pub struct Mounter {
    pub directory: TempDir,
    process: Child,
    runtime: Runtime,
    link: Link,
    pub hello: Hello,
    events: VecDeque<from_mounter::Message>,
    requests: u64,
}

impl Mounter {
    pub fn start() -> Self {
        Self::start_with(|_| (), None)
    }

    /// It and its children share the group's memory.
    pub fn start_in(group: &Group) -> Self {
        Self::start_with(|_| (), Some(group))
    }

    /// Its staging directory holds so many bytes and no more.
    pub fn start_with_staging_of(bytes: u64) -> Self {
        let limit = |staging: &Path| {
            let options = CString::new(format!("size={bytes}")).unwrap();
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            rustix::mount::mount("dlf", staging, "tmpfs", flags, options.as_c_str()).unwrap();
        };
        Self::start_with(limit, None)
    }

    fn start_with(prepare_staging: impl FnOnce(&Path), group: Option<&Group>) -> Self {
        let directory = tempfile::Builder::new().prefix("dlf-").tempdir().unwrap();
        let public = Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), public).unwrap();
        // A child's uid must get to the program, and the build directory may be root's alone.
        let copy = directory.path().join("dlf-mounter");
        fs::copy(program(), &copy).unwrap();
        let staging = directory.path().join("staging");
        fs::create_dir(&staging).unwrap();
        prepare_staging(&staging);
        let process = spawn(
            command_in(group, &copy)
                .env("DLF_SOCKET_DIR", directory.path().join("socket"))
                .env("DLF_STAGING_DIR", &staging)
                .env("DLF_MOUNTER_REVISION", "test")
                // A search makes thousands of mounts, and what it found must be seen among their messages.
                .env("DLF_LOG", "warn"),
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (link, hello) = Link::to(&directory.path().join("socket/m.sock"), &runtime);
        Self {
            directory,
            process,
            runtime,
            link,
            hello,
            events: VecDeque::new(),
            requests: 0,
        }
    }

    /// Drops the connection and makes another, as a restarted driver does.
    pub fn reconnect(&mut self) {
        let socket = self.directory.path().join("socket/m.sock");
        (self.link, self.hello) = Link::to(&socket, &self.runtime);
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Becomes an older driver, which passes over questions.
    pub fn know_no_questions(&self) {
        self.link.know_no_questions();
    }

    /// Makes a dataset's directory as the driver does.
    pub fn give(&self, name: &str, uid: u32) -> PathBuf {
        let directory = self.directory.path().join("staging").join(name);
        let made = fs::DirBuilder::new().mode(0o700).create(&directory);
        made.unwrap();
        chown(&directory, Some(uid), Some(uid)).unwrap();
        directory
    }

    /// Sends a request and gives its answer; what nobody asked for is kept.
    pub fn ask(
        &mut self,
        message: to_mounter::Message,
        device: Option<&File>,
    ) -> from_mounter::Message {
        self.ask_newer(Some(message), device)
    }

    /// The same, or without a message a request of a driver that is newer than the mounter: a field that
    /// it does not know is none to it.
    pub fn ask_newer(
        &mut self,
        message: Option<to_mounter::Message>,
        device: Option<&File>,
    ) -> from_mounter::Message {
        self.requests += 1;
        let message = ToMounter {
            request: self.requests,
            message,
        };
        let (link, events, request) = (&mut self.link, &mut self.events, self.requests);
        self.runtime.block_on(async {
            link.send(&message, device.map(AsFd::as_fd)).await;
            loop {
                let message = link.receive(TIMEOUT).await.unwrap();
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
        let (link, events) = (&mut self.link, &mut self.events);
        self.runtime.block_on(async {
            let deadline = Instant::now() + TIMEOUT;
            loop {
                while let Some(event) = events.pop_front() {
                    if let Some(found) = wanted(&event) {
                        return found;
                    }
                }
                let left = deadline.saturating_duration_since(Instant::now());
                events.extend(link.receive(left).await.unwrap().message);
            }
        })
    }

    /// Mounts `dataset` as the driver does, and starts a child on it.
    pub fn mount(&mut self, id: &str, dataset: &DatasetConfig, fs_group: Option<u32>) -> Mount {
        self.mount_as(Start {
            mount_id: id.to_owned(),
            dataset: Some(dataset.clone()),
            fs_group,
            network: Some(network()),
            ..Start::default()
        })
    }

    pub fn mount_as(&mut self, start: Start) -> Mount {
        let path = self.directory.path().join(&start.mount_id);
        fs::create_dir_all(&path).unwrap();
        let device = mount_fuse(&path, start.dataset.as_ref().map_or(0, umask));
        // Mounted from here on, so that a failed start is cleaned up too.
        let mount = Mount { path };
        self.ask_done(to_mounter::Message::Start(start), Some(&device));
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
            ..Configure::default()
        });
        self.ask_done(configure, None);
    }

    pub fn refresh(&mut self, id: &str) {
        let mount_id = id.to_owned();
        let refresh = to_mounter::Message::Refresh(Refresh { mount_id });
        self.ask_done(refresh, None);
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
    pub fn wait_for_end(&mut self) -> ChannelError {
        let link = &mut self.link;
        self.runtime.block_on(async {
            loop {
                if let Err(error) = link.receive(TIMEOUT).await {
                    return error;
                }
            }
        })
    }
}

/// A command that runs `program`, as a member of a group from its beginning.
fn command_in(group: Option<&Group>, program: &Path) -> Command {
    let Some(group) = group else {
        return Command::new(program);
    };
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ >\"$0\" && exec \"$1\""]);
    command.arg(group.members()).arg(program);
    command
}

impl Drop for Mounter {
    fn drop(&mut self) {
        // Its children end with it, and with them the connections of the mounts.
        let _ = self.process.kill();
        let _ = self.process.wait();
        // It is a mount only where its size was limited.
        let staging = self.directory.path().join("staging");
        let _ = rustix::mount::unmount(&staging, UnmountFlags::DETACH);
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

/// A FUSE mount; goes with the value.
pub struct Mount {
    pub path: PathBuf,
}

impl Mount {
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits until the child has taken over what the kernel had for it. close(2) does not wait for
    /// the message that a file was closed, and an unmount drops those that nobody has read yet.
    pub fn settle(&self) {
        // It comes behind them in the queue. A child that has ended takes nothing over.
        let _ = rustix::fs::statvfs(&self.path);
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
