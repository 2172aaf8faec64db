//! The real mounter on a real S3 server: `dlf-mounter` of the same build directory, and the test
//! cluster's server (`S3_ENDPOINT`, `S3_KEY`, `S3_SECRET`, `S3_PUBLIC_BUCKET` of its
//! `cluster.env`).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use dlf_wire::dataset::v1::dataset_config::Volume;
use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume, Keys, Origin};
use rustix::process::{Pid, Signal, kill_process};

use crate::consumer::Consumer;
use crate::csi::{fuse, request};
use crate::node::Node;
use crate::node_or_skip;

const TEST: &str = "files_written_by_one_pod_are_read_by_another_and_a_killed_child_is_replaced";

/// How long the mounted file system retries while its source is away.
const SOURCE_TIMEOUT_MS: u64 = 10_000;

struct Mounter(Child);

impl Mounter {
    fn start(program: &Path, node: &Node) -> Self {
        let sockets = node.kubelet.join("plugins/csi.dlf.dev/mounters/r1");
        std::fs::create_dir_all(&sockets).unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&sockets, permissions).unwrap();
        // The build directory may lie where only root gets to.
        let installed = node.scratch("mounter").join("dlf-mounter");
        std::fs::copy(program, &installed).unwrap();
        let log = std::fs::File::create(node.scratch("mounter").join("log")).unwrap();
        let mounter = Command::new(installed)
            .env("DLF_SOCKET_DIR", sockets)
            .env("DLF_STAGING_DIR", node.scratch("staging"))
            .env("DLF_MOUNTER_REVISION", "r1")
            .stdin(Stdio::null())
            .stderr(log)
            .spawn();
        Self(mounter.unwrap())
    }

    /// Process ids of its children.
    fn children(&self) -> Vec<i32> {
        let id = self.0.id();
        let tasks = std::fs::read_dir(format!("/proc/{id}/task"))
            .unwrap()
            .flatten();
        let lists = tasks.map(|task| std::fs::read_to_string(task.path().join("children")));
        let lists: Vec<String> = lists.filter_map(Result::ok).collect();
        lists
            .iter()
            .flat_map(|list| list.split_whitespace())
            .map(|id| id.parse().unwrap())
            .collect()
    }
}

impl Drop for Mounter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn dataset() -> Option<DatasetConfig> {
    let variable = |name| std::env::var(name).ok();
    let started = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    let origin = Origin {
        endpoint: variable("S3_ENDPOINT")?,
        bucket: variable("S3_PUBLIC_BUCKET")?,
        prefix: format!("csi-test-{:x}/", started.as_nanos()),
        keys: Some(Keys {
            access_key_id: variable("S3_KEY")?,
            secret_access_key: variable("S3_SECRET")?,
            session_token: String::new(),
        }),
        ..Origin::default()
    };
    let volume = FuseVolume {
        program: "native".into(),
        origins: vec![origin],
        source_timeout_ms: SOURCE_TIMEOUT_MS,
        revalidate_ms: Some(0),
        ..FuseVolume::default()
    };
    Some(DatasetConfig {
        volume: Some(Volume::Fuse(volume)),
        ..fuse("dlf-real", 1, "s")
    })
}

fn program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_BIN_EXE_dlf-csi")).with_file_name("dlf-mounter");
    program.is_file().then_some(program)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_written_by_one_pod_are_read_by_another_and_a_killed_child_is_replaced() {
    let node = node_or_skip!("files_written_by_one_pod_are_read_by_another");
    let (Some(program), Some(dataset)) = (program(), dataset()) else {
        println!("SKIPPED {TEST}: it needs dlf-mounter and the test cluster's S3 server");
        return;
    };
    let mounter = Mounter::start(&program, &node);
    node.operator.grant(dataset);
    let targets = ["writer", "reader"].map(|pod| node.target(pod));
    node.publish(request("dlf-real", "writer", &targets[0]))
        .await
        .unwrap();
    std::fs::write(targets[0].join("greeting"), "hello").unwrap();
    node.publish(request("dlf-real", "reader", &targets[1]))
        .await
        .unwrap();
    let reader = Consumer::start(&targets[1], node.scratch("reader"));
    assert_eq!(reader.read("greeting").unwrap(), "hello");

    for child in mounter.children() {
        kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).unwrap();
    }
    let text = node
        .wait("a new open", || reader.read("greeting").ok())
        .await;
    assert_eq!(text, "hello");
    std::fs::remove_file(targets[0].join("greeting")).unwrap();
    drop(reader);
    for target in &targets {
        node.unpublish("dlf-real", target).await.unwrap();
    }
    assert_eq!((node.mounts(), mounter.children().len()), (0, 0));
}
