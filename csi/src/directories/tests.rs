use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use super::clear::KEPT_FOR;
use super::*;

/// Mounts by their ids: the handle of each.
#[derive(Default)]
struct Mounts(HashMap<&'static str, &'static str>);

impl Mounted for Mounts {
    fn is_mounted(&self, handle: &str) -> bool {
        self.0.values().any(|of| *of == handle)
    }

    fn is_mount(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }
}

fn mounts<const N: usize>(mounts: [(&'static str, &'static str); N]) -> Mounts {
    Mounts(mounts.into())
}

fn limits() -> Limits {
    Limits {
        per_file: 1 << 20,
        per_dataset: 1 << 20,
        per_node: 2 << 20,
        min_free: FreeMin::Percent(15),
    }
}

fn directories(root: &Path) -> Directories {
    Directories::open(root.join("staging"), limits()).unwrap()
}

/// Begins a test in a directory of its own, unless it cannot give one away.
fn root(test: &str) -> Option<tempfile::TempDir> {
    if !geteuid().is_root() {
        println!("SKIPPED {test}: it needs root");
        return None;
    }
    Some(tempfile::tempdir().unwrap())
}

fn names_in(directory: &Path) -> HashSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// Writes a file below a dataset's directory, as a child would.
fn write(root: &Path, path: &str, bytes: usize) {
    let path = root.join("staging").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, vec![1; bytes]).unwrap();
}

fn in_two_hours() -> SystemTime {
    SystemTime::now() + Duration::from_hours(2)
}

#[test]
fn each_dataset_has_a_uid_and_keeps_it() {
    let Some(root) = root("each_dataset_has_a_uid_and_keeps_it") else {
        return;
    };
    let first = DATASET_UIDS.start;
    {
        let directories = directories(root.path());
        assert_eq!(directories.ensure("dlf-a").unwrap(), Some(first));
        assert_eq!(directories.ensure("dlf-b").unwrap(), Some(first + 1));
        assert_eq!(directories.ensure("dlf-a").unwrap(), Some(first));
    }
    let staging = root.path().join("staging");
    // The kubelet's own way to make it.
    fs::set_permissions(&staging, fs::Permissions::from_mode(0o755)).unwrap();
    let directories = directories(root.path());
    assert_eq!(fs::metadata(&staging).unwrap().mode() & 0o7777, 0o711);
    assert_eq!(directories.ensure("dlf-b").unwrap(), Some(first + 1));
    let own = fs::metadata(staging.join("b")).unwrap();
    assert_eq!(
        (own.uid(), own.gid(), own.mode() & 0o777),
        (first + 1, first + 1, 0o700)
    );
    // The lowest that is free, and none that a directory still has which is being removed.
    directories.leave("dlf-a", &Mounts::default(), SystemTime::now());
    assert_eq!(directories.ensure("dlf-c").unwrap(), Some(first));
    fs::rename(staging.join("b"), staging.join(".gone-1")).unwrap();
    assert_eq!(directories.ensure("dlf-d").unwrap(), Some(first + 2));
}

#[test]
fn a_directory_whose_maker_was_killed_is_given_away_by_the_next() {
    let Some(root) = root("a_directory_whose_maker_was_killed_is_given_away_by_the_next") else {
        return;
    };
    let directories = directories(root.path());
    fs::create_dir(root.path().join("staging/a")).unwrap();
    let uid = directories.ensure("dlf-a").unwrap();
    assert_eq!(uid, Some(DATASET_UIDS.start));
    let own = fs::metadata(root.path().join("staging/a")).unwrap();
    assert_eq!((own.uid(), own.mode() & 0o777), (DATASET_UIDS.start, 0o700));
}

#[test]
fn what_is_no_datasets_directory_is_not_given_out() {
    let Some(root) = root("what_is_no_datasets_directory_is_not_given_out") else {
        return;
    };
    let directories = directories(root.path());
    for handle in ["a", "dlf-", "dlf-..", "dlf-a/b", "dlf-.pool-1", "../dlf-a"] {
        assert_eq!(directories.ensure(handle).unwrap(), None, "{handle}");
        assert_eq!(directories.staging(handle).unwrap(), None, "{handle}");
    }
    let staging = root.path().join("staging");
    fs::create_dir(staging.join("a")).unwrap();
    chown(staging.join("a"), Some(1000), Some(1000)).unwrap();
    let refused = directories.ensure("dlf-a").unwrap_err();
    assert!(matches!(refused, DirectoryError::Owner(_, 1000)));
    symlink("a", staging.join("b")).unwrap();
    assert!(directories.ensure("dlf-b").is_err());
}

#[test]
fn a_directory_goes_with_the_last_mount_of_its_dataset() {
    let Some(root) = root("a_directory_goes_with_the_last_mount_of_its_dataset") else {
        return;
    };
    let directories = directories(root.path());
    directories.ensure("dlf-a").unwrap();
    for id in ["one", "two"] {
        write(root.path(), &format!("a/live/{id}/file"), 1);
    }
    fs::create_dir(root.path().join("staging/a/kept")).unwrap();
    let now = SystemTime::now();
    directories.leave("dlf-a", &mounts([("two", "dlf-a")]), now);
    assert_eq!(
        names_in(&root.path().join("staging/a/live")),
        ["two".to_owned()].into()
    );
    directories.leave("dlf-a", &mounts([("three", "dlf-b")]), now);
    assert!(names_in(&root.path().join("staging")).is_empty());
    // And again.
    directories.leave("dlf-a", &Mounts::default(), now);
}

#[test]
fn what_is_kept_stays_for_an_hour_and_its_directory_with_it() {
    let Some(root) = root("what_is_kept_stays_for_an_hour_and_its_directory_with_it") else {
        return;
    };
    let directories = directories(root.path());
    directories.ensure("dlf-a").unwrap();
    write(root.path(), "a/kept/file", 1);
    write(root.path(), "a/kept/directory/file", 1);
    let kept = root.path().join("staging/a/kept");
    let file = fs::File::open(kept.join("file")).unwrap();
    // What its owner can set does not count.
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let now = SystemTime::now();
    directories.leave("dlf-a", &Mounts::default(), now);
    directories.sweep(&Mounts::default(), now + KEPT_FOR / 2);
    assert_eq!(names_in(&kept).len(), 2);
    // As after a node's boot: the directory has no mounts and no record.
    directories.sweep(&Mounts::default(), in_two_hours());
    assert!(names_in(&root.path().join("staging")).is_empty());
}

#[test]
fn what_was_kept_too_long_goes_under_a_mount_as_well() {
    let Some(root) = root("what_was_kept_too_long_goes_under_a_mount_as_well") else {
        return;
    };
    let directories = directories(root.path());
    directories.ensure("dlf-a").unwrap();
    write(root.path(), "a/kept/file", 1);
    write(root.path(), "a/live/one/file", 1);
    directories.sweep(&mounts([("one", "dlf-a")]), in_two_hours());
    let own = root.path().join("staging/a");
    assert!(names_in(&own.join("kept")).is_empty());
    assert!(own.join("live/one/file").exists());
}

#[test]
fn a_clock_that_went_back_keeps_nothing_for_ever() {
    let Some(root) = root("a_clock_that_went_back_keeps_nothing_for_ever") else {
        return;
    };
    let directories = directories(root.path());
    directories.ensure("dlf-a").unwrap();
    write(root.path(), "a/kept/file", 1);
    let file = root.path().join("staging/a/kept/file");
    let changed = || {
        let found = fs::metadata(&file).unwrap();
        (found.ctime(), found.ctime_nsec())
    };
    let before = changed();
    let a_day_ago = SystemTime::now() - Duration::from_hours(24);
    // The kernel's clock of files goes in steps of milliseconds.
    let begins_anew = (0..10_000).any(|_| {
        directories.sweep(&Mounts::default(), a_day_ago);
        changed() > before
    });
    assert!(begins_anew);
}

#[test]
fn a_place_that_somebody_still_has_stays() {
    let Some(root) = root("a_place_that_somebody_still_has_stays") else {
        return;
    };
    let directories = directories(root.path());
    directories.ensure("dlf-a").unwrap();
    let staging = root.path().join("staging");
    let places = ["a/live/stray", ".pool-1"].map(|name| {
        let place = staging.join(name);
        fs::create_dir_all(place.join("700000")).unwrap();
        let lock = fs::File::open(&place).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        (place, lock)
    });
    directories.sweep(&Mounts::default(), in_two_hours());
    assert!(places.iter().all(|(place, _)| place.is_dir()));
    drop(places.map(|(_, lock)| lock));
    directories.sweep(&Mounts::default(), in_two_hours());
    assert!(names_in(&staging).is_empty());
}

#[test]
fn what_a_killed_driver_began_to_remove_goes() {
    let Some(root) = root("what_a_killed_driver_began_to_remove_goes") else {
        return;
    };
    let directories = directories(root.path());
    write(root.path(), ".gone-7/live/one/file", 1);
    fs::create_dir(root.path().join("staging/never-given-away")).unwrap();
    fs::create_dir(root.path().join("staging/lost+found")).unwrap();
    directories.sweep(&Mounts::default(), SystemTime::now());
    // What is not ours stays.
    assert_eq!(
        names_in(&root.path().join("staging")),
        ["lost+found".to_owned()].into()
    );
}

#[test]
fn links_in_a_directory_lead_nowhere() {
    let Some(root) = root("links_in_a_directory_lead_nowhere") else {
        return;
    };
    let directories = directories(root.path());
    for dataset in ["a", "b"] {
        directories.ensure(&format!("dlf-{dataset}")).unwrap();
    }
    write(root.path(), "../outside/file", 1);
    let (staging, outside) = (root.path().join("staging"), root.path().join("outside"));
    symlink(&outside, staging.join("a/kept")).unwrap();
    symlink(&outside, staging.join("a/live")).unwrap();
    fs::create_dir_all(staging.join("b/live")).unwrap();
    symlink(&outside, staging.join("b/live/one")).unwrap();
    fs::create_dir(staging.join("b/kept")).unwrap();
    symlink(outside.join("file"), staging.join("b/kept/file")).unwrap();
    directories.sweep(&mounts([("m", "dlf-a")]), in_two_hours());
    assert!(outside.join("file").exists());
    assert_eq!(names_in(&staging), ["a".to_owned()].into());
}

#[test]
fn a_dataset_that_fills_the_node_leaves_the_others_less() {
    let Some(root) = root("a_dataset_that_fills_the_node_leaves_the_others_less") else {
        return;
    };
    let directories = directories(root.path());
    let both = mounts([("one", "dlf-a"), ("two", "dlf-b")]);
    for handle in ["dlf-a", "dlf-b"] {
        directories.ensure(handle).unwrap();
    }
    let most = |handle| {
        let staging = directories.staging(handle).unwrap().unwrap();
        assert_eq!(staging.file_bytes_max, staging.dataset_bytes_max);
        assert!(staging.free_bytes_min > 0);
        staging.dataset_bytes_max
    };
    assert!(directories.sweep(&both, SystemTime::now()).is_empty());
    assert_eq!((most("dlf-a"), most("dlf-b")), (1 << 20, 1 << 20));
    // The node may have 2 MiB, and one dataset has grown to more than half of it.
    write(root.path(), "a/live/one/file", 3 << 19);
    assert_eq!(directories.sweep(&both, SystemTime::now()), ["dlf-b"]);
    assert_eq!(most("dlf-a"), 1 << 20);
    assert!((1..=1 << 18).contains(&most("dlf-b")));
    fs::remove_file(root.path().join("staging/a/live/one/file")).unwrap();
    assert_eq!(directories.sweep(&both, SystemTime::now()), ["dlf-b"]);
    assert_eq!(most("dlf-b"), 1 << 20);
}
