//! The mounter as the node driver sees it: greetings, refusals, children that end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

mod support;

#[path = "mounter/directory.rs"]
mod directory;
#[path = "mounter/versions.rs"]
mod versions;

use std::fs;
use std::os::unix::fs::MetadataExt;

use dlf_wire::channel::ChannelError;
use dlf_wire::dataset::v1::{DatasetConfig, Origin};
use dlf_wire::mounter::v1::{Configure, Start, from_mounter, to_mounter};
use rustix::process::{Pid, Signal, kill_process};
use support::bucket::Bucket;
use support::mounter::{Mounter, dataset, network};

fn nowhere() -> DatasetConfig {
    dataset(Origin {
        endpoint: "http://192.0.2.1:9".to_owned(),
        bucket: "b".to_owned(),
        ..Origin::default()
    })
}

fn start(mount_id: &str, dataset: DatasetConfig) -> to_mounter::Message {
    to_mounter::Message::Start(Start {
        mount_id: mount_id.to_owned(),
        dataset: Some(dataset),
        network: Some(network()),
        ..Start::default()
    })
}

fn reason(answer: from_mounter::Message) -> String {
    match answer {
        from_mounter::Message::Failed(failed) => failed.reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_new_driver_sees_the_children_of_the_old_one() {
    let mut mounter = Mounter::start();
    assert_eq!(mounter.hello.revision, "test");
    assert!(mounter.hello.children.is_empty());
    let _mount = mounter.mount("one", &nowhere(), None);
    mounter.reconnect();
    let [child] = &mounter.hello.children[..] else {
        panic!("one child: {:?}", mounter.hello);
    };
    assert_eq!(
        (
            child.mount_id.as_str(),
            child.volume_handle.as_str(),
            child.version
        ),
        ("one", "dlf-test", 1)
    );
    let mut newer = nowhere();
    newer.version = 5;
    mounter.configure("one", &newer);
    mounter.reconnect();
    assert_eq!(mounter.hello.children[0].version, 5);
    mounter.stop("one");
    mounter.stop("one");
    mounter.reconnect();
    assert!(mounter.hello.children.is_empty());
}

#[test]
fn the_end_of_a_child_is_reported_with_its_cause() {
    let mut mounter = Mounter::start();
    let mount = mounter.mount("killed", &nowhere(), None);
    let pid = i32::try_from(mounter.pid_of("killed")).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let exited = |event: &from_mounter::Message| match event {
        from_mounter::Message::Exited(exited) => Some(exited.clone()),
        _ => None,
    };
    let event = mounter.event(exited);
    assert_eq!(
        (event.mount_id.as_str(), event.cause.as_str()),
        ("killed", "signal 9")
    );
    // ENOTCONN: nobody serves it, and nobody waits.
    assert_eq!(
        fs::read_dir(&mount.path).unwrap_err().raw_os_error(),
        Some(107)
    );

    let mount = mounter.mount("unmounted", &nowhere(), None);
    drop(mount);
    let event = mounter.event(exited);
    assert_eq!(
        (event.mount_id.as_str(), event.cause.as_str()),
        ("unmounted", "unmounted")
    );
}

#[test]
fn what_cannot_be_started_is_refused_with_a_reason() {
    let mut mounter = Mounter::start();
    assert_eq!(
        reason(mounter.ask(start("x", nowhere()), None)),
        "DescriptorMissing"
    );
    let _mount = mounter.mount("one", &nowhere(), None);
    let device = fs::File::open("/dev/null").unwrap();
    assert_eq!(
        reason(mounter.ask(start("one", nowhere()), Some(&device))),
        "AlreadyRunning"
    );
    assert_eq!(
        reason(mounter.ask(start("null", nowhere()), Some(&device))),
        "DeviceFailed"
    );
    let mut wrong = nowhere();
    wrong.volume = None;
    assert_eq!(
        reason(mounter.ask(start("wrong", wrong), Some(&device))),
        "InvalidConfiguration"
    );
    let unknown = to_mounter::Message::Configure(Configure {
        mount_id: "unknown".to_owned(),
        dataset: Some(nowhere()),
        network: Some(network()),
        ..Configure::default()
    });
    assert_eq!(reason(mounter.ask(unknown, None)), "NotFound");
}

#[test]
fn a_child_has_a_uid_of_its_own_and_no_privilege() {
    let mut mounter = Mounter::start();
    let _first = mounter.mount("first", &nowhere(), None);
    let _second = mounter.mount("second", &nowhere(), None);
    let mut uids = Vec::new();
    for mount_id in ["first", "second"] {
        let pid = mounter.pid_of(mount_id);
        let field = |name: &str| status_of(pid, name);
        uids.push(field("Uid:")[0].clone());
        assert_eq!(field("Uid:"), field("Gid:"));
        assert!(field("Groups:").is_empty());
        assert_eq!(field("CapEff:"), ["0000000000000000"]);
        assert_eq!(field("CapPrm:"), ["0000000000000000"]);
        assert_eq!(field("NoNewPrivs:"), ["1"]);
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        assert!(
            limits
                .lines()
                .any(|line| line.starts_with("Max core file size        0 "))
        );
        // Not dumpable: its files in /proc belong to root.
        let owner = fs::metadata(format!("/proc/{pid}/environ")).unwrap();
        assert_eq!(owner.uid(), 0);
    }
    assert_ne!(uids[0], uids[1]);
    // Each has a directory of its own, and no other child gets into it.
    let staging = mounter.directory.path().join("staging");
    let pools = fs::read_dir(staging).unwrap();
    let pools: Vec<_> = pools.map(|entry| entry.unwrap().path()).collect();
    let [pool] = &pools[..] else {
        panic!("one directory for all: {pools:?}");
    };
    for uid in uids {
        let own = fs::metadata(pool.join(&uid)).unwrap();
        assert_eq!((own.uid().to_string(), own.mode() & 0o777), (uid, 0o700));
    }
}

/// The words behind a name in `/proc/PID/status`.
fn status_of(pid: u32, name: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let words = line.split_whitespace().skip(1);
    words.map(str::to_owned).collect()
}

#[test]
fn no_key_is_in_arguments_or_environment() {
    let test = "no_key_is_in_arguments_or_environment";
    let Some(server) = support::server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    let mut mounter = Mounter::start();
    let _mount = mounter.mount("m", &dataset(bucket.origin()), None);
    let pid = mounter.pid_of("m");
    for file in ["cmdline", "environ"] {
        let shown = fs::read(format!("/proc/{pid}/{file}")).unwrap();
        let shown = String::from_utf8_lossy(&shown);
        assert!(!shown.contains(&server.secret), "{file}");
    }
}

#[test]
fn children_end_with_the_mounter() {
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &nowhere(), None);
    let pid = mounter.pid_of("m");
    drop(mounter);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while fs::exists(format!("/proc/{pid}")).unwrap() {
        assert!(
            std::time::Instant::now() < deadline,
            "the child is still there"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(
        fs::read_dir(&mount.path).unwrap_err().raw_os_error(),
        Some(107)
    );
}

#[test]
fn a_driver_is_told_at_once_that_its_mounter_ends() {
    let mut mounter = Mounter::start();
    let _mount = mounter.mount("m", &nowhere(), None);
    let child = Pid::from_raw(i32::try_from(mounter.pid_of("m")).unwrap()).unwrap();
    // It cannot end by itself now, and the mounter waits for it as long as it may.
    kill_process(child, Signal::STOP).unwrap();
    let pid = Pid::from_raw(i32::try_from(mounter.pid()).unwrap()).unwrap();
    let began = std::time::Instant::now();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(matches!(mounter.wait_for_end(), ChannelError::Closed));
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
}

#[test]
fn the_figures_of_a_childs_last_moments_come_with_its_end() {
    let test = "the_figures_of_a_childs_last_moments_come_with_its_end";
    let Some(server) = support::server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    bucket.put("a", "twelve bytes");
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &dataset(bucket.origin()), None);
    assert_eq!(fs::read(mount.join("a")).unwrap().len(), 12);
    assert_eq!(mounter.stop("m").unwrap().bytes_read, 12);
}

#[test]
fn coming_and_going_files_leave_neither_descriptors_nor_threads() {
    let test = "coming_and_going_files_leave_neither_descriptors_nor_threads";
    let Some(server) = support::server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &dataset(bucket.origin()), None);
    let pid = mounter.pid_of("m");
    let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    let round = |n: usize| {
        let directory = mount.join(&format!("d{n}"));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("a"), "text").unwrap();
        fs::rename(directory.join("a"), directory.join("b")).unwrap();
        assert_eq!(fs::read(directory.join("b")).unwrap(), b"text");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_file(directory.join("b")).unwrap();
        fs::remove_dir(&directory).unwrap();
    };
    // Connections and threads that stay are made first.
    (0..20).for_each(round);
    let before = (count("fd"), count("task"));
    (0..200).for_each(round);
    assert!(count("fd") <= before.0 + 2, "{} {before:?}", count("fd"));
    assert!(
        count("task") <= before.1 + 2,
        "{} {before:?}",
        count("task")
    );
}
