//! Answers that are lost on the way: what was done is known to be done, what was not is not.

use bytes::Bytes;
use dlf_cache::{ETag, ErrorKind, ObjectStore, PutCondition};

use crate::faults::Scene;
use crate::proxy::Fault;
use crate::support::{clean, pattern};

const MIB: usize = 1024 * 1024;

/// Bytes of the same length as `pattern` gives, and others.
fn other(length: usize) -> Bytes {
    pattern(length + 1).slice(1..)
}

/// Writes an object as an upload of one part.
async fn upload(store: &ObjectStore, key: &str, bytes: Bytes) -> ETag {
    let upload = store.start_multipart(key).await.unwrap();
    let parts = [store.upload_part(&upload, 1, bytes).await.unwrap()];
    let completed = store.complete(&upload, &parts, PutCondition::None);
    completed.await.unwrap()
}

#[tokio::test]
async fn a_lost_answer_is_no_lost_write() {
    need_server!("a_lost_answer_is_no_lost_write");
    let scene = Scene::new().await;
    let (store, direct, proxy) = (scene.store(), &scene.direct, &scene.proxy);
    proxy.inject([Fault::CutAfter(0)]);
    let etag = store
        .put("new", pattern(1000), PutCondition::IfNoneMatch)
        .await
        .unwrap();
    assert_eq!(direct.head("new").await.unwrap().etag, etag);

    let upload = direct.start_multipart("parts").await.unwrap();
    let parts = direct.upload_part(&upload, 1, pattern(6 * MIB));
    let parts = [parts.await.unwrap()];
    proxy.inject([Fault::CutAfter(0)]);
    let store = scene.store();
    let completed = store.complete(&upload, &parts, PutCondition::None);
    let etag = completed.await.unwrap();
    assert_eq!(direct.head("parts").await.unwrap().etag, etag);
    assert_eq!(proxy.left(), 0, "both answers were lost");
    clean(direct).await;
}

#[tokio::test]
async fn a_condition_that_our_own_write_broke_is_no_failure() {
    need_server!("a_condition_that_our_own_write_broke_is_no_failure");
    let scene = Scene::new().await;
    let (direct, proxy) = (&scene.direct, &scene.proxy);
    let mut condition = PutCondition::IfNoneMatch;
    for bytes in [pattern(1000), other(1000)] {
        proxy.inject([Fault::CutAfter(0)]);
        let etag = scene.store().put("whole", bytes, condition).await.unwrap();
        assert_eq!(direct.head("whole").await.unwrap().etag, etag);
        condition = PutCondition::IfMatch(etag);
    }
    let mut condition = PutCondition::IfNoneMatch;
    for bytes in [pattern(1000), other(1000)] {
        let upload = direct.start_multipart("parts").await.unwrap();
        let parts = [direct.upload_part(&upload, 1, bytes).await.unwrap()];
        proxy.inject([Fault::CutAfter(0)]);
        let store = scene.store();
        let etag = store.complete(&upload, &parts, condition).await.unwrap();
        assert_eq!(direct.head("parts").await.unwrap().etag, etag);
        condition = PutCondition::IfMatch(etag);
    }
    assert_eq!(proxy.left(), 0, "four answers were lost");
    clean(direct).await;
}

#[tokio::test]
async fn an_aborted_upload_is_not_taken_for_an_older_object_of_its_size() {
    need_server!("an_aborted_upload_is_not_taken_for_an_older_object_of_its_size");
    let scene = Scene::new().await;
    let (direct, proxy) = (&scene.direct, &scene.proxy);
    let older = upload(direct, "checkpoint", pattern(1000)).await;
    let upload = direct.start_multipart("checkpoint").await.unwrap();
    let parts = [direct.upload_part(&upload, 1, other(1000)).await.unwrap()];
    // The completion never arrives; when it is sent again, the upload is gone.
    direct.abort(&upload).await.unwrap();
    proxy.inject([Fault::Reset]);
    let store = scene.store();
    let completed = store.complete(&upload, &parts, PutCondition::None);
    let error = completed.await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NoSuchUpload);
    assert_eq!(proxy.left(), 0, "it was sent again");
    let there = direct.head("checkpoint").await.unwrap();
    assert_eq!((there.etag, there.size), (older, 1000));
    clean(direct).await;
}

#[tokio::test]
async fn equal_bytes_of_somebody_else_do_not_fulfil_a_condition() {
    need_server!("equal_bytes_of_somebody_else_do_not_fulfil_a_condition");
    let scene = Scene::new().await;
    let (direct, proxy) = (&scene.direct, &scene.proxy);
    let lock = Bytes::from_static(b"locked");
    let theirs = direct.put("lock", lock.clone(), PutCondition::IfNoneMatch);
    let theirs = theirs.await.unwrap();
    proxy.inject([Fault::Reset]);
    let store = scene.store();
    let put = store.put("lock", lock, PutCondition::IfNoneMatch);
    let error = put.await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(direct.head("lock").await.unwrap().etag, theirs);

    let theirs = upload(direct, "log", pattern(1000)).await;
    let upload = direct.start_multipart("log").await.unwrap();
    let parts = [direct.upload_part(&upload, 1, pattern(1000)).await.unwrap()];
    proxy.inject([Fault::Reset]);
    let store = scene.store();
    let completed = store.complete(&upload, &parts, PutCondition::IfNoneMatch);
    let error = completed.await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(direct.head("log").await.unwrap().etag, theirs);
    assert_eq!(proxy.left(), 0, "both were sent again");
    direct.abort(&upload).await.unwrap();
    clean(direct).await;
}
