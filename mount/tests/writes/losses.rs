//! What was written and the source does not have is told to the driver, since a shell's `>` ignores
//! what `close` says.

use std::fs;

use dlf_tests::settings;
use dlf_wire::dataset::v1::{DatasetConfig, Keys};
use dlf_wire::mounter::DATASET_UIDS;
use dlf_wire::mounter::v1::{Staging, Start, from_mounter};
use dlf_wire::writes::v1::{Conflict, Writes, loss};

use crate::support::bucket::Bucket;
use crate::support::bytes::{MIB, bytes};
use crate::support::file::{append, save};
use crate::support::http_proxy::{Head, NO_SPACE};
use crate::support::mounter::{Mounter, dataset, network};
use crate::support::place::{Place, Setup, volume};
use crate::support::{program, server};

/// The next state of the mount's writes that `wanted` takes.
fn next_writes(mounter: &mut Mounter, wanted: impl Fn(&Writes) -> bool) -> Writes {
    mounter.event(|event| match event {
        from_mounter::Message::Writes(of) => of.writes.clone().filter(&wanted),
        _ => None,
    })
}

/// The same dataset with keys that may read and list.
fn with_readers_keys(dataset: &DatasetConfig) -> Option<DatasetConfig> {
    let mut readers = dataset.clone();
    volume(&mut readers).origins[0].keys = Some(Keys {
        access_key_id: settings().find("S3_READER_KEY")?,
        secret_access_key: settings().find("S3_READER_SECRET")?,
        ..Keys::default()
    });
    Some(readers)
}

#[test]
fn files_that_keys_may_not_write_are_told_until_there_are_other_keys() {
    let test = "files_that_keys_may_not_write_are_told_until_there_are_other_keys";
    let Some(server) = server(test) else { return };
    let bucket = Bucket::new(&server, test);
    let writable = dataset(bucket.origin());
    let Some(readers) = with_readers_keys(&writable) else {
        println!("SKIPPED {test}: no keys that may only read are given");
        return;
    };
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &readers, None);
    // As most programs do, the script ignores what close(2) says.
    let _ = program::sh(&mount.path, "echo x > f; echo x > g; true").expect_ok();
    let writes = next_writes(&mut mounter, |writes| writes.refused == 2);
    let refusing = writes.refusing.unwrap();
    assert_eq!(refusing.reason, "AccessDenied");
    assert_eq!(refusing.code, "AccessDenied", "the source's own word");
    assert_eq!(
        (refusing.files, &refusing.paths[..]),
        (2, &["f".to_owned(), "g".to_owned()][..])
    );
    assert_eq!(writes.losses.len(), 2);
    let code = loss::Cause::Refused("AccessDenied".to_owned());
    assert_eq!(writes.losses[0].cause, Some(code));
    // The next driver learns of it as well.
    mounter.reconnect();
    let again = next_writes(&mut mounter, |_| true);
    assert_eq!((again.refused, again.losses), (2, writes.losses));
    mounter.configure("m", &writable);
    let after = next_writes(&mut mounter, |writes| writes.refusing.is_none());
    assert_eq!(after.refused, 2);
    assert_eq!(
        program::sh(&mount.path, "cat f || echo y > f; cat f").expect_ok(),
        "y\n"
    );
    next_writes(&mut mounter, |writes| writes.accepting);
    assert_eq!(bucket.text("f").as_deref(), Some("y\n"));
}

#[test]
fn a_full_store_is_told_once_a_file_and_the_next_that_fits_ends_it() {
    let test = "a_full_store_is_told_once_a_file_and_the_next_that_fits_ends_it";
    let Some(mut place) = Setup::of(test).behind_proxy().start() else {
        return;
    };
    let is_write = |request: &Head| matches!(request.method(), "PUT" | "POST");
    place.proxy().refuse(2, NO_SPACE, is_write);
    save(&place.join("small"), b"x").unwrap_err();
    save(&place.join("large"), &bytes(70, 20 * MIB)).unwrap_err();
    let writes = next_writes(&mut place.mounter, |writes| writes.refused >= 2);
    assert_eq!(
        writes.refused, 2,
        "a file fails at a write and at its close, and counts once"
    );
    let refusing = writes.refusing.unwrap();
    assert_eq!(refusing.reason, "NoSpace");
    assert_eq!(refusing.code, NO_SPACE.code, "the source's own word");
    save(&place.join("small"), b"x").unwrap();
    let after = next_writes(&mut place.mounter, |writes| writes.accepting);
    assert_eq!((after.refusing, after.refused), (None, 2));
}

#[test]
fn a_killed_writer_is_told_with_its_signal_and_what_is_kept_of_it() {
    let test = "a_killed_writer_is_told_with_its_signal_and_what_is_kept_of_it";
    let Some(server) = server(test) else { return };
    let bucket = Bucket::new(&server, test);
    bucket.put("f", "the old one");
    let mut mounter = Mounter::start();
    let uid = DATASET_UIDS.start + 3;
    let directory = mounter.give("d", uid);
    let mount = mounter.mount_as(Start {
        mount_id: "m".to_owned(),
        dataset: Some(dataset(bucket.origin())),
        network: Some(network()),
        uid: Some(uid),
        staging: Some(Staging {
            directory: "d".to_owned(),
            file_bytes_max: 1 << 30,
            dataset_bytes_max: 1 << 30,
            free_bytes_min: 0,
        }),
        ..Start::default()
    });
    // The file is opened by who is killed: a shell that survives would close it once more.
    let script = "sh -c 'exec > f; echo half; kill -9 $$' || true";
    let _ = program::sh(&mount.path, script).expect_ok();
    let writes = next_writes(&mut mounter, |writes| writes.killed > 0);
    assert_eq!((writes.killed, writes.kept), (1, 1));
    let loss = &writes.losses[0];
    assert_eq!(
        (loss.path.as_str(), &loss.cause),
        ("f", &Some(loss::Cause::Killed(9)))
    );
    let kept = fs::read_to_string(directory.join("kept").join(&loss.kept));
    assert_eq!(kept.unwrap(), "half\n");
    assert_eq!(bucket.text("f").as_deref(), Some("the old one"));
}

#[test]
fn a_file_that_others_replaced_meanwhile_is_told_as_a_conflict() {
    let test = "a_file_that_others_replaced_meanwhile_is_told_as_a_conflict";
    let Some(mut place) = Setup::of(test).start() else {
        return;
    };
    place.bucket.put("f", "a".repeat(MIB));
    conflict(&place);
    let writes = next_writes(&mut place.mounter, |writes| writes.conflicts > 0);
    assert_eq!((writes.conflicts, writes.refused), (1, 0));
    assert_eq!(
        writes.losses[0].cause,
        Some(loss::Cause::Conflict(Conflict {}))
    );
    append(&place.join("f"), b"!").unwrap();
    next_writes(&mut place.mounter, |writes| writes.accepting);
}

/// Changes the middle of a file that another replaces before it is closed.
fn conflict(place: &Place) {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.join("f"))
        .unwrap();
    file.write_all_at(b"b", 1000).unwrap();
    place.bucket.put("f", "another");
    crate::support::file::close(file).unwrap_err();
}
