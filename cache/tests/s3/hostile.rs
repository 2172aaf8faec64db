//! Servers that are none, or mean harm: the real one behind a proxy that speaks for it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dlf_cache::{ClientOptions, ErrorKind, ListRequest, ObjectStore, Origin, PutCondition};
use dlf_core::network::AddressRules;

use crate::faults::{Scene, answer};
use crate::proxy::{Fault, Proxy};
use crate::support::{clean, options, origin, pattern, store_of};

const MIB: usize = 1024 * 1024;

/// Of the operations that must not wait longer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What an operation may take that gives up after [`TIMEOUT`].
const IN_TIME: Duration = Duration::from_secs(4);

/// A probe's one key.
fn one_key() -> ListRequest {
    ListRequest {
        max_keys: Some(1),
        ..ListRequest::default()
    }
}

fn ok(headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_failure_whose_explanation_never_ends_is_told_in_time() {
    need_server!("a_failure_whose_explanation_never_ends_is_told_in_time");
    let scene = Scene::new().await;
    let store = scene.store().with_timeout(TIMEOUT);
    let failure = "HTTP/1.1 500 Oops\r\ncontent-length: 100\r\n\r\n<Error>".to_owned();
    scene.proxy.inject(vec![Fault::AnswerAndHang(failure); 9]);
    let began = Instant::now();
    let error = store.head("k").await.unwrap_err();
    assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
    assert_eq!(*error.kind(), ErrorKind::SourceFailing(500), "{error}");
    let began = Instant::now();
    let error = store.list(&one_key()).await.unwrap_err();
    assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
    assert_eq!(*error.kind(), ErrorKind::SourceFailing(500), "{error}");
}

#[tokio::test]
async fn the_answer_to_a_slow_upload_is_heard() {
    need_server!("the_answer_to_a_slow_upload_is_heard");
    let scene = Scene::new().await;
    let store = scene.store().with_timeout(TIMEOUT);
    let whole = ok("etag: \"abc\"\r\n", "fine");
    let (head, rest) = whole.split_at(whole.len() - 4);
    scene
        .proxy
        .inject([Fault::Sip([head.to_owned(), rest.to_owned()])]);
    let began = Instant::now();
    let etag = store.put("k", pattern(12 * MIB), PutCondition::None).await;
    assert_eq!(etag.unwrap().as_str(), "abc");
    assert!(began.elapsed() > TIMEOUT, "it was not slow");
}

#[tokio::test]
async fn a_stream_that_only_trickles_is_given_up() {
    need_server!("a_stream_that_only_trickles_is_given_up");
    let scene = Scene::new().await;
    scene
        .direct
        .put("k", pattern(MIB), PutCondition::None)
        .await
        .unwrap();
    scene.proxy.inject(vec![Fault::TrickleAfter(2_000); 9]);
    let store = scene.store().with_timeout(TIMEOUT);
    let body = store.get_range("k", 0..u64::MAX, None).await.unwrap();
    let began = Instant::now();
    let read = tokio::time::timeout(Duration::from_secs(20), body.collect()).await;
    let error = read.unwrap().unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Timeout, "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
    clean(&scene.direct).await;
}

#[tokio::test]
async fn a_listing_without_end_is_refused_at_once() {
    need_server!("a_listing_without_end_is_refused_at_once");
    let scene = Scene::new().await;
    let object = "<Contents><Key>k</Key><ETag>e</ETag><Size>1</Size></Contents>";
    let listing = format!("<ListBucketResult>{}", object.repeat(20_000));
    let body = format!(
        "transfer-encoding: chunked\r\n\r\n{:x}\r\n{listing}",
        1_u64 << 40
    );
    let endless = format!("HTTP/1.1 200 OK\r\n{body}");
    scene.proxy.inject([Fault::AnswerAndHang(endless)]);
    let error = scene.store().list(&one_key()).await.unwrap_err();
    assert_eq!(error.class(), "NotS3", "{error}");
    assert_eq!(scene.proxy.connections(), 1, "it was asked again");
}

#[tokio::test]
async fn what_follows_an_answer_is_not_taken_for_the_next() {
    need_server!("what_follows_an_answer_is_not_taken_for_the_next");
    let scene = Scene::new().await;
    let (store, direct) = (scene.store(), &scene.direct);
    let bytes = pattern(9);
    direct
        .put("k", bytes.clone(), PutCondition::None)
        .await
        .unwrap();
    let forged = ok("etag: \"forged\"\r\n", "forged!!!");
    let first = ok("etag: \"e\"\r\n", "real") + &forged + &forged;
    scene.proxy.inject([Fault::AnswerAndHang(first)]);
    let body = store.get_range("k", 0..9, None).await.unwrap();
    assert_eq!(body.collect().await.unwrap(), "real");
    let body = store.get_range("k", 0..9, None).await.unwrap();
    assert_eq!(body.collect().await.unwrap(), bytes);
    clean(direct).await;
}

#[tokio::test]
async fn a_web_server_is_not_taken_for_a_store() {
    need_server!("a_web_server_is_not_taken_for_a_store");
    let scene = Scene::new().await;
    let page = ok(
        "content-type: text/html\r\nconnection: close\r\n",
        "<html>Hi</html>",
    );
    scene.proxy.inject(vec![Fault::Answer(page); 4]);
    let store = scene.store();
    for error in [
        store.list(&one_key()).await.unwrap_err(),
        store.get_range("k", 0..1, None).await.unwrap_err(),
        store
            .put("k", Bytes::new(), PutCondition::None)
            .await
            .unwrap_err(),
        store.start_multipart("k").await.unwrap_err(),
    ] {
        assert_eq!(error.class(), "NotS3", "{error}");
    }
    assert_eq!((scene.proxy.left(), store.usage().retries), (0, 0));
}

#[tokio::test]
async fn a_failure_inside_of_a_success_is_a_failure() {
    need_server!("a_failure_inside_of_a_success_is_a_failure");
    let scene = Scene::new().await;
    let (store, direct) = (scene.store(), &scene.direct);
    let inside = |code: &str| answer("200 OK", "", code);
    direct
        .put("from", pattern(9), PutCondition::None)
        .await
        .unwrap();
    let from = direct.head("from").await.unwrap();

    scene.proxy.inject([inside("InternalError")]);
    store.copy(&from, "to").await.unwrap();
    assert_eq!((store.usage().retries, scene.proxy.left()), (1, 0));

    let upload = direct.start_multipart("parts").await.unwrap();
    let part = direct.upload_part(&upload, 1, pattern(9)).await.unwrap();
    scene.proxy.inject([inside("SlowDown")]);
    let store = scene.store();
    let etag = store
        .complete(&upload, &[part], PutCondition::None)
        .await
        .unwrap();
    assert_eq!(direct.head("parts").await.unwrap().etag, etag);

    scene.proxy.inject([inside("AccessDenied")]);
    let error = scene.store().copy(&from, "never").await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::AccessDenied);
    direct.head("never").await.unwrap_err();
    clean(direct).await;
}

#[tokio::test]
async fn a_deletion_that_is_put_off_is_asked_for_again() {
    need_server!("a_deletion_that_is_put_off_is_asked_for_again");
    let scene = Scene::new().await;
    let (store, direct) = (scene.store(), &scene.direct);
    for key in ["a", "b"] {
        let put = direct.put(key, pattern(1), PutCondition::None);
        put.await.unwrap();
    }
    let kept = |code: &str| {
        let key = format!("{}a", scene.origin.prefix);
        let error = format!("<Error><Key>{key}</Key><Code>{code}</Code></Error>");
        let body = format!("<DeleteResult>{error}</DeleteResult>");
        Fault::Answer(ok("connection: close\r\n", &body))
    };
    let keys = ["a".to_owned(), "b".to_owned()];
    scene.proxy.inject([kept("AccessDenied")]);
    let failures = store.delete_many(&keys).await.unwrap();
    assert_eq!(
        (failures[0].key.as_str(), failures[0].class),
        ("a", "AccessDenied")
    );
    scene
        .proxy
        .inject([kept("SlowDown"), kept("InternalError")]);
    assert_eq!(store.delete_many(&keys).await.unwrap(), []);
    direct.head("a").await.unwrap_err();
    // The proxy said that `b` was gone: nothing is asked for twice.
    direct.head("b").await.unwrap();
    clean(direct).await;
}

#[tokio::test]
async fn an_object_without_a_name_is_not_the_bucket() {
    need_server!("an_object_without_a_name_is_not_the_bucket");
    let bucket = format!("dlf-cache-nameless-{}", std::process::id());
    let prefix = String::new();
    let origin = Origin {
        bucket,
        prefix,
        ..origin()
    };
    let store = ObjectStore::new(vec![origin], options()).unwrap();
    store.create_bucket().await.unwrap();
    for error in [
        store.delete("").await.unwrap_err(),
        store.head("").await.unwrap_err(),
        store
            .put("", pattern(1), PutCondition::None)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.class(), "InvalidConfiguration", "{error}");
    }
    assert!(store.bucket_exists().await.unwrap());
    store.delete_bucket().await.unwrap();
}

#[tokio::test]
async fn an_address_of_version_six_is_an_endpoint() {
    need_server!("an_address_of_version_six_is_an_endpoint");
    let proxy = Proxy::start_at("[::1]:0").await;
    let there = Origin {
        endpoint: proxy.endpoint().parse().unwrap(),
        ..origin()
    };
    let direct = store_of(there.clone()).await;
    let rules = |allow: &[&str]| AddressRules {
        allow: allow.iter().map(|net| net.parse().unwrap()).collect(),
        ..AddressRules::default()
    };
    let with = |rules| {
        let options = ClientOptions { rules, ..options() };
        ObjectStore::new(vec![there.clone()], options).unwrap()
    };
    let store = with(rules(&["::1/128"]));
    store
        .put("k", pattern(9), PutCondition::None)
        .await
        .unwrap();
    assert_eq!(store.head("k").await.unwrap().size, 9);
    let error = direct.head("k").await.unwrap_err();
    assert_eq!(error.class(), "AddressNotAllowed", "{error}");
    clean(&store).await;
}
