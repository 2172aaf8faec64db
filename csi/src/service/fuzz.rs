//! A kubelet that calls with anything: the whole node service on real directories. There is no
//! operator, so that no pod gets a volume, and whatever changes on disk is a mistake.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use dlf_wire::csi::node_server::Node;
use dlf_wire::csi::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use dlf_wire::csi::{
    NodeExpandVolumeRequest, NodeGetVolumeStatsRequest, NodePublishVolumeRequest,
    NodeStageVolumeRequest, NodeUnpublishVolumeRequest, VolumeCapability,
};
use dlf_wire::dial::Dialer;
use proptest::prelude::*;
use proptest::{collection::vec, option, sample::select};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tonic::{Code, Request, Status};

use super::NodeService;
use crate::directories::{Directories, FreeMin, Limits};
use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::mounters::Mounters;
use crate::operator::Operator;
use crate::state::State;
use crate::sys::staging::Staging;
use crate::volumes::{Dependencies, Volumes};

static DRIVER: LazyLock<Driver> = LazyLock::new(Driver::start);

/// Whose turn it is: a case looks at the whole node before and after its call.
static TURN: Mutex<()> = Mutex::new(());

struct Driver {
    runtime: Runtime,
    service: NodeService,
    root: TempDir,
}

impl Driver {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let kubelet = root.path().join("kubelet");
        plant(root.path());
        let layout = Layout::new(kubelet.clone());
        fs::create_dir_all(layout.state()).unwrap();
        // The clock runs ahead whenever everything waits: for an operator, which is not there.
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let service = runtime.block_on(async {
            let dialer = Dialer::new("localhost:1", "ca", "token").unwrap();
            let (operator, _, _) = Operator::new(dialer, "node".into());
            let limits = Limits {
                per_file: 1,
                per_dataset: 1,
                per_node: 1,
                min_free: FreeMin::Bytes(1),
            };
            let volumes = Volumes::new(Dependencies {
                host: root.path().join("host"),
                state: State::load(&layout.state()).unwrap(),
                staging: Arc::new(Staging::new(layout.state().join("staging")).unwrap()),
                directories: Arc::new(Directories::open(layout.staging(), limits).unwrap()),
                operator,
                mounters: Mounters::watch(layout.mounters()).0,
                metrics: Metrics::default(),
                layout: layout.clone(),
            });
            NodeService::new(volumes.unwrap(), kubelet, "node".into())
        });
        Self {
            runtime,
            service,
            root,
        }
    }

    fn publish(&self, request: NodePublishVolumeRequest) -> Result<(), Status> {
        let call = self.service.node_publish_volume(Request::new(request));
        self.runtime.block_on(call).map(drop)
    }

    fn unpublish(&self, request: NodeUnpublishVolumeRequest) -> Result<(), Status> {
        let call = self.service.node_unpublish_volume(Request::new(request));
        self.runtime.block_on(call).map(drop)
    }
}

/// A node with pods, other drivers' directories, and ways out.
fn plant(root: &Path) {
    for directory in [
        "kubelet/pods/a/volumes/csi/dlf-1",
        "kubelet/pods/a/volumes/csi/mount",
        "kubelet/pods/b/empty",
        "kubelet/plugins/other/empty",
        "host/srv",
        "etc/empty",
    ] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for file in ["kubelet/pods/a/etc-hosts", "kubelet/config", "etc/shadow"] {
        fs::write(root.join(file), file).unwrap();
    }
    for (link, to) in [("up", "../../../etc"), ("absolute", "/tmp"), ("here", ".")] {
        let link = root.join("kubelet/pods/a").join(link);
        if link.symlink_metadata().is_err() {
            symlink(to, link).unwrap();
        }
    }
}

/// Every path below a directory with what it is; the driver's own directory is left out.
fn seen(directory: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if path.ends_with("plugins/csi.dlf.dev") {
            continue;
        }
        let content = if kind.is_file() {
            fs::read(&path).unwrap()
        } else {
            format!("{kind:?}").into_bytes()
        };
        if kind.is_dir() {
            seen(&path, into);
        }
        into.insert(path, content);
    }
}

fn snapshot() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    seen(DRIVER.root.path(), &mut all);
    all
}

/// The node for one case alone, whole again; a case that failed hands it on.
fn turn() -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    plant(DRIVER.root.path());
    turn
}

fn handles() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "dlf-[0-9a-f]{1,4}",
        1 => any::<String>(),
        1 => "\\.\\.|\\.\\./x|a/b|dlf-1\\x00",
        1 => "[a-z]".prop_map(|text| text.repeat(100_000)),
    ]
}

/// Paths that exist, that might, and that nobody should follow.
fn targets() -> impl Strategy<Value = String> {
    let root = || DRIVER.root.path().display().to_string();
    let known = select(vec![
        "kubelet/pods/a/volumes/csi/dlf-1",
        "kubelet/pods/a/volumes/csi/dlf-1/mount",
        "kubelet/pods/a/volumes",
        "kubelet/pods/a/etc-hosts",
        "kubelet/pods/a/up/empty",
        "kubelet/pods/a/up",
        "kubelet/pods/a/absolute/x",
        "kubelet/pods/a/here/here",
        "kubelet/pods/../../etc/empty",
        "kubelet/pods/b/empty",
        "kubelet/pods",
        "kubelet/plugins/other/empty",
        "kubelet/plugins/csi.dlf.dev/state/staging",
        "kubelet/config",
        "kubelet",
        "etc/empty",
    ]);
    let parts = vec(
        "pods|a|b|up|here|volumes|csi|\\.\\.?||empty|[a-z]{1,3}",
        0..7,
    );
    prop_oneof![
        4 => known.prop_map(move |path| format!("{}/{path}", root())),
        4 => parts.prop_map(move |parts| format!("{}/kubelet/{}", root(), parts.join("/"))),
        1 => any::<String>(),
        1 => any::<String>().prop_map(move |text| format!("{}/kubelet/pods/{text}", root())),
        1 => (1..400_000_usize).prop_map(move |count| format!("{}/kubelet/pods{}", root(), "/a".repeat(count))),
    ]
}

fn capabilities() -> impl Strategy<Value = VolumeCapability> {
    let group = prop_oneof!["[0-9]{0,5}", "-1|99999999999|staff", any::<String>()];
    let flags = prop_oneof![4 => Just(vec![]), 1 => vec("[a-z=]{0,9}", 1..3)];
    let mount = (group, flags, "ext4|").prop_map(|(group, flags, kind)| MountVolume {
        volume_mount_group: group,
        mount_flags: flags,
        fs_type: kind,
    });
    let access = prop_oneof![
        6 => mount.prop_map(|mount| Some(AccessType::Mount(mount))),
        1 => Just(Some(AccessType::Block(BlockVolume::default()))),
        1 => Just(None),
    ];
    let mode = option::weighted(0.9, prop_oneof![4 => 1..8_i32, 1 => any::<i32>()]);
    (access, mode).prop_map(|(access_type, mode)| VolumeCapability {
        access_mode: mode.map(|mode| AccessMode { mode }),
        access_type,
    })
}

fn contexts() -> impl Strategy<Value = HashMap<String, String>> {
    let pod = ["namespace", "name", "uid"].map(|key| {
        let key = format!("csi.storage.k8s.io/pod.{key}");
        option::weighted(0.9, prop_oneof![6 => "[a-z]{1,5}", 1 => any::<String>()])
            .prop_map(move |value| value.map(|value| (key.clone(), value)))
    });
    let other = ("csi.storage.k8s.io/ephemeral|[a-z./]{1,9}", "true|false|x");
    (pod, vec(other, 0..2))
        .prop_map(|(pod, other)| pod.into_iter().flatten().chain(other).collect())
}

fn requests() -> impl Strategy<Value = NodePublishVolumeRequest> {
    let capability = option::weighted(0.9, capabilities());
    (handles(), targets(), capability, contexts(), any::<bool>()).prop_map(
        |(volume_id, target_path, volume_capability, volume_context, readonly)| {
            NodePublishVolumeRequest {
                volume_id,
                target_path,
                volume_capability,
                volume_context,
                readonly,
                ..NodePublishVolumeRequest::default()
            }
        },
    )
}

/// A refusal says why, in words that fit into a header and an event.
fn check(status: &Status, codes: &[Code]) -> Result<(), TestCaseError> {
    prop_assert!(codes.contains(&status.code()), "{status:?}");
    prop_assert!((1..8192).contains(&status.message().len()), "{status:?}");
    Ok(())
}

/// A directory is looked at before and after each case: fewer of these.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.div_ceil(2),
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_publish_without_an_operator_touches_nothing(request in requests()) {
        let _turn = turn();
        let before = snapshot();
        let status = DRIVER.publish(request).unwrap_err();
        check(&status, &[Code::InvalidArgument, Code::Unavailable])?;
        if status.code() == Code::InvalidArgument {
            let named = ["volume_id", "target_path", "volume_capability", "volume_mount_group", "volume_context", "dataset", "Dataset"];
            prop_assert!(named.iter().any(|word| status.message().contains(word)), "{status:?}");
        }
        prop_assert_eq!(snapshot(), before);
    }

    #[test]
    fn an_unpublish_removes_an_empty_directory_of_a_pod_at_most(volume_id in handles(), target_path in targets()) {
        let _turn = turn();
        let before = snapshot();
        let request = NodeUnpublishVolumeRequest { volume_id, target_path: target_path.clone() };
        match DRIVER.unpublish(request) {
            Ok(()) => {}
            Err(status) => check(&status, &[Code::InvalidArgument, Code::Internal])?,
        }
        let after = snapshot();
        let pods = DRIVER.root.path().join("kubelet/pods");
        for (path, what) in before {
            let kept = after.get(&path) == Some(&what);
            prop_assert!(kept || (path == Path::new(&target_path) && path.starts_with(&pods)), "{path:?}");
        }
    }

    #[test]
    fn what_is_not_done_says_so(volume_id in handles(), path in targets()) {
        let stats = NodeGetVolumeStatsRequest { volume_id: volume_id.clone(), volume_path: path.clone(), ..Default::default() };
        let expand = NodeExpandVolumeRequest { volume_id: volume_id.clone(), volume_path: path };
        let stage = NodeStageVolumeRequest { volume_id, ..Default::default() };
        let service = &DRIVER.service;
        let answers = DRIVER.runtime.block_on(async {
            [
                service.node_get_volume_stats(Request::new(stats)).await.map(drop),
                service.node_expand_volume(Request::new(expand)).await.map(drop),
                service.node_stage_volume(Request::new(stage)).await.map(drop),
            ]
        });
        for answer in answers {
            check(&answer.unwrap_err(), &[Code::Unimplemented])?;
        }
    }
}
