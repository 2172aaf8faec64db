//! Children in a dataset's own directory, as its own uid.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use dlf_wire::mounter::DATASET_UIDS;
use dlf_wire::mounter::v1::{Staging, Start, to_mounter};

use super::support::bucket::Bucket;
use super::support::mounter::{Mounter, dataset, network};
use super::{nowhere, reason, status_of, support};

fn start_in(mount_id: &str, directory: &str, uid: u32) -> Start {
    Start {
        mount_id: mount_id.to_owned(),
        dataset: Some(nowhere()),
        network: Some(network()),
        uid: Some(uid),
        staging: Some(Staging {
            directory: directory.to_owned(),
            file_bytes_max: 1 << 20,
            dataset_bytes_max: 1 << 21,
            free_bytes_min: 0,
        }),
        ..Start::default()
    }
}

#[test]
fn children_of_a_dataset_share_its_uid_and_its_directory() {
    let mut mounter = Mounter::start();
    let uid = DATASET_UIDS.start + 7;
    let directory = mounter.give("d-1", uid);
    let staging = directory.parent().unwrap().to_owned();
    assert_eq!(fs::metadata(&staging).unwrap().mode() & 0o7777, 0o711);
    let mounts = ["one", "two"].map(|id| mounter.mount_as(start_in(id, "d-1", uid)));
    let private = |path: PathBuf| {
        let found = fs::metadata(&path).unwrap();
        assert_eq!(
            (found.uid(), found.mode() & 0o777),
            (uid, 0o700),
            "{path:?}"
        );
    };
    for id in ["one", "two"] {
        let pid = mounter.pid_of(id);
        assert_eq!(status_of(pid, "Uid:"), vec![uid.to_string(); 4]);
        assert_eq!(status_of(pid, "Gid:"), vec![uid.to_string(); 4]);
        private(directory.join("live").join(id));
    }
    private(directory.join("kept"));
    // None was made for anybody else.
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 1);
    fs::write(directory.join("kept/file"), "x").unwrap();
    mounter.stop("one");
    assert!(!directory.join("live/one").exists());
    assert!(directory.join("live/two").exists() && directory.join("kept/file").exists());
    mounter.stop("two");
    drop(mounts);
}

#[test]
fn a_directory_that_is_not_the_datasets_own_is_refused() {
    let mut mounter = Mounter::start();
    let uid = DATASET_UIDS.start;
    mounter.give("anothers", uid + 1);
    mounter.give("roots", 0);
    let open = mounter.give("open", uid);
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o770);
    fs::set_permissions(open, permissions).unwrap();
    let own = mounter.give("own", uid);
    let link = mounter.directory.path().join("staging/link");
    std::os::unix::fs::symlink(own, link).unwrap();
    let device = fs::File::open("/dev/null").unwrap();
    let mut refused = |start: Start| {
        let start = to_mounter::Message::Start(start);
        reason(mounter.ask(start, Some(&device)))
    };
    for name in ["anothers", "roots", "open", "link"] {
        assert_eq!(
            refused(start_in("m", name, uid)),
            "StagingRefused",
            "{name}"
        );
    }
    for name in ["../own", "own/live", "..", ""] {
        let reason = refused(start_in("m", name, uid));
        assert_eq!(reason, "InvalidConfiguration", "{name}");
    }
    assert_eq!(
        refused(start_in("../m", "own", uid)),
        "InvalidConfiguration"
    );
    assert_eq!(refused(start_in("m", "own", 0)), "InvalidConfiguration");
}

#[test]
fn a_mount_whose_directory_is_not_there_is_served_all_the_same() {
    let test = "a_mount_whose_directory_is_not_there_is_served_all_the_same";
    let Some(server) = support::server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    bucket.put("f", "text");
    let mut mounter = Mounter::start();
    let uid = DATASET_UIDS.start;
    let mount = mounter.mount_as(Start {
        dataset: Some(dataset(bucket.origin())),
        ..start_in("m", "none", uid)
    });
    assert_eq!(fs::read_to_string(mount.join("f")).unwrap(), "text");
    let pid = mounter.pid_of("m");
    assert_eq!(status_of(pid, "Uid:"), vec![uid.to_string(); 4]);
    assert!(!mounter.directory.path().join("staging/none").exists());
}
