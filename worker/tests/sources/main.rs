//! Tasks against real servers: `make cluster` starts them and writes where they are.

#![allow(clippy::unwrap_used, reason = "tests")]

mod caches;
mod servers;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dlf_cache::{ListRequest, ObjectStore, PutCondition};
use dlf_core::network::AddressRules;
use dlf_tests::settings;
use dlf_wire::dataset::v1::{Keys, NetworkRules, Origin};
use dlf_wire::nodes::v1::{
    Done, EmptyBucket, EnsureBucket, Failure, ProbeNfs, ProbeObjectStore, Task, task,
};
use dlf_worker::{bucket, progress::Step, task::run};
use servers::{
    Instead, LISTED, MADE_AGAIN, NOT_IMPLEMENTED, gateway, keep_versions, nfs, s3, unique,
};
use tokio::sync::watch;

async fn done(kind: task::Kind) -> Result<Done, Failure> {
    let task = Task {
        kind: Some(kind),
        deadline_ms: 12_000,
        ..Task::default()
    };
    run(task, &|_| {}).await
}

async fn probed(origin: Origin) -> Result<Done, Failure> {
    done(task::Kind::ProbeObjectStore(ProbeObjectStore {
        origin: Some(origin),
        writes: true,
    }))
    .await
}

async fn ensured(origin: &Origin, owner: &str) -> Result<Done, Failure> {
    let (origin, owner) = (Some(origin.clone()), owner.to_owned());
    done(task::Kind::EnsureBucket(EnsureBucket { origin, owner })).await
}

async fn emptied(origin: &Origin, owner: &str) -> Result<Done, Failure> {
    let (origin, owner) = (Some(origin.clone()), owner.to_owned());
    done(task::Kind::EmptyBucket(EmptyBucket { origin, owner })).await
}

fn client(origin: &Origin) -> ObjectStore {
    let deadline = Duration::from_secs(30);
    bucket::open(Some(origin.clone()), AddressRules::default(), deadline).unwrap()
}

fn reason(result: Result<Done, Failure>) -> String {
    let failure = result.unwrap_err();
    let way_out = ["spec.local", "correct ", "[network] allow", "permit "];
    assert!(
        way_out.iter().any(|way| failure.message.contains(way)),
        "{failure:?}"
    );
    failure.reason
}

#[tokio::test]
async fn a_bucket_is_made_filled_emptied_and_deleted() {
    let Some(origin) = s3("a_bucket_is_made_filled_emptied_and_deleted") else {
        return;
    };
    let origin = Origin {
        bucket: unique("made"),
        ..origin
    };
    assert_eq!(reason(probed(origin.clone()).await), "NoSuchBucket");
    assert!(ensured(&origin, "uid-1").await.unwrap().created);
    assert!(
        ensured(&origin, "uid-1").await.unwrap().created,
        "done twice is done once"
    );
    assert!(
        !ensured(&origin, "uid-2").await.unwrap().created,
        "another's"
    );
    assert_eq!(probed(origin.clone()).await, Ok(Done::default()));

    let store = client(&origin);
    for object in 0..25 {
        let key = format!("dir/{object} ü&+");
        store
            .put(&key, Bytes::from_static(b"x"), PutCondition::None)
            .await
            .unwrap();
    }
    store.start_multipart("never-finished").await.unwrap();
    assert_eq!(emptied(&origin, "uid-2").await, Ok(Done::default()), "kept");
    assert_eq!(
        store
            .list(&ListRequest::default())
            .await
            .unwrap()
            .objects
            .len(),
        25
    );
    assert!(emptied(&origin, "uid-1").await.unwrap().deleted);
    assert!(!store.bucket_exists().await.unwrap());
    assert!(
        emptied(&origin, "uid-1").await.unwrap().deleted,
        "done twice is done once"
    );
}

/// As another identity, which may read and list.
fn as_reader(origin: &Origin) -> Option<Origin> {
    let keys = Keys {
        access_key_id: settings().find("S3_READER_KEY")?,
        secret_access_key: settings().find("S3_READER_SECRET")?,
        ..Keys::default()
    };
    let keys = Some(keys);
    Some(Origin {
        keys,
        ..origin.clone()
    })
}

#[tokio::test]
async fn keys_that_may_only_list_are_told_apart_and_asking_leaves_nothing() {
    let test = "keys_that_may_only_list_are_told_apart_and_asking_leaves_nothing";
    let Some(origin) = s3(test) else { return };
    let Some(reader) = as_reader(&origin) else {
        println!("SKIPPED {test}: no keys that may only read are given");
        return;
    };
    let below = |origin: Origin, bucket: &str| Origin {
        bucket: bucket.to_owned(),
        prefix: "a/b/".to_owned(),
        ..origin
    };
    let bucket = unique("lists");
    let (origin, reader) = (below(origin, &bucket), below(reader, &bucket));
    ensured(&origin, "uid-1").await.unwrap();
    let refused = probed(reader.clone())
        .await
        .unwrap()
        .writes_refused
        .unwrap();
    assert_eq!(refused.reason, "AccessDenied");
    for part in ["s3:PutObject", "readonly: \"true\""] {
        assert!(refused.message.contains(part), "{refused:?}");
    }
    let only_reads = ProbeObjectStore {
        origin: Some(reader),
        writes: false,
    };
    let only_reads = done(task::Kind::ProbeObjectStore(only_reads)).await;
    assert_eq!(only_reads, Ok(Done::default()));
    assert_eq!(probed(origin.clone()).await, Ok(Done::default()));
    let store = client(&bucket::whole(origin.clone()));
    assert!(store.list_uploads("").await.unwrap().uploads.is_empty());
    let left = store.list(&ListRequest::default()).await.unwrap().objects;
    assert!(
        left.iter().all(|object| !object.key.contains("probe")),
        "{left:?}"
    );
    assert!(emptied(&origin, "uid-1").await.unwrap().deleted);
}

/// A task with time, which may dial the gateways of these tests.
fn emptying(origin: &Origin, owner: &str) -> Task {
    let empty = EmptyBucket {
        origin: Some(origin.clone()),
        owner: owner.to_owned(),
    };
    Task {
        kind: Some(task::Kind::EmptyBucket(empty)),
        network: Some(NetworkRules {
            allow: vec!["127.0.0.0/8".into()],
            ..NetworkRules::default()
        }),
        deadline_ms: 60_000,
        ..Task::default()
    }
}

/// Empties with a look at the progress: what was deleted in all.
async fn emptied_of(origin: &Origin, owner: &str) -> (Result<Done, Failure>, u64) {
    let objects = AtomicU64::new(0);
    let report = |step: Step| objects.store(step.objects, Ordering::Relaxed);
    let outcome = run(emptying(origin, owner), &report).await;
    (outcome, objects.into_inner())
}

#[tokio::test]
async fn emptying_goes_on_where_it_broke_off() {
    let Some(origin) = s3("emptying_goes_on_where_it_broke_off") else {
        return;
    };
    let origin = Origin {
        bucket: unique("resumed"),
        ..origin
    };
    assert!(ensured(&origin, "uid-1").await.unwrap().created);
    keep_versions(&origin);
    let store = client(&origin);
    for object in 0..250 {
        let key = format!("{}", object % 50);
        let put = store.put(&key, Bytes::new(), PutCondition::None);
        put.await.unwrap();
    }
    let (deleted, mut first_page) = watch::channel(Step::default());
    let report = |step| {
        deleted.send_replace(step);
    };
    tokio::select! {
        early = run(emptying(&origin, "uid-1"), &report) => panic!("{early:?}"),
        changed = first_page.changed() => changed.unwrap(),
    }
    let begun = first_page.borrow().objects;
    assert!((1..250).contains(&begun), "{begun}");
    let (outcome, deleted) = emptied_of(&origin, "uid-1").await;
    assert!(outcome.unwrap().deleted);
    assert!(
        (1..=250 - begun).contains(&deleted),
        "{begun} and {deleted}"
    );
}

#[tokio::test]
async fn old_versions_marks_of_deletion_and_uploads_go_with_their_bucket() {
    let Some(origin) = s3("old_versions_marks_of_deletion_and_uploads_go_with_their_bucket") else {
        return;
    };
    let origin = Origin {
        bucket: unique("versions"),
        ..origin
    };
    assert!(ensured(&origin, "uid-1").await.unwrap().created);
    keep_versions(&origin);
    let store = client(&origin);
    for round in ["first", "second"] {
        for object in 0..15 {
            let (key, bytes) = (
                format!("dir/{object} ü&+"),
                Bytes::from_static(round.as_bytes()),
            );
            store.put(&key, bytes, PutCondition::None).await.unwrap();
        }
    }
    store.delete("dir/3 ü&+").await.unwrap();
    store.start_multipart("never-finished").await.unwrap();
    let (outcome, deleted) = emptied_of(&origin, "uid-1").await;
    assert!(outcome.unwrap().deleted);
    assert_eq!(
        deleted,
        2 * 15 + 1 + 1,
        "versions, mark of deletion, upload"
    );
    assert!(!store.bucket_exists().await.unwrap());
}

/// Stores without versions, uploads and tags: they say so, or overlook what they are asked.
const SIMPLE: [&[Instead]; 2] = [
    &[
        ("", "versions=", NOT_IMPLEMENTED),
        ("GET", "?uploads=", NOT_IMPLEMENTED),
        ("", "tagging=", NOT_IMPLEMENTED),
    ],
    &[
        ("GET", "versions=", LISTED),
        ("GET", "uploads=", LISTED),
        ("PUT", "tagging=", MADE_AGAIN),
        ("GET", "tagging=", LISTED),
    ],
];

#[tokio::test]
async fn a_store_without_versions_uploads_and_tags_is_emptied_all_the_same() {
    let name = "a_store_without_versions_uploads_and_tags_is_emptied_all_the_same";
    let Some(origin) = s3(name) else {
        return;
    };
    for lacks in SIMPLE {
        let origin = Origin {
            endpoint: gateway(&origin.endpoint, lacks).await,
            bucket: unique("simple"),
            ..origin.clone()
        };
        let rules = AddressRules::parse(&["127.0.0.0/8".into()], &[], &[]).unwrap();
        let store = bucket::open(Some(origin.clone()), rules, Duration::from_secs(30)).unwrap();
        assert!(bucket::ensure(&store, "uid-1").await.unwrap().created);
        assert!(bucket::ensure(&store, "uid-1").await.unwrap().created);
        for key in ["a", "b/c"] {
            let put = store.put(key, Bytes::new(), PutCondition::None);
            put.await.unwrap();
        }
        let (outcome, _) = emptied_of(&origin, "uid-2").await;
        assert!(!outcome.unwrap().deleted, "another's");
        let (outcome, deleted) = emptied_of(&origin, "uid-1").await;
        assert!(outcome.unwrap().deleted);
        assert_eq!(deleted, 3, "two objects and the mark");
        assert!(!store.bucket_exists().await.unwrap());
    }
}

#[tokio::test]
async fn a_bucket_that_was_there_before_is_never_emptied() {
    let Some(origin) = s3("a_bucket_that_was_there_before_is_never_emptied") else {
        return;
    };
    let origin = Origin {
        bucket: unique("before"),
        ..origin
    };
    let store = client(&origin);
    store.create_bucket().await.unwrap();
    store
        .put("precious", Bytes::from_static(b"x"), PutCondition::None)
        .await
        .unwrap();
    assert!(!ensured(&origin, "uid-1").await.unwrap().created);
    assert!(!emptied(&origin, "uid-1").await.unwrap().deleted);
    assert!(store.head("precious").await.is_ok());
    store.delete("precious").await.unwrap();
    store.delete_bucket().await.unwrap();
}

#[tokio::test]
async fn a_bucket_is_emptied_as_a_whole_whatever_the_datasets_prefix() {
    let Some(origin) = s3("a_bucket_is_emptied_as_a_whole_whatever_the_datasets_prefix") else {
        return;
    };
    let origin = Origin {
        bucket: unique("prefix"),
        prefix: "in/".into(),
        ..origin
    };
    assert!(ensured(&origin, "uid-1").await.unwrap().created);
    client(&origin)
        .put("a", Bytes::from_static(b"x"), PutCondition::None)
        .await
        .unwrap();
    let beside = Origin {
        prefix: String::new(),
        ..origin.clone()
    };
    client(&beside)
        .put("beside", Bytes::from_static(b"x"), PutCondition::None)
        .await
        .unwrap();
    assert!(emptied(&origin, "uid-1").await.unwrap().deleted);
}

#[tokio::test]
async fn causes_have_names() {
    let Some(origin) = s3("causes_have_names") else {
        return;
    };
    let keys = |id: &str, secret: &str| {
        Some(Keys {
            access_key_id: id.into(),
            secret_access_key: secret.into(),
            ..Keys::default()
        })
    };
    let origin = Origin {
        bucket: "some-bucket".into(),
        ..origin
    };
    let id = origin.keys.as_ref().unwrap().access_key_id.clone();
    let with = |keys| {
        probed(Origin {
            keys,
            ..origin.clone()
        })
    };
    assert_eq!(reason(with(keys("nobody", "guess")).await), "KeysRejected");
    assert_eq!(reason(with(keys(&id, "guess")).await), "KeysRejected");
    assert_eq!(reason(with(None).await), "AccessDenied");
    let at = |endpoint: &str| {
        probed(Origin {
            endpoint: endpoint.into(),
            ..origin.clone()
        })
    };
    assert_eq!(
        reason(at("http://no-such-host.invalid").await),
        "Unreachable"
    );
    assert_eq!(
        reason(at("http://127.0.0.1:9000").await),
        "AddressNotAllowed"
    );
    assert_eq!(
        reason(at("http://169.254.169.254").await),
        "AddressNotAllowed"
    );
    let wrong_port = origin.endpoint.rsplit_once(':').unwrap().0.to_owned() + ":1";
    assert_eq!(reason(at(&wrong_port).await), "Unreachable");
    assert_eq!(
        reason(at(&origin.endpoint.replace("http://", "https://")).await),
        "TlsFailed"
    );
}

#[tokio::test]
async fn a_black_hole_is_named_within_the_users_thirty_seconds() {
    let begun = Instant::now();
    // 192.0.2.0/24 is set aside for documentation: nothing answers there.
    let origin = Origin {
        endpoint: "http://192.0.2.1".into(),
        bucket: "some-bucket".into(),
        ..Origin::default()
    };
    let probe = ProbeNfs {
        server: "192.0.2.1".into(),
        share: "/share".into(),
    };
    let (store, nfs) = tokio::join!(probed(origin), done(task::Kind::ProbeNfs(probe)));
    assert_eq!(
        (reason(store), reason(nfs)),
        ("Unreachable".into(), "Unreachable".into())
    );
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn an_export_is_there_or_not() {
    let Some((server, share)) = nfs("an_export_is_there_or_not") else {
        return;
    };
    let probe = |server: &str, share: &str| {
        done(task::Kind::ProbeNfs(ProbeNfs {
            server: server.into(),
            share: share.into(),
        }))
    };
    assert_eq!(probe(&server, &share).await, Ok(Done::default()));
    assert_eq!(reason(probe(&server, "/nowhere").await), "NoSuchShare");
    assert_eq!(
        reason(probe(&server, &format!("{share}/nowhere")).await),
        "NoSuchShare"
    );
    assert_eq!(reason(probe(&server, "/../etc").await), "NoSuchShare");
    assert_eq!(
        reason(probe("127.0.0.1", &share).await),
        "AddressNotAllowed"
    );
    assert_eq!(
        reason(probe("no-such-host.invalid", &share).await),
        "Unreachable"
    );
}
