//! Whole objects, parts, copies, deletions.

use bytes::Bytes;
use dlf_cache::{ErrorKind, Part, PutCondition};

use crate::support::{clean, keys_of, pattern, read, store};

const MIB: usize = 1024 * 1024;

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
async fn a_condition_guards_what_parts_replace() {
    need_server!("a_condition_guards_what_parts_replace");
    let store = store().await;
    let complete = async |bytes, condition| {
        let upload = store.start_multipart("k").await.unwrap();
        let part = store.upload_part(&upload, 1, bytes).await.unwrap();
        let completed = store.complete(&upload, &[part], condition).await;
        if completed.is_err() {
            store.abort(&upload).await.unwrap();
        }
        completed.map_err(|error| error.kind().clone())
    };
    let first = complete(pattern(1), PutCondition::IfNoneMatch).await;
    let first = first.unwrap();
    let again = complete(pattern(2), PutCondition::IfNoneMatch).await;
    assert_eq!(again, Err(ErrorKind::PreconditionFailed));
    let second = complete(pattern(3), PutCondition::IfMatch(first.clone())).await;
    let late = complete(pattern(4), PutCondition::IfMatch(first)).await;
    assert_eq!(late, Err(ErrorKind::PreconditionFailed));
    assert_eq!(store.head("k").await.unwrap().etag, second.unwrap());
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
    let etag = store
        .complete(&upload, &parts, PutCondition::None)
        .await
        .unwrap();
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
