//! Keys that a store refuses before their successors are here.

use std::time::{Duration, Instant};

use dlf_cache::{ClientOptions, ErrorKind, Keys, ListRequest, ObjectStore, Origin, PutCondition};

use crate::faults::{Scene, answer};
use crate::proxy::Fault;
use crate::support::{clean, keys, options, pattern};

const MIB: usize = 1024 * 1024;

/// Longer than any of these tests.
const LONG: Duration = Duration::from_mins(10);

/// The origin with keys that the server refuses.
fn refused(origin: &Origin) -> Origin {
    let wrong = Keys {
        secret_access_key: "wrong".into(),
        ..keys()
    };
    Origin {
        keys: Some(wrong),
        ..origin.clone()
    }
}

fn store_with_grace(origin: Origin, key_grace: Duration) -> ObjectStore {
    let options = ClientOptions {
        key_grace,
        ..options()
    };
    ObjectStore::new(vec![origin], options).unwrap()
}

/// Lets everybody be refused: there is nothing to see by which one could wait for that.
async fn a_second() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn whoever_is_refused_waits_for_the_new_keys() {
    need_server!("whoever_is_refused_waits_for_the_new_keys");
    let scene = Scene::new().await;
    let put = scene.direct.put("k", pattern(MIB), PutCondition::None);
    let version = put.await.unwrap();
    let store = store_with_grace(refused(&scene.origin), LONG);
    let reading = tokio::spawn({
        let store = store.clone();
        async move {
            let body = store.get_range("k", 0..u64::MAX, Some(&version)).await?;
            body.collect().await
        }
    });
    let looking = tokio::spawn({
        let store = store.clone();
        async move { store.head("k").await }
    });
    let listing = tokio::spawn({
        let store = store.clone();
        async move { store.list(&ListRequest::default()).await }
    });
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            let written = store.put("new", pattern(9), PutCondition::IfNoneMatch);
            written.await
        }
    });
    a_second().await;
    let finished = [
        reading.is_finished(),
        looking.is_finished(),
        listing.is_finished(),
        writing.is_finished(),
    ];
    assert_eq!(finished, [false; 4], "it was not waited");
    store.reconfigure(vec![scene.origin.clone()]).unwrap();
    assert!(reading.await.unwrap().unwrap() == pattern(MIB));
    assert_eq!(looking.await.unwrap().unwrap().size, MIB as u64);
    assert!(!listing.await.unwrap().unwrap().objects.is_empty());
    let written = writing.await.unwrap().unwrap();
    assert_eq!(scene.direct.head("new").await.unwrap().etag, written);
    assert_eq!(store.usage().errors, 0);
    clean(&scene.direct).await;
}

#[tokio::test]
async fn a_stream_that_breaks_while_keys_rotate_goes_on() {
    need_server!("a_stream_that_breaks_while_keys_rotate_goes_on");
    let scene = Scene::new().await;
    let bytes = pattern(4 * MIB);
    let put = scene.direct.put("k", bytes.clone(), PutCondition::None);
    put.await.unwrap();
    let proxied = Origin {
        endpoint: scene.proxy.endpoint().parse().unwrap(),
        ..scene.origin.clone()
    };
    scene.proxy.inject([Fault::CutAfter(MIB)]);
    let store = store_with_grace(proxied.clone(), LONG);
    let body = store.get_range("k", 0..u64::MAX, None).await.unwrap();
    store.reconfigure(vec![refused(&proxied)]).unwrap();
    let reading = tokio::spawn(body.collect());
    a_second().await;
    assert!(!reading.is_finished(), "it was not waited");
    store.reconfigure(vec![proxied]).unwrap();
    assert!(reading.await.unwrap().unwrap() == bytes);
    clean(&scene.direct).await;
}

#[tokio::test]
async fn keys_that_stay_wrong_are_waited_for_once() {
    need_server!("keys_that_stay_wrong_are_waited_for_once");
    let scene = Scene::new().await;
    let grace = Duration::from_secs(2);
    let store = store_with_grace(refused(&scene.origin), grace);
    let began = Instant::now();
    let error = store.head("k").await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::KeysRejected);
    assert!(began.elapsed() >= grace, "it was not waited");
    // With a wait each, these would outlast the test.
    for _ in 0..300 {
        let error = store.list(&ListRequest::default()).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::KeysRejected);
    }
    // Rights that are missing are no matter of keys.
    let unsigned = Origin {
        keys: None,
        ..scene.origin.clone()
    };
    let store = store_with_grace(unsigned, LONG);
    let error = store.list(&ListRequest::default()).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AccessDenied);
    clean(&scene.direct).await;
}

/// The origin at the proxy, with temporary keys.
fn temporary(scene: &Scene) -> Origin {
    let keys = Keys {
        session_token: Some("hush".into()),
        ..keys()
    };
    Origin {
        endpoint: scene.proxy.endpoint().parse().unwrap(),
        keys: Some(keys),
        ..scene.origin.clone()
    }
}

#[tokio::test]
async fn keys_that_have_expired_are_told_as_such_and_without_their_token() {
    need_server!("keys_that_have_expired_are_told_as_such_and_without_their_token");
    let scene = Scene::new().await;
    for code in ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"] {
        scene.proxy.inject([answer("400 Bad Request", "", code)]);
        let store = store_with_grace(temporary(&scene), Duration::ZERO);
        let error = store.list(&ListRequest::default()).await.unwrap_err();
        assert_eq!((error.class(), error.code()), ("KeysExpired", Some(code)));
        assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
    }
    clean(&scene.direct).await;
}

#[tokio::test]
async fn who_asks_with_keys_that_have_expired_waits_for_the_next_ones() {
    need_server!("who_asks_with_keys_that_have_expired_waits_for_the_next_ones");
    let scene = Scene::new().await;
    let put = scene.direct.put("k", pattern(9), PutCondition::None);
    put.await.unwrap();
    // An answer to HEAD has no body: a byte is asked for to learn why.
    let expired = ["", "ExpiredToken"].map(|code| answer("400 Bad Request", "", code));
    scene.proxy.inject(expired);
    let store = store_with_grace(temporary(&scene), LONG);
    let looking = tokio::spawn({
        let store = store.clone();
        async move { store.head("k").await }
    });
    a_second().await;
    assert!(!looking.is_finished(), "it was not waited");
    let next = Origin {
        keys: Some(keys()),
        ..temporary(&scene)
    };
    store.reconfigure(vec![next]).unwrap();
    assert_eq!(looking.await.unwrap().unwrap().size, 9);
    clean(&scene.direct).await;
}
