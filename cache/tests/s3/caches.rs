//! Caches before the source: whatever one does, the source's bytes are read.

use std::time::Duration;

use bytes::Bytes;
use dlf_cache::{ETag, ErrorKind, ListRequest, ObjectStore, Origin, PutCondition};

use crate::faults::{Scene, answer};
use crate::proxy::Fault;
use crate::support::{clean, keys_of, options, pattern};

const MIB: usize = 1024 * 1024;

/// A store of these origins, in order, each of which is the scene's at another endpoint.
fn store_at(scene: &Scene, endpoints: &[&str]) -> ObjectStore {
    let origin = |endpoint: &&str| Origin {
        endpoint: endpoint.parse().unwrap(),
        ..scene.origin.clone()
    };
    ObjectStore::new(endpoints.iter().map(origin).collect(), options()).unwrap()
}

/// A store whose cache is the scene's proxy.
fn behind_proxy(scene: &Scene) -> ObjectStore {
    let source = scene.origin.endpoint.to_string();
    store_at(scene, &[&scene.proxy.endpoint(), &source])
}

async fn put(scene: &Scene, bytes: &Bytes) -> ETag {
    let put = scene.direct.put("k", bytes.clone(), PutCondition::None);
    put.await.unwrap()
}

async fn read(store: &ObjectStore, version: &ETag) -> Bytes {
    let body = store.get_range("k", 0..u64::MAX, Some(version)).await;
    body.unwrap().collect().await.unwrap()
}

#[tokio::test]
async fn reads_go_on_to_the_next_origin() {
    need_server!("reads_go_on_to_the_next_origin");
    let scene = Scene::new().await;
    let bytes = pattern(4 * MIB);
    let version = put(&scene, &bytes).await;
    let source = scene.origin.endpoint.to_string();
    let store = store_at(&scene, &["http://127.0.0.1:9", &source]);
    assert!(read(&store, &version).await == bytes);
    store
        .put("k2", pattern(1), PutCondition::None)
        .await
        .unwrap();
    assert_eq!(store.usage().retries, 0, "another origin is no retry");

    clean(&scene.direct).await;
}

#[tokio::test]
async fn bytes_of_a_cache_are_counted_apart_and_so_is_what_the_source_had_to_answer_for_it() {
    need_server!(
        "bytes_of_a_cache_are_counted_apart_and_so_is_what_the_source_had_to_answer_for_it"
    );
    let scene = Scene::new().await;
    let bytes = pattern(MIB);
    let version = put(&scene, &bytes).await;
    let counted = |store: &ObjectStore| {
        let usage = store.usage();
        (
            usage.bytes_read,
            usage.cached_bytes_read,
            usage.cache_failures,
        )
    };
    let served = behind_proxy(&scene);
    assert!(read(&served, &version).await == bytes);
    assert_eq!(counted(&served), (MIB as u64, MIB as u64, 0));
    let (nobody, source) = ("http://127.0.0.1:9", scene.origin.endpoint.to_string());
    let past_it = store_at(&scene, &[nobody, &source]);
    assert!(read(&past_it, &version).await == bytes);
    assert_eq!(counted(&past_it), (MIB as u64, 0, 1));
    // Where the source does not answer either, the cache is not to blame.
    let dead = store_at(&scene, &[nobody, nobody]).with_timeout(Duration::from_millis(100));
    assert!(dead.get_range("k", 0..1, Some(&version)).await.is_err());
    assert_eq!(counted(&dead), (0, 0, 0));

    clean(&scene.direct).await;
}

#[tokio::test]
async fn a_stream_that_a_cache_breaks_goes_on_at_the_source() {
    need_server!("a_stream_that_a_cache_breaks_goes_on_at_the_source");
    let scene = Scene::new().await;
    let bytes = pattern(4 * MIB);
    let version = put(&scene, &bytes).await;
    for (asked, fault) in (1..).zip([
        Fault::CutAfter(MIB),
        Fault::StallAfter(MIB),
        Fault::TrickleAfter(MIB),
    ]) {
        scene.proxy.inject([fault.clone()]);
        // The cache's silence is longer than the source may be silent, and costs it nothing.
        let store = behind_proxy(&scene).with_timeout(Duration::from_secs(2));
        assert!(read(&store, &version).await == bytes, "{fault:?}");
        assert!(read(&store, &version).await == bytes, "{fault:?}");
        assert_eq!(scene.proxy.connections(), asked, "it does not rest");
        let usage = store.usage();
        let twice = 2 * bytes.len() as u64;
        assert_eq!(usage.bytes_read, twice, "a byte was fetched for nothing");
        assert_eq!((usage.retries, usage.errors), (0, 0), "{fault:?}");
    }
    assert_eq!(scene.proxy.left(), 0);
    clean(&scene.direct).await;
}

#[tokio::test]
async fn a_broken_stream_of_a_cache_never_goes_on_in_another_version() {
    need_server!("a_broken_stream_of_a_cache_never_goes_on_in_another_version");
    let scene = Scene::new().await;
    let version = put(&scene, &pattern(4 * MIB)).await;
    scene.proxy.inject([Fault::StallAfter(MIB)]);
    let store = behind_proxy(&scene);
    let body = store.get_range("k", 0..u64::MAX, Some(&version)).await;
    let mut body = body.unwrap();
    body.next_chunk().await.unwrap().unwrap();
    put(&scene, &pattern(5 * MIB)).await;
    let error = body.collect().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    clean(&scene.direct).await;
}

#[tokio::test]
async fn an_object_does_not_end_where_a_cache_has_no_more_of_it() {
    need_server!("an_object_does_not_end_where_a_cache_has_no_more_of_it");
    let scene = Scene::new().await;
    let version = put(&scene, &pattern(10)).await;
    let part = format!(
        "HTTP/1.1 206 Partial Content\r\netag: {}\r\ncontent-range: bytes 0-4/5\r\n\
         content-length: 5\r\nconnection: close\r\n\r\nwrong",
        version.to_wire()
    );
    scene.proxy.inject([Fault::Answer(part)]);
    let store = behind_proxy(&scene);
    let body = store.get_range("k", 0..10, Some(&version)).await.unwrap();
    assert_eq!(body.object_size(), 10);
    assert_eq!(body.collect().await.unwrap(), pattern(10));
    assert_eq!(scene.proxy.left(), 0, "it was asked");
    clean(&scene.direct).await;
}

#[tokio::test]
async fn a_cache_that_refuses_or_knows_an_old_version_hides_nothing() {
    need_server!("a_cache_that_refuses_or_knows_an_old_version_hides_nothing");
    let scene = Scene::new().await;
    let version = put(&scene, &pattern(10)).await;
    let old = "HTTP/1.1 206 Partial Content\r\netag: \"old\"\r\ncontent-range: bytes 0-9/10\r\n\
               content-length: 10\r\nconnection: close\r\n\r\n0123456789";
    let faults = [
        answer("403 Forbidden", "", ""),
        answer("404 Not Found", "", "NoSuchKey"),
        answer("404 Not Found", "", "NoSuchBucket"),
        answer("412 Precondition Failed", "", ""),
        answer("416 Range Not Satisfiable", "", "InvalidRange"),
        Fault::Answer(old.to_owned()),
        answer("500 Oops", "", ""),
    ];
    let store = behind_proxy(&scene);
    for fault in faults {
        scene.proxy.inject([fault.clone()]);
        assert_eq!(read(&store, &version).await, pattern(10), "{fault:?}");
    }
    assert_eq!(scene.proxy.left(), 0, "each was asked");
    assert_eq!(store.usage().errors, 0);
    clean(&scene.direct).await;
}

#[tokio::test]
async fn a_cache_is_asked_for_bytes_of_a_known_version_and_nothing_else() {
    need_server!("a_cache_is_asked_for_bytes_of_a_known_version_and_nothing_else");
    let scene = Scene::new().await;
    let store = behind_proxy(&scene);
    // It has lost its bucket, and would say so to whatever it is asked.
    let lost = vec![answer("404 Not Found", "", "NoSuchBucket"); 20];
    scene.proxy.inject(lost);
    let first = store.put("k", pattern(10), PutCondition::None);
    let first = first.await.unwrap();
    assert_eq!(store.head("k").await.unwrap().etag, first);
    assert_eq!(keys_of(&store).await, ["k"]);
    let none = ListRequest {
        prefix: "missing/".to_owned(),
        ..ListRequest::default()
    };
    assert_eq!(store.list(&none).await.unwrap().objects, []);
    let body = store.get_range("k", 0..5, None).await.unwrap();
    assert_eq!(body.collect().await.unwrap(), pattern(10).slice(..5));
    let second = store.put("k", pattern(11), PutCondition::IfMatch(first));
    let second = second.await.unwrap();
    assert_eq!(store.head("k").await.unwrap().etag, second);
    assert_eq!(scene.proxy.connections(), 0, "it was asked");

    assert_eq!(read(&store, &second).await, pattern(11));
    assert_eq!(scene.proxy.connections(), 1, "it was not asked");
    clean(&store).await;
}

#[tokio::test]
async fn a_cache_that_hangs_costs_one_read_its_timeout() {
    need_server!("a_cache_that_hangs_costs_one_read_its_timeout");
    let scene = Scene::new().await;
    let version = put(&scene, &pattern(10)).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let source = scene.origin.endpoint.to_string();
    let store = store_at(&scene, &[&address, &source]);
    for _ in 0..20 {
        assert_eq!(read(&store, &version).await, pattern(10));
    }
    let mut asked = 0;
    while let Ok(accepted) = tokio::time::timeout(Duration::from_millis(10), silent.accept()).await
    {
        drop(accepted);
        asked += 1;
    }
    assert_eq!(asked, 1, "twenty reads");
    clean(&scene.direct).await;
}
