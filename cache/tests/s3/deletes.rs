//! Deletion of one version.

use std::sync::Arc;

use dlf_cache::{ETag, ErrorKind, PutCondition};

use crate::faults::{Scene, answer};
use crate::proxy::{Fault, Hold};
use crate::support::{clean, pattern, store};

#[tokio::test]
async fn a_version_is_deleted_and_its_successor_is_not() {
    need_server!("a_version_is_deleted_and_its_successor_is_not");
    let store = store().await;
    let never = ETag::from_wire("0cc175b9c0f1b6a831c399e269772661");
    store.delete_version("never", &never).await.unwrap();

    let first = store.put("k", pattern(1), PutCondition::None);
    let first = first.await.unwrap();
    let second = store.put("k", pattern(2), PutCondition::None);
    let second = second.await.unwrap();
    let error = store.delete_version("k", &first).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(store.head("k").await.unwrap().etag, second);
    store.delete_version("k", &second).await.unwrap();
    let error = store.head("k").await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);
    store.delete_version("k", &second).await.unwrap();
    clean(&store).await;
}

#[tokio::test]
async fn a_version_that_comes_between_a_look_and_the_deletion_stays() {
    need_server!("a_version_that_comes_between_a_look_and_the_deletion_stays");
    let scene = Scene::new().await;
    let direct = &scene.direct;
    let first = direct.put("k", pattern(1), PutCondition::None);
    let first = first.await.unwrap();
    let hold = Arc::new(Hold::of("DELETE"));
    scene.proxy.inject([Fault::Hold(Arc::clone(&hold))]);
    let store = scene.store();
    let deleting = tokio::spawn(async move { store.delete_version("k", &first).await });
    hold.reached().await;
    let second = direct.put("k", pattern(2), PutCondition::None);
    let second = second.await.unwrap();
    hold.end();
    let error = deleting.await.unwrap().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(direct.head("k").await.unwrap().etag, second);
    clean(direct).await;
}

#[tokio::test]
async fn a_store_without_conditional_deletion_deletes_all_the_same() {
    need_server!("a_store_without_conditional_deletion_deletes_all_the_same");
    let scene = Scene::new().await;
    let direct = &scene.direct;
    let version = direct.put("k", pattern(1), PutCondition::None);
    let version = version.await.unwrap();
    let Fault::Answer(unknown) = answer("501 Not Implemented", "", "NotImplemented") else {
        unreachable!("it is an answer")
    };
    scene.proxy.inject([Fault::AnswerTo("DELETE", unknown)]);
    let store = scene.store();
    store.delete_version("k", &version).await.unwrap();
    let error = direct.head("k").await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);
    assert_eq!((scene.proxy.left(), scene.proxy.connections()), (0, 2));
    clean(direct).await;
}

#[tokio::test]
async fn a_lost_deletion_is_looked_after_before_it_is_repeated() {
    need_server!("a_lost_deletion_is_looked_after_before_it_is_repeated");
    let scene = Scene::new().await;
    let direct = &scene.direct;
    let version = direct.put("k", pattern(1), PutCondition::None);
    let version = version.await.unwrap();
    // The store fails, and before it is asked again the object is another.
    let failure = "HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let hold = Arc::new(Hold::of("HEAD"));
    scene.proxy.inject([
        Fault::AnswerTo("DELETE", failure.to_owned()),
        Fault::Hold(Arc::clone(&hold)),
    ]);
    let store = scene.store();
    let deleting = tokio::spawn(async move { store.delete_version("k", &version).await });
    hold.reached().await;
    let newer = direct.put("k", pattern(2), PutCondition::None);
    let newer = newer.await.unwrap();
    hold.end();
    let error = deleting.await.unwrap().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(direct.head("k").await.unwrap().etag, newer);
    clean(direct).await;
}
