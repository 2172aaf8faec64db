//! Copies inside the store.

use std::collections::BTreeMap;
use std::time::Duration;

use dlf_cache::{ErrorKind, Origin, PutCondition};

use crate::faults::Scene;
use crate::proxy::Fault;
use crate::support::{clean, curl, origin, pattern, read, store, store_of};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_copy_is_of_the_version_that_was_meant() {
    need_server!("a_copy_is_of_the_version_that_was_meant");
    let store = store().await;
    store
        .put("from", pattern(1000), PutCondition::None)
        .await
        .unwrap();
    let meta = store.head("from").await.unwrap();
    let copied = store.copy(&meta, "deep/to").await.unwrap();
    let there = store.head("deep/to").await.unwrap();
    assert_eq!(there.etag, copied.etag);
    // A head tells whole seconds.
    let since = |time: Option<std::time::SystemTime>| {
        let since = time.unwrap().duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    assert_eq!(since(there.last_modified), since(copied.last_modified));
    assert_eq!(read(&store, "deep/to").await, pattern(1000));
    store
        .put("from", pattern(1001), PutCondition::None)
        .await
        .unwrap();
    let error = store.copy(&meta, "late").await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    clean(&store).await;
}

#[tokio::test]
async fn a_store_that_shows_its_work_is_waited_for() {
    need_server!("a_store_that_shows_its_work_is_waited_for");
    let scene = Scene::new().await;
    let put = scene.direct.put("from", pattern(9), PutCondition::None);
    put.await.unwrap();
    let from = scene.direct.head("from").await.unwrap();
    // Four seconds, with a timeout of two.
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let spaces = |rest: &str| Fault::Spaces(head, 8, rest.to_owned());
    let store = || scene.store().with_timeout(Duration::from_secs(2));
    let done = "<CopyObjectResult><ETag>told</ETag></CopyObjectResult>";
    scene.proxy.inject([spaces(done)]);
    let copied = store().copy(&from, "to").await.unwrap();
    assert_eq!(copied.etag.as_str(), "told");
    // One that fails after all that is asked again.
    scene
        .proxy
        .inject([spaces("<Error><Code>InternalError</Code></Error>")]);
    let copied = store().copy(&from, "to").await.unwrap();
    assert_eq!(scene.direct.head("to").await.unwrap().etag, copied.etag);
    assert_eq!(scene.proxy.left(), 0);
    clean(&scene.direct).await;
}

/// What is told of the large object.
const METADATA: [(&str, &str); 8] = [
    ("cache-control", "max-age=60"),
    ("content-disposition", "attachment; filename=\"v.mp4\""),
    ("content-encoding", "x-own"),
    ("content-language", "de"),
    ("content-type", "video/mp4"),
    ("expires", "Tue, 24 Nov 2026 02:31:00 GMT"),
    ("x-amz-meta-one", "a b"),
    ("x-amz-meta-two", "2"),
];

/// What the server tells of an object that is no matter of its bytes or its writing.
fn metadata(path: &str) -> BTreeMap<String, String> {
    let head = curl(path, &["-I"]);
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let names = METADATA.map(|(name, _)| name);
    headers
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .filter(|(name, _)| names.contains(&name.as_str()))
        .collect()
}

#[tokio::test]
async fn a_large_copy_goes_in_parts_and_has_the_metadata_of_the_object() {
    need_server!("a_large_copy_goes_in_parts_and_has_the_metadata_of_the_object");
    let prefix = format!("{}-large/", std::process::id());
    let origin = Origin { prefix, ..origin() };
    let path = format!("{}/{}", origin.bucket, origin.prefix);
    let store = store_of(origin).await;
    // Just above the size of one piece; the parts share their bytes here and nowhere else.
    let part = pattern(43 * MIB);
    let put = store.put("part", part.clone(), PutCondition::None);
    put.await.unwrap();
    let piece = store.head("part").await.unwrap();
    let headers = METADATA.map(|(name, value)| format!("{name}: {value}"));
    let mut arguments = vec!["-X", "POST"];
    arguments.extend(headers.iter().flat_map(|header| ["-H", header]));
    curl(&format!("{path}large?uploads="), &arguments);
    let upload = store.list_uploads("large").await.unwrap().uploads.remove(0);
    let mut parts = Vec::new();
    for number in 1..=12 {
        let part = store.copy_part(&piece, 0..piece.size, &upload, number);
        parts.push(part.await.unwrap());
    }
    let completed = store.complete(&upload, &parts, PutCondition::None);
    completed.await.unwrap();
    let known = metadata(&format!("{path}large"));
    assert!(known.len() >= 4, "the server keeps less: {known:?}");

    let meta = store.head("large").await.unwrap();
    let before = store.usage();
    let copied = store.copy(&meta, "copy").await.unwrap();
    let after = store.usage();
    assert_eq!(
        after.bytes_written, before.bytes_written,
        "no byte passed here"
    );
    assert_eq!(after.bytes_read, before.bytes_read, "no byte passed here");
    let copy = store.head("copy").await.unwrap();
    assert_eq!((copy.size, copy.etag), (meta.size, copied.etag));
    let length = part.len() as u64;
    let last = store
        .get_range("copy", 11 * length..12 * length, None)
        .await
        .unwrap();
    assert!(last.collect().await.unwrap() == part);
    assert_eq!(metadata(&format!("{path}copy")), known);

    // Of a version that is no more nothing is told, and no upload begun.
    let put = store.put("large", pattern(1), PutCondition::None);
    put.await.unwrap();
    let error = store.copy(&meta, "late").await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(store.list_uploads("").await.unwrap().uploads, []);
    clean(&store).await;
}
