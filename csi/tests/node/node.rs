//! One node: a kubelet's directory, the driver's process and those it talks to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dlf_wire::csi::node_client::NodeClient;
use dlf_wire::dataset::v1::DatasetConfig;
use prost::Message;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};
use tonic::transport::{Channel, Endpoint};

use crate::operator::Operator;

pub(crate) struct Node {
    pub(crate) kubelet: PathBuf,
    pub(crate) host: PathBuf,
    pub(crate) operator: Operator,
    pub(crate) http: SocketAddr,
    /// A shell command that the driver's namespace begins with.
    pub(crate) prepare: &'static str,
    root: tempfile::TempDir,
    driver: Option<Child>,
}

/// Says why a test cannot run here; `None` if it can.
pub(crate) fn obstacle() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root");
    }
    (!Path::new("/dev/fuse").exists()).then_some("there is no /dev/fuse")
}

/// Begins a test on a node of its own, or says that it is skipped.
#[macro_export]
macro_rules! node_or_skip {
    ($name:literal) => {
        match $crate::node::obstacle() {
            None => $crate::node::Node::start().await,
            Some(reason) => {
                println!("SKIPPED {}: {reason}", $name);
                return;
            }
        }
    };
}

impl Node {
    /// A node whose operator and driver run.
    pub(crate) async fn start() -> Self {
        let mut node = Self::prepare();
        node.operator.start().await;
        node.start_driver().await;
        node
    }

    /// A node with nothing running.
    pub(crate) fn prepare() -> Self {
        let root = tempfile::Builder::new()
            .prefix("dlf-csi-")
            .tempdir()
            .unwrap();
        // A mounter's children have uids of their own and have to get to what is theirs.
        let searchable = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(root.path(), searchable).unwrap();
        // A shared mount of its own, as a kubelet's directory is: what the driver mounts in its
        // namespace has to come out here, and nothing of it anywhere else.
        mount_bind(root.path(), root.path()).unwrap();
        mount_change(root.path(), MountPropagationFlags::PRIVATE).unwrap();
        mount_change(root.path(), MountPropagationFlags::SHARED).unwrap();
        let path = |name: &str| root.path().join(name);
        for name in ["kubelet/pods", "host/srv/data"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        std::fs::write(path("token"), "token-1\n").unwrap();
        Self {
            kubelet: path("kubelet"),
            host: path("host"),
            operator: Operator::prepare(&path("ca.crt")),
            http: free_address(),
            prepare: "true",
            root,
            driver: None,
        }
    }

    /// Starts the driver in a mount namespace of its own, and waits until it serves.
    pub(crate) async fn start_driver(&mut self) {
        let path = |name: &str| self.root.path().join(name);
        let script = format!(r#"{} && exec "$0" "$@""#, self.prepare);
        let driver = Command::new("unshare")
            .args(["--mount", "--propagation", "unchanged", "--"])
            .args(["sh", "-c", &script])
            .arg(env!("CARGO_BIN_EXE_dlf-csi"))
            .args(["--node", "node-1"])
            .arg("--http")
            .arg(self.http.to_string())
            .arg("--operator")
            .arg(format!("localhost:{}", self.operator.address.port()))
            .arg("--kubelet-dir")
            .arg(&self.kubelet)
            .arg("--host-dir")
            .arg(&self.host)
            .arg("--ca")
            .arg(path("ca.crt"))
            .arg("--token")
            .arg(path("token"))
            .env("DLF_LOG", "debug,h2=info,hyper=info,tower=info")
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(path("driver.log")).unwrap())
            .spawn()
            .unwrap();
        self.driver = Some(driver);
        self.wait("the driver's registration socket", || {
            self.registration_socket().exists().then_some(())
        })
        .await;
    }

    pub(crate) fn registration_socket(&self) -> PathBuf {
        self.kubelet.join("plugins_registry/csi.dlf.dev@reg.sock")
    }

    /// The driver's process.
    pub(crate) fn driver_pid(&self) -> u32 {
        self.driver.as_ref().unwrap().id()
    }

    /// Ends the driver as a crash would, and with it its namespace.
    pub(crate) fn kill_driver(&mut self) {
        let mut driver = self.driver.take().unwrap();
        driver.kill().unwrap();
        driver.wait().unwrap();
        let _ = std::fs::remove_file(self.registration_socket());
    }

    pub(crate) async fn csi(&self) -> NodeClient<Channel> {
        NodeClient::new(self.connect("plugins/csi.dlf.dev/csi.sock").await)
    }

    pub(crate) async fn connect(&self, socket: &str) -> Channel {
        let socket = self.kubelet.join(socket);
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display())).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// The path of a pod's target, whose parent the kubelet makes.
    pub(crate) fn target(&self, pod: &str) -> PathBuf {
        let parent = self.kubelet.join("pods").join(pod).join("volumes");
        std::fs::create_dir_all(&parent).unwrap();
        parent.join("mount")
    }

    /// A scratch directory outside the kubelet's.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        let path = self.root.path().join("scratch").join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Whether the driver has written down anything of this kind.
    pub(crate) fn has_record(&self, kind: &str) -> bool {
        self.records(kind).next().is_some()
    }

    /// The version that the driver has written down of its only dataset.
    pub(crate) fn dataset_version(&self) -> Option<u64> {
        let record = self.records("datasets").next()?;
        Some(DatasetConfig::decode(record.as_slice()).ok()?.version)
    }

    fn records(&self, kind: &str) -> impl Iterator<Item = Vec<u8>> {
        let directory = self.kubelet.join("plugins/csi.dlf.dev/state").join(kind);
        let entries = std::fs::read_dir(directory).unwrap().flatten();
        let finished = entries.filter(|entry| entry.file_name() != ".draft");
        finished.filter_map(|entry| std::fs::read(entry.path()).ok())
    }

    pub(crate) fn mounts(&self) -> usize {
        std::fs::read_dir(self.kubelet.join("plugins/csi.dlf.dev/mounts"))
            .unwrap()
            .count()
    }

    /// Where datasets have their directories on the node's disk.
    pub(crate) fn staging(&self) -> PathBuf {
        self.kubelet.join("plugins/csi.dlf.dev/staging")
    }

    /// A dataset's directory goes after its last mount has gone.
    pub(crate) async fn wait_for_no_directories(&self) {
        self.wait("the last dataset's directory to go", || {
            let mut left = std::fs::read_dir(self.staging()).unwrap();
            left.next().is_none().then_some(())
        })
        .await;
    }

    /// What a refused pod leaves is taken away without anybody waiting for it.
    pub(crate) async fn wait_for_no_mounts(&self) {
        self.wait("the last mount to go", || {
            (self.mounts() == 0).then_some(())
        })
        .await;
    }

    /// Waits for something to become true.
    pub(crate) async fn wait<T>(&self, what: &str, mut is: impl FnMut() -> Option<T>) -> T {
        for _ in 0..300 {
            if let Some(found) = is() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(self.root.path().join("driver.log"));
        panic!(
            "waited 30 s for {what}; the driver's log:\n{}",
            log.unwrap_or_default()
        );
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.root.path().join("driver.log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the driver's log:\n{}", self.log());
        }
        if let Some(mut driver) = self.driver.take() {
            let _ = driver.kill();
            let _ = driver.wait();
        }
        // The whole tree at once, with whatever is mounted in it.
        let _ = unmount(self.root.path(), UnmountFlags::DETACH);
    }
}

/// A port that nobody listens on at this moment, and that is given out once. Below those that the kernel
/// takes for connections: one of these may be taken while the driver is not running. The runner gives each
/// test that runs a slot of its own, so that no two processes are given the same.
pub(crate) fn free_address() -> SocketAddr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    const PORTS_OF_A_SLOT: u32 = 100;
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").map_or(0, |slot| slot.parse().unwrap());
    loop {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        let number = PORTS_OF_A_SLOT * slot + given % PORTS_OF_A_SLOT;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(20_000 + number).unwrap()));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// How many mounts lie at `point`, as this namespace sees it.
pub(crate) fn layers(point: &Path) -> usize {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let point = point.to_str().unwrap();
    mounts
        .lines()
        .filter(|line| line.split(' ').nth(4) == Some(point))
        .count()
}
