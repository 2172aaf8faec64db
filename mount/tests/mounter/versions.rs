//! Drivers that are older or newer than the mounter, and children that a driver of another version started.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, FileExt, chown};
use std::path::Path;
use std::process::Command;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::mounter::DATASET_UIDS;
use dlf_wire::mounter::v1::{Configure, Staging, Start, to_mounter};

use super::support::bucket::Bucket;
use super::support::mounter::{Mount, Mounter, dataset, network};
use super::support::server;
use super::{nowhere, reason};

/// What a driver tells of a directory, when it knows of any.
fn staging(directory: &str, file_bytes_max: u64) -> Staging {
    Staging {
        directory: directory.to_owned(),
        file_bytes_max,
        dataset_bytes_max: 1 << 40,
        free_bytes_min: 0,
    }
}

fn configure(mounter: &mut Mounter, dataset: &DatasetConfig, staging: Option<Staging>) {
    let configure = Configure {
        mount_id: "m".to_owned(),
        dataset: Some(dataset.clone()),
        network: Some(network()),
        staging,
    };
    mounter.ask_done(to_mounter::Message::Configure(configure), None);
}

/// Whether a file may be staged that is written in no order: what is written last of it stays in memory.
fn may_stage(mount: &Mount, name: &str) -> bool {
    const STEP: u64 = 64 << 20;
    let file = File::create(mount.join(name)).unwrap();
    let written: Result<(), _> =
        (0..3).try_for_each(|place| file.write_all_at(b"some bytes", place * STEP));
    match written {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(28), "ENOSPC");
            false
        }
    }
}

fn write_half_and_die(path: &Path) {
    let script = format!("exec > {}; echo half; kill -9 $$", path.display());
    let ended = Command::new("sh").args(["-c", &script]).status();
    assert!(!ended.unwrap().success());
}

#[test]
fn with_a_driver_that_does_not_know_how_threads_end_each_close_is_a_close() {
    let test = "with_a_driver_that_does_not_know_how_threads_end_each_close_is_a_close";
    let Some(server) = server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    bucket.put("f", "the old one");
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &dataset(bucket.origin()), None);
    write_half_and_die(&mount.join("f"));
    assert_eq!(bucket.text("f").as_deref(), Some("the old one"));
    mounter.know_no_questions();
    write_half_and_die(&mount.join("f"));
    assert_eq!(bucket.text("f").as_deref(), Some("half\n"));
    // The driver that replaces it knows.
    mounter.reconnect();
    write_half_and_die(&mount.join("f"));
    assert_eq!(bucket.text("f").as_deref(), Some("half\n"));
    assert_eq!(fs::read_to_string(mount.join("f")).unwrap(), "half\n");
    fs::write(mount.join("f"), "whole").unwrap();
    assert_eq!(bucket.text("f").as_deref(), Some("whole"));
}

#[test]
fn a_child_of_an_older_driver_takes_a_newer_ones_limits_in_the_directory_it_has() {
    let test = "a_child_of_an_older_driver_takes_a_newer_ones_limits_in_the_directory_it_has";
    let Some(server) = server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    let dataset = dataset(bucket.origin());
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &dataset, None);
    assert!(may_stage(&mount, "before"));
    configure(&mut mounter, &dataset, Some(staging("d-1", 5)));
    assert!(!may_stage(&mount, "after"));
    // The directory was never its own.
    assert!(!mounter.directory.path().join("staging/d-1").exists());
    configure(&mut mounter, &dataset, Some(staging("d-1", 1 << 40)));
    assert!(may_stage(&mount, "later"));
}

#[test]
fn an_older_driver_that_comes_back_leaves_a_child_its_directory_and_its_limits() {
    let test = "an_older_driver_that_comes_back_leaves_a_child_its_directory_and_its_limits";
    let Some(server) = server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    let dataset = dataset(bucket.origin());
    let mut mounter = Mounter::start();
    let uid = DATASET_UIDS.start;
    let own = mounter.directory.path().join("staging/d-1");
    fs::DirBuilder::new().mode(0o700).create(&own).unwrap();
    chown(&own, Some(uid), Some(uid)).unwrap();
    let mount = mounter.mount_as(Start {
        mount_id: "m".to_owned(),
        dataset: Some(dataset.clone()),
        network: Some(network()),
        uid: Some(uid),
        staging: Some(staging("d-1", 5)),
        ..Start::default()
    });
    mounter.reconnect();
    mounter.know_no_questions();
    configure(&mut mounter, &dataset, None);
    assert!(!may_stage(&mount, "after"));
    assert!(own.join("live/m").is_dir());
}

#[test]
fn a_request_that_only_a_newer_driver_knows_is_refused_and_the_mounter_goes_on() {
    let mut mounter = Mounter::start();
    assert_eq!(reason(mounter.ask_newer(None, None)), "InvalidRequest");
    let _mount = mounter.mount("m", &nowhere(), None);
    assert_eq!(reason(mounter.ask_newer(None, None)), "InvalidRequest");
    assert!(mounter.pid_of("m") > 0);
}
