//! Whole objects, parts, copies, deletions.

use bytes::Bytes;
use dlf_cache::{ErrorKind, ObjectStore, Part, PutCondition};

use crate::support::{clean, keys_of, pattern, store};

const MIB: usize = 1024 * 1024;

async fn read(store: &ObjectStore, key: &str) -> Bytes {
    let body = store.get_range(key, 0..u64::MAX, None).await.unwrap();
    body.collect().await.unwrap()
}

#[tokio::test]
async fn a_condition_guards_what_is_there() {
    need_server!("a_condition_guards_what_is_there");
    let store = store().await;
    let first = store
        .put("k", pattern(1), PutCondition::IfNoneMatch)
        .await
        .unwrap();
    let error = store
        .put("k", pattern(2), PutCondition::IfNoneMatch)
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    let second = store
        .put("k", pattern(3), PutCondition::IfMatch(first.clone()))
        .await
        .unwrap();
    let error = store
        .put("k", pattern(4), PutCondition::IfMatch(first))
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(store.head("k").await.unwrap().etag, second);
    clean(&store).await;
}

#[tokio::test]
async fn pieces_and_nothing_can_be_written() {
    need_server!("pieces_and_nothing_can_be_written");
    let store = store().await;
    let whole = pattern(MIB);
    let pieces = vec![
        whole.slice(..10),
        Bytes::new(),
        whole.slice(10..700_000),
        whole.slice(700_000..),
    ];
    store
        .put("pieces", pieces, PutCondition::None)
        .await
        .unwrap();
    assert_eq!(read(&store, "pieces").await, whole);
    store
        .put("dir/", Bytes::new(), PutCondition::None)
        .await
        .unwrap();
    assert_eq!(store.head("dir/").await.unwrap().size, 0);
    clean(&store).await;
}

#[tokio::test]
async fn parts_become_an_object_only_when_completed() {
    need_server!("parts_become_an_object_only_when_completed");
    let store = store().await;
    let whole = pattern(11 * MIB);
    let upload = store.start_multipart("big").await.unwrap();
    let mut parts: Vec<Part> = Vec::new();
    for (index, start) in (0..whole.len()).step_by(5 * MIB).enumerate() {
        let piece = whole.slice(start..whole.len().min(start + 5 * MIB));
        let number = u16::try_from(index + 1).unwrap();
        parts.push(store.upload_part(&upload, number, piece).await.unwrap());
    }
    assert_eq!(
        *store.head("big").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let listed = store.list_uploads("").await.unwrap().uploads;
    assert_eq!(
        (listed.len(), &listed[0].key, &listed[0].id),
        (1, &upload.key, &upload.id)
    );
    let etag = store.complete(&upload, &parts).await.unwrap();
    assert_eq!(store.head("big").await.unwrap().etag, etag);
    assert_eq!(read(&store, "big").await, whole);

    let dropped = store.start_multipart("dropped").await.unwrap();
    store.upload_part(&dropped, 1, pattern(9)).await.unwrap();
    store.abort(&dropped).await.unwrap();
    store.abort(&dropped).await.unwrap();
    assert_eq!(store.list_uploads("").await.unwrap().uploads, []);
    assert_eq!(keys_of(&store).await, ["big"]);
    clean(&store).await;
}

#[tokio::test]
async fn a_copy_is_of_the_version_that_was_meant() {
    need_server!("a_copy_is_of_the_version_that_was_meant");
    let store = store().await;
    store
        .put("from", pattern(1000), PutCondition::None)
        .await
        .unwrap();
    let meta = store.head("from").await.unwrap();
    let etag = store.copy(&meta, "deep/to").await.unwrap();
    assert_eq!(store.head("deep/to").await.unwrap().etag, etag);
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
async fn a_large_copy_goes_in_parts() {
    need_server!("a_large_copy_goes_in_parts");
    let store = store().await;
    // Just above the size of one piece; the parts share their bytes here and nowhere else.
    let part = pattern(43 * MIB);
    let upload = store.start_multipart("large").await.unwrap();
    let mut parts = Vec::new();
    for number in 1..=12 {
        parts.push(
            store
                .upload_part(&upload, number, part.clone())
                .await
                .unwrap(),
        );
    }
    store.complete(&upload, &parts).await.unwrap();
    let meta = store.head("large").await.unwrap();
    let before = store.usage();
    store.copy(&meta, "copy").await.unwrap();
    let after = store.usage();
    assert_eq!(
        after.bytes_written, before.bytes_written,
        "no byte passed here"
    );
    assert_eq!(after.bytes_read, before.bytes_read, "no byte passed here");
    assert_eq!(store.head("copy").await.unwrap().size, meta.size);
    let length = part.len() as u64;
    let last = store
        .get_range("copy", 11 * length..12 * length, None)
        .await
        .unwrap();
    assert!(last.collect().await.unwrap() == part);
    clean(&store).await;
}

#[tokio::test]
async fn deleting_is_done_when_nothing_is_there() {
    need_server!("deleting_is_done_when_nothing_is_there");
    let store = store().await;
    store.delete("never").await.unwrap();
    let mut keys: Vec<String> = (0..40).map(|number| format!("k/{number}")).collect();
    for key in &keys {
        store
            .put(key, pattern(1), PutCondition::None)
            .await
            .unwrap();
    }
    keys.extend(["never".to_owned(), "a\u{1}b".to_owned()]);
    assert_eq!(store.delete_many(&keys).await.unwrap(), []);
    assert_eq!(keys_of(&store).await, Vec::<String>::new());
    assert_eq!(store.delete_many(&keys).await.unwrap(), []);
}
