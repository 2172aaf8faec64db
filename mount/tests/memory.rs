//! A mounter in a control group whose memory is limited, as its pod's is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

mod support;

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use dlf_tests::{Output, cluster_script, skip, tool_is_ready};
use dlf_wire::dataset::v1::Origin;
use dlf_wire::mounter::NO_MEMORY;
use dlf_wire::mounter::v1::{Start, from_mounter, to_mounter};
use support::bucket::Bucket;
use support::bytes::{MIB, assert_bytes, bytes, pieces};
use support::cgroup::Group;
use support::file::close;
use support::mounter::{Mount, Mounter, dataset, network};
use support::place::volume;

#[test]
fn a_mount_for_which_there_is_no_memory_is_refused_until_another_goes() {
    // The mounter's own 64 MiB, and two children with the least.
    const LIMIT: usize = 200 * MIB;
    let test = "a_mount_for_which_there_is_no_memory_is_refused_until_another_goes";
    let Some(group) = Group::start(test, LIMIT) else {
        return;
    };
    let mut mounter = Mounter::start_in(&group);
    let nowhere = dataset(Origin {
        endpoint: "http://192.0.2.1:9".to_owned(),
        bucket: "b".to_owned(),
        ..Origin::default()
    });
    let _one = mounter.mount("one", &nowhere, None);
    let _two = mounter.mount("two", &nowhere, None);
    let third = to_mounter::Message::Start(Start {
        mount_id: "three".to_owned(),
        dataset: Some(nowhere.clone()),
        network: Some(network()),
        ..Start::default()
    });
    // Nothing serves it, so it needs no mount.
    let device = File::open("/dev/null").unwrap();
    let from_mounter::Message::Failed(failed) = mounter.ask(third, Some(&device)) else {
        panic!("a third mount in {LIMIT} bytes");
    };
    assert_eq!(failed.reason, NO_MEMORY);
    let message = failed.message;
    assert!(
        message.contains("200 MiB") && message.contains("2 mounts"),
        "{message}"
    );
    mounter.stop("one");
    let _three = mounter.mount("three", &nowhere, None);
}

/// The mounter's own 64 MiB, and three children with little more than the least.
const LIMIT: usize = 248 * MIB;
const MOUNTS: usize = 3;

/// For each mount: so many readers, of a file each, as far as makes them streams with a large window,
/// and no further until others have written. With a fixed budget of 256 MiB each mount took more.
const READERS: usize = 4;
const READ_BYTES: usize = 56 * MIB;
const READ_FIRST: usize = 18 * MIB;
const READ_THEN: usize = 2 * MIB;
const WRITERS: usize = 2;
const WRITTEN_BYTES: usize = 12 * MIB;

const PIECE: usize = 64 * 1024;

#[test]
fn busy_mounts_stay_below_their_mounters_limit_and_nothing_is_killed() {
    let test = "busy_mounts_stay_below_their_mounters_limit_and_nothing_is_killed";
    let Some(server) = support::server(test) else {
        return;
    };
    let Some(group) = Group::start(test, LIMIT) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    let large = bytes(1, READ_BYTES);
    for reader in 0..READERS {
        bucket.put(&format!("r{reader}"), large.clone());
    }
    let mut mounter = Mounter::start_in(&group);
    let mut dataset = dataset(bucket.origin());
    // The default: a busy server is no failing one.
    volume(&mut dataset).source_timeout_ms = 0;
    let mounts: Vec<Mount> = (0..MOUNTS)
        .map(|number| mounter.mount(&format!("m{number}"), &dataset, None))
        .collect();
    let (over, anonymous) = (AtomicBool::new(false), AtomicUsize::new(0));
    // Readers stop on their way until everything is written.
    let wrote = Barrier::new(MOUNTS * (READERS + WRITERS));
    let failed: Vec<String> = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                anonymous.fetch_max(group.anonymous(), Ordering::AcqRel);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let (wrote, large) = (&wrote, &large);
        let mut running = Vec::new();
        for (number, mount) in mounts.iter().enumerate() {
            for reader in 0..READERS {
                let path = mount.join(&format!("r{reader}"));
                running.push(scope.spawn(move || read(&path, large, wrote)));
            }
            for writer in 0..WRITERS {
                let seed = seed(number, writer);
                let path = mount.join(&format!("w{seed}"));
                running.push(scope.spawn(move || {
                    let written = write(&path, seed);
                    wrote.wait();
                    written
                }));
            }
        }
        let ended = running.into_iter().map(|it| it.join().unwrap());
        let failed = ended.filter_map(Result::err).map(|error| error.to_string());
        let failed = failed.collect();
        over.store(true, Ordering::Release);
        failed
    });
    println!(
        "{MOUNTS} mounts below {} MiB: {} MiB at most, {} MiB of them no pages of files; {} killed",
        LIMIT / MIB,
        group.peak() / MIB,
        anonymous.into_inner() / MIB,
        group.killed()
    );
    assert_eq!((group.killed(), failed), (0, Vec::new()));
    for number in 0..MOUNTS {
        mounter.stop(&format!("m{number}"));
        for seed in (0..WRITERS).map(|writer| seed(number, writer)) {
            let name = format!("w{seed}");
            let wanted = bytes(seed, WRITTEN_BYTES);
            assert_bytes(bucket.get(&name).unwrap(), wanted, &name);
        }
    }
}

fn seed(mount: usize, writer: usize) -> u64 {
    (2 + mount * WRITERS + writer) as u64
}

/// Reads the beginning of a file, and goes on later: what is fetched ahead may stay meanwhile.
fn read(path: &Path, wanted: &[u8], wrote: &Barrier) -> io::Result<()> {
    let mut found = vec![0; READ_FIRST + READ_THEN];
    let (first, second) = found.split_at_mut(READ_FIRST);
    let opened = File::open(path).and_then(|mut file| {
        file.read_exact(first)?;
        Ok(file)
    });
    wrote.wait();
    opened?.read_exact(second)?;
    if !wanted.starts_with(&found) {
        return Err(io::Error::other("other bytes were read"));
    }
    Ok(())
}

fn write(path: &Path, seed: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    for piece in pieces(seed, WRITTEN_BYTES, PIECE) {
        file.write_all(&piece)?;
    }
    close(file)
}

/// The code of `vm.sh` for a machine that cannot have the virtual machine.
const CANNOT: i32 = 77;

#[test]
fn where_the_kernel_would_end_all_of_a_pod_nothing_is_killed_either() {
    let test = "where_the_kernel_would_end_all_of_a_pod_nothing_is_killed_either";
    if support::server(test).is_none() || !tool_is_ready("vm") {
        return;
    }
    let inside = "busy_mounts_stay_below_their_mounters_limit_and_nothing_is_killed";
    let ran = in_the_virtual_machine(inside);
    if ran.code == Some(CANNOT) {
        skip(ran.error.trim().lines().last().unwrap_or_default());
        return;
    }
    let said = format!("{}{}", ran.text, ran.error);
    assert!(ran.ok && said.contains("; 0 killed"), "{said}");
    let figures = said.lines().find(|line| line.contains("mounts below"));
    println!("{}", figures.unwrap());
}

/// Runs a test of this program under a kernel with version 2 of control groups, as users' nodes have.
fn in_the_virtual_machine(test: &str) -> Output {
    let own = || PathBuf::from("../target/cluster/cluster.env");
    let settings = env::var_os("DLF_TEST_ENV").map_or_else(own, PathBuf::from);
    let settings = fs::canonicalize(settings).unwrap();
    let program = env::current_exe().unwrap();
    let (settings, program) = (settings.to_str().unwrap(), program.to_str().unwrap());
    cluster_script(
        "vm.sh",
        &[
            "--with",
            env!("CARGO_BIN_EXE_dlf-mounter"),
            "--with",
            settings,
            "--with",
            program,
            "env",
            &format!("DLF_TEST_ENV={settings}"),
            program,
            "--exact",
            test,
            "--nocapture",
        ],
    )
}
