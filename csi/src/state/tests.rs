use dlf_wire::nodes::v1::PodRef;

use super::*;

fn dataset(version: u64) -> DatasetConfig {
    DatasetConfig {
        volume_handle: "dlf-1".into(),
        version,
        ..DatasetConfig::default()
    }
}

fn target(name: &str, uid: &str) -> TargetRecord {
    TargetRecord {
        target: name.into(),
        volume_handle: "dlf-1".into(),
        mount_id: "m".into(),
        pod: Some(PodRef {
            namespace: "n".into(),
            name: "p".into(),
            uid: uid.into(),
        }),
        ..TargetRecord::default()
    }
}

#[test]
fn what_was_put_is_there_for_the_next_driver() {
    let directory = tempfile::tempdir().unwrap();
    let long = "x/".repeat(400);
    {
        let state = State::load(directory.path()).unwrap();
        state.put_dataset(dataset(3)).unwrap();
        state.put_target(target(&long, "u")).unwrap();
        state.put_target(target("gone", "u")).unwrap();
        state.remove_target("gone").unwrap();
        for revision in ["r1", ""] {
            let revision = revision.into();
            state.put_wanted(MounterWanted { revision }).unwrap();
        }
    }
    let state = State::load(directory.path()).unwrap();
    assert_eq!(state.dataset("dlf-1").unwrap().version, 3);
    assert_eq!(state.targets().len(), 1);
    assert_eq!(state.target(&long).unwrap().mount_id, "m");
    assert_eq!(state.wanted(), "r1");
}

#[test]
fn an_older_version_does_not_replace_a_newer_one() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::load(directory.path()).unwrap();
    assert_eq!(state.put_dataset(dataset(3)).unwrap().version, 3);
    assert_eq!(state.put_dataset(dataset(2)).unwrap().version, 3);
    assert_eq!(state.put_dataset(dataset(4)).unwrap().version, 4);
}

#[test]
fn a_version_of_a_dataset_that_was_dropped_is_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::load(directory.path()).unwrap();
    state.put_dataset(dataset(1)).unwrap();
    assert!(state.renew_dataset(&dataset(2)).unwrap());
    assert!(!state.renew_dataset(&dataset(2)).unwrap());
    assert!(state.drop_unused_dataset("dlf-1").unwrap());
    assert!(!state.renew_dataset(&dataset(3)).unwrap());
    assert!(State::load(directory.path()).unwrap().handles().is_empty());
}

#[test]
fn a_new_mount_has_the_newest_configuration_of_its_source() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::load(directory.path()).unwrap();
    state.put_dataset(dataset(2)).unwrap();
    let mount = |source: &str| MountRecord {
        id: "m".into(),
        dataset: Some(DatasetConfig {
            source_revision: source.into(),
            ..dataset(1)
        }),
        ..MountRecord::default()
    };
    let version = |mount: MountRecord| mount.dataset.unwrap().version;
    assert_eq!(version(state.put_mount(mount("")).unwrap()), 2);
    assert_eq!(version(state.put_mount(mount("elsewhere")).unwrap()), 1);
}

#[test]
fn a_dataset_in_use_is_not_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::load(directory.path()).unwrap();
    state.put_dataset(dataset(1)).unwrap();
    state.put_target(target("t", "u")).unwrap();
    assert!(!state.drop_unused_dataset("dlf-1").unwrap());
    state.remove_target("t").unwrap();
    assert!(state.drop_unused_dataset("dlf-1").unwrap());
    assert!(state.in_use().is_empty());
}

#[test]
fn a_pod_with_two_targets_is_reported_once() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::load(directory.path()).unwrap();
    state.put_dataset(dataset(1)).unwrap();
    for (name, uid) in [("a", "u1"), ("b", "u1"), ("c", "u2")] {
        state.put_target(target(name, uid)).unwrap();
    }
    assert_eq!(state.in_use()[0].pods.len(), 2);
}

#[test]
fn drafts_and_garbage_are_cleared() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::load(directory.path()).unwrap();
    state.put_target(target("t", "u")).unwrap();
    let targets = directory.path().join("targets");
    std::fs::write(targets.join(".draft"), b"").unwrap();
    std::fs::write(targets.join("garbage"), [0xff; 9]).unwrap();
    assert_eq!(State::load(directory.path()).unwrap().targets().len(), 1);
    assert_eq!(std::fs::read_dir(targets).unwrap().count(), 1);
}

#[test]
fn records_with_keys_are_for_root_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let state = State::load(directory.path()).unwrap();
    state.put_dataset(dataset(1)).unwrap();
    let datasets = directory.path().join("datasets");
    for entry in std::fs::read_dir(datasets).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
