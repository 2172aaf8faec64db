//! The real mounter on a real S3 server: `dlf-mounter` of the same build directory, and the test
//! cluster's server.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::SystemTime;

use dlf_csi::sys::read_ahead;
use dlf_tests::settings;
use dlf_wire::dataset::v1::dataset_config::Volume;
use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume, Keys, Origin};
use dlf_wire::mounter::DATASET_UIDS;
use rustix::mount::mount_bind;
use rustix::process::{Pid, Signal, kill_process};

use crate::consumer::Consumer;
use crate::csi::{fuse, request, with_group};
use crate::node::{Node, obstacle};
use crate::node_or_skip;

/// A consumer that is not root, as most are.
const USER: u32 = 1001;

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
        // As the kubelet shows it to its container: by a path that everybody may walk.
        let staging = node.scratch("staging");
        std::fs::create_dir_all(node.staging()).unwrap();
        mount_bind(node.staging(), &staging).unwrap();
        let log = std::fs::File::create(node.scratch("mounter").join("log")).unwrap();
        let mounter = Command::new(installed)
            .env("DLF_SOCKET_DIR", sockets)
            .env("DLF_STAGING_DIR", staging)
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
    let started = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    let origin = Origin {
        endpoint: settings().find("S3_ENDPOINT")?,
        bucket: settings().find("S3_PUBLIC_BUCKET")?,
        prefix: format!("csi-test-{:x}/", started.as_nanos()),
        keys: Some(Keys {
            access_key_id: settings().find("S3_KEY")?,
            secret_access_key: settings().find("S3_SECRET")?,
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

/// The mounter and a dataset, or a line that says why the test did not run.
fn start(test: &str, node: &Node) -> Option<(Mounter, DatasetConfig)> {
    let program = Path::new(env!("CARGO_BIN_EXE_dlf-csi")).with_file_name("dlf-mounter");
    let program = program.is_file().then_some(program);
    let (Some(program), Some(dataset)) = (program, dataset()) else {
        println!("SKIPPED {test}: it needs dlf-mounter and the test cluster's S3 server");
        return None;
    };
    Some((Mounter::start(&program, node), dataset))
}

fn fuse_volume(dataset: &mut DatasetConfig) -> &mut FuseVolume {
    match &mut dataset.volume {
        Some(Volume::Fuse(volume)) => volume,
        other => panic!("no FUSE volume: {other:?}"),
    }
}

/// What the kernel reads ahead in a mount, in KiB.
fn read_ahead_of(target: &Path) -> u32 {
    let device = std::fs::metadata(target).unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    std::fs::read_to_string(file)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// Runs a shell script, whose `$0` is `directory`, as another user until a command of it fails.
fn run_as(user: u32, directory: &Path, script: &str) -> Output {
    Command::new("sh")
        .args(["-ec", script])
        .arg(directory)
        .env("LC_ALL", "C")
        .uid(user)
        .gid(user)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_written_by_one_pod_are_read_by_another_and_a_killed_child_is_replaced() {
    let name = "files_written_by_one_pod_are_read_by_another_and_a_killed_child_is_replaced";
    let node = node_or_skip!("files_written_by_one_pod_are_read_by_another");
    let Some((mounter, dataset)) = start(name, &node) else {
        return;
    };
    node.operator.grant(dataset);
    let targets = ["writer", "reader"].map(|pod| node.target(pod));
    node.publish(request("dlf-real", "writer", &targets[0]))
        .await
        .unwrap();
    assert_eq!(read_ahead_of(&targets[0]), read_ahead::KIB);
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

#[tokio::test(flavor = "multi_thread")]
async fn children_run_as_their_dataset_and_what_is_kept_outlives_them() {
    let name = "children_run_as_their_dataset_and_what_is_kept_outlives_them";
    let node = node_or_skip!("children_run_as_their_dataset_and_what_is_kept_outlives_them");
    let Some((mounter, dataset)) = start(name, &node) else {
        return;
    };
    node.operator.grant(dataset);
    let targets = ["one", "two"].map(|pod| node.target(pod));
    let with_group = |pod, target, group| with_group(request("dlf-real", pod, target), group);
    for (pod, group, target) in [("one", "2000", &targets[0]), ("two", "3000", &targets[1])] {
        let request = with_group(pod, target, group);
        node.publish(request).await.unwrap();
    }
    let own = node.staging().join("real");
    let uid = std::fs::metadata(&own).unwrap().uid();
    assert!(DATASET_UIDS.contains(&uid), "{uid}");
    let children = mounter.children();
    assert_eq!(children.len(), 2);
    for child in &children {
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap();
        assert!(
            status.contains(&format!("Uid:\t{uid}\t{uid}\t")),
            "{status}"
        );
    }
    let count = |name: &str| std::fs::read_dir(own.join(name)).unwrap().count();
    assert_eq!((count("live"), count("kept")), (2, 0));
    std::fs::write(own.join("kept/file"), "x").unwrap();
    chown(own.join("kept/file"), Some(uid), Some(uid)).unwrap();
    for target in &targets {
        node.unpublish("dlf-real", target).await.unwrap();
    }
    assert_eq!(mounter.children().len(), 0);
    node.wait("the children's places to be cleared", || {
        (count("live") == 0).then_some(())
    })
    .await;
    assert_eq!(count("kept"), 1);
    // Another mount finds it, under the same uid, and takes all away once nothing is kept.
    node.publish(request("dlf-real", "one", &targets[0]))
        .await
        .unwrap();
    assert_eq!(std::fs::metadata(&own).unwrap().uid(), uid);
    std::fs::remove_file(own.join("kept/file")).unwrap();
    node.unpublish("dlf-real", &targets[0]).await.unwrap();
    node.wait_for_no_directories().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_umask_any_user_changes_modes_owners_and_times_to_no_effect() {
    let name = "without_a_umask_any_user_changes_modes_owners_and_times_to_no_effect";
    let node = node_or_skip!("without_a_umask_any_user_changes_modes_owners_and_times");
    let Some((_mounter, dataset)) = start(name, &node) else {
        return;
    };
    node.operator.grant(dataset);
    let target = node.target("pod-1");
    node.publish(request("dlf-real", "pod-1", &target))
        .await
        .unwrap();
    std::fs::write(target.join("roots"), "of another user").unwrap();
    let script = "cd \"$0\"; for file in roots own; do
            [ $file = roots ] || echo text > $file
            chmod 600 $file; chown 1001:1001 $file; touch -d 2020-02-02T02:02:02Z $file
        done
        cp -p own copy; mkdir tree; echo leaf > tree/leaf; mkdir unpacked
        tar c tree | tar x -C unpacked; cat unpacked/tree/leaf
        stat -c '%a %u' roots own copy unpacked/tree/leaf
        rm -r roots own copy tree unpacked";
    let done = run_as(USER, &target, script);
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(said, "leaf\n777 0\n777 1001\n777 1001\n777 1001\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_umask_the_kernel_keeps_others_out() {
    let name = "with_a_umask_the_kernel_keeps_others_out";
    let node = node_or_skip!("with_a_umask_the_kernel_keeps_others_out");
    let Some((_mounter, mut dataset)) = start(name, &node) else {
        return;
    };
    let volume = fuse_volume(&mut dataset);
    (volume.uid, volume.gid, volume.umask) = (Some(USER), Some(USER), 0o027);
    node.operator.grant(dataset);
    let target = node.target("pod-1");
    node.publish(request("dlf-real", "pod-1", &target))
        .await
        .unwrap();
    let owner = run_as(
        USER,
        &target,
        "cd \"$0\"; echo text > file; chmod 600 file; cat file",
    );
    assert_eq!(String::from_utf8_lossy(&owner.stdout), "text\n");
    for (script, expected) in [
        ("cat \"$0\"/file", "Permission denied"),
        ("echo x > \"$0\"/other", "Permission denied"),
        ("chmod 777 \"$0\"", "Operation not permitted"),
    ] {
        let other = run_as(USER + 1, &target, script);
        let said = String::from_utf8_lossy(&other.stderr);
        assert!(said.contains(expected), "{script}: {said}");
    }
    run_as(USER, &target, "rm \"$0\"/file");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_reads_ahead_even_where_sys_is_shown_read_only() {
    let name = "the_kernel_reads_ahead_even_where_sys_is_shown_read_only";
    if let Some(reason) = obstacle() {
        println!("SKIPPED {name}: {reason}");
        return;
    }
    let mut node = Node::prepare();
    let Some((_mounter, dataset)) = start(name, &node) else {
        return;
    };
    // As containerd does it.
    node.prepare = "mount -o remount,bind,ro /sys";
    node.operator.start().await;
    node.start_driver().await;
    node.operator.grant(dataset);
    let target = node.target("pod-1");
    node.publish(request("dlf-real", "pod-1", &target))
        .await
        .unwrap();
    assert_eq!(read_ahead_of(&target), read_ahead::KIB);
}
