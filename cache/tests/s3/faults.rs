//! What may pass is waited out, what may not is named, and nothing is done twice.

use std::time::{Duration, Instant, SystemTime};

use dlf_cache::{ErrorKind, ListRequest, ObjectStore, Origin, PutCondition};

use crate::proxy::{Fault, Proxy};
use crate::support::{clean, options, origin, pattern, server, store_of};

const MIB: usize = 1024 * 1024;

/// A proxy, and a store that goes around it to the same objects.
pub(crate) struct Scene {
    pub(crate) proxy: Proxy,
    pub(crate) direct: ObjectStore,
    pub(crate) origin: Origin,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let (proxy, origin) = (Proxy::start().await, origin());
        Self {
            proxy,
            direct: store_of(origin.clone()).await,
            origin,
        }
    }

    /// A store without connections yet: its first one meets the next fault.
    pub(crate) fn store(&self) -> ObjectStore {
        let endpoint = self.proxy.endpoint().parse().unwrap();
        ObjectStore::new(
            vec![Origin {
                endpoint,
                ..self.origin.clone()
            }],
            options(),
        )
        .unwrap()
    }
}

/// An answer with headers and an S3 error.
pub(crate) fn answer(status: &str, headers: &str, code: &str) -> Fault {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    let length = body.len();
    Fault::Answer(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

#[tokio::test]
async fn a_cut_stream_goes_on_behind_its_last_byte() {
    need_server!("a_cut_stream_goes_on_behind_its_last_byte");
    let scene = Scene::new().await;
    let (store, direct, proxy) = (scene.store(), &scene.direct, &scene.proxy);
    let bytes = pattern(9 * MIB);
    direct
        .put("k", bytes.clone(), PutCondition::None)
        .await
        .unwrap();
    proxy.inject([
        Fault::CutAfter(3 * MIB),
        Fault::CutAfter(100),
        Fault::Reset,
        Fault::CutAfter(MIB),
    ]);
    let body = store.get_range("k", 0..u64::MAX, None).await.unwrap();
    assert!(body.collect().await.unwrap() == bytes);
    assert_eq!(proxy.left(), 0);
    let usage = store.usage();
    assert_eq!(
        usage.bytes_read,
        bytes.len() as u64,
        "no byte was fetched for nothing"
    );
    assert!(usage.retries >= 3 && usage.errors == 0, "{usage:?}");
    clean(direct).await;
}

#[tokio::test]
async fn a_cut_stream_never_goes_on_in_another_version() {
    need_server!("a_cut_stream_never_goes_on_in_another_version");
    let scene = Scene::new().await;
    let (store, direct, proxy) = (scene.store(), &scene.direct, &scene.proxy);
    direct
        .put("k", pattern(4 * MIB), PutCondition::None)
        .await
        .unwrap();
    proxy.inject([Fault::CutAfter(2 * MIB)]);
    let mut body = store.get_range("k", 0..u64::MAX, None).await.unwrap();
    body.next_chunk().await.unwrap().unwrap();
    direct
        .put("k", pattern(5 * MIB), PutCondition::None)
        .await
        .unwrap();
    let error = loop {
        match body.next_chunk().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    assert!(
        body.next_chunk().await.is_none(),
        "an error is the last word"
    );
    clean(direct).await;
}

#[tokio::test]
async fn an_overloaded_source_is_asked_again() {
    need_server!("an_overloaded_source_is_asked_again");
    let scene = Scene::new().await;
    let (store, direct, proxy) = (scene.store(), &scene.direct, &scene.proxy);
    proxy.inject([
        answer("503 Slow Down", "", "SlowDown"),
        Fault::Reset,
        answer("500 Oops", "", "InternalError"),
        answer("502 Bad Gateway", "", ""),
    ]);
    store
        .put("k", pattern(MIB), PutCondition::None)
        .await
        .unwrap();
    assert_eq!(store.head("k").await.unwrap().size, MIB as u64);
    assert_eq!((proxy.left(), store.usage().retries), (0, 4));
    clean(direct).await;
}

#[tokio::test]
async fn the_timeout_ends_retries_and_tells_why() {
    need_server!("the_timeout_ends_retries_and_tells_why");
    let scene = Scene::new().await;
    let (store, proxy) = (scene.store(), &scene.proxy);
    let probe = store.with_timeout(Duration::from_secs(2));
    for (fault, class) in [
        (Fault::BlackHole, "Timeout"),
        (Fault::Reset, "Unreachable"),
        (answer("503 Slow Down", "", "SlowDown"), "SlowDown"),
        (answer("500 Oops", "", "InternalError"), "SourceFailing"),
    ] {
        proxy.inject(vec![fault; 50]);
        let began = Instant::now();
        let error = probe.list(&ListRequest::default()).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(began.elapsed() < Duration::from_secs(3), "{error}");
        proxy.clear();
    }
    assert_eq!(probe.usage().errors, 4);
}

#[tokio::test]
async fn a_region_is_taken_from_the_servers_word_once() {
    need_server!("a_region_is_taken_from_the_servers_word_once");
    let scene = Scene::new().await;
    let (store, direct, proxy) = (scene.store(), &scene.direct, &scene.proxy);
    direct
        .put("k", pattern(1), PutCondition::None)
        .await
        .unwrap();
    let elsewhere = |region: &str| {
        let header = format!("x-amz-bucket-region: {region}\r\n");
        answer("400 Bad Request", &header, "AuthorizationHeaderMalformed")
    };
    proxy.inject([elsewhere("eu-west-1")]);
    // SeaweedFS takes any region's signature.
    store
        .get_range("k", 0..1, None)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    // A bucket that moved is found by the operation that misses it.
    let store = scene.store();
    proxy.inject([
        elsewhere("eu-west-1"),
        answer("404 Not Found", "", "NoSuchKey"),
    ]);
    store.get_range("k", 0..1, None).await.unwrap_err();
    proxy.inject([elsewhere("eu-west-2")]);
    store.get_range("k", 0..1, None).await.unwrap();

    let store = scene.store();
    proxy.inject([elsewhere("eu-west-1"), elsewhere("eu-west-2")]);
    let error = store.get_range("k", 0..1, None).await.unwrap_err();
    assert_eq!(
        *error.kind(),
        ErrorKind::WrongRegion {
            region: "eu-west-2".into()
        }
    );
    clean(direct).await;
}

#[tokio::test]
async fn a_clock_is_set_by_the_servers_once() {
    need_server!("a_clock_is_set_by_the_servers_once");
    let scene = Scene::new().await;
    let (store, direct, proxy) = (scene.store(), &scene.direct, &scene.proxy);
    direct
        .put("k", pattern(1), PutCondition::None)
        .await
        .unwrap();
    let skewed = |seconds: u64| {
        let time = SystemTime::now() + Duration::from_secs(seconds);
        let time = jiff::Timestamp::try_from(time).unwrap();
        let date = time
            .strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n")
            .to_string();
        answer("403 Forbidden", &date, "RequestTimeTooSkewed")
    };
    proxy.inject([skewed(60)]);
    store
        .get_range("k", 0..1, None)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    // A clock that was set right is taken over by the operation that finds out.
    let store = scene.store();
    proxy.inject([skewed(60), answer("404 Not Found", "", "NoSuchKey")]);
    store.get_range("k", 0..1, None).await.unwrap_err();
    proxy.inject([skewed(0)]);
    store.get_range("k", 0..1, None).await.unwrap();

    let store = scene.store();
    proxy.inject([skewed(7200)]);
    let error = store.get_range("k", 0..1, None).await.unwrap_err();
    assert_eq!(
        *error.kind(),
        ErrorKind::ClockSkew,
        "a lying clock is not followed for ever"
    );
    clean(direct).await;
}

#[tokio::test]
async fn redirects_are_followed_and_checked() {
    need_server!("redirects_are_followed_and_checked");
    let scene = Scene::new().await;
    let (store, direct, proxy) = (scene.store(), &scene.direct, &scene.proxy);
    let bytes = pattern(1000);
    direct
        .put("k", bytes.clone(), PutCondition::None)
        .await
        .unwrap();
    let to = |url: &str| {
        answer(
            "307 Temporary Redirect",
            &format!("location: {url}\r\n"),
            "",
        )
    };

    let prefix = scene.origin.prefix.replace(' ', "%20");
    let path = format!("/{}/{prefix}k", scene.origin.bucket);
    let there = format!("http://{}{path}", server());
    proxy.inject([to(&there)]);
    let body = store.get_range("k", 0..u64::MAX, None).await.unwrap();
    assert_eq!(body.collect().await.unwrap(), bytes);

    proxy.inject(vec![to(&format!("{}{path}", proxy.endpoint())); 9]);
    let error = scene.store().get_range("k", 0..1, None).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::RedirectRefused("too often"));
    proxy.clear();

    proxy.inject([to("http://169.254.169.254/latest/meta-data")]);
    let error = scene.store().get_range("k", 0..1, None).await.unwrap_err();
    assert_eq!(error.class(), "AddressNotAllowed", "{error}");
    clean(direct).await;
}

#[tokio::test]
async fn a_source_that_restarts_is_waited_for() {
    need_server!("a_source_that_restarts_is_waited_for");
    let scene = Scene::new().await;
    scene
        .direct
        .put("k", pattern(1), PutCondition::None)
        .await
        .unwrap();
    scene.proxy.pause(Duration::from_secs(2));
    let began = Instant::now();
    assert_eq!(scene.store().head("k").await.unwrap().size, 1);
    assert!(began.elapsed() >= Duration::from_secs(2));
    clean(&scene.direct).await;
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    need_server!("one_connection_serves_many_requests");
    let scene = Scene::new().await;
    let store = scene.store();
    store
        .put("k", pattern(2 * MIB), PutCondition::None)
        .await
        .unwrap();
    for start in 0..10 {
        store.head("k").await.unwrap();
        let body = store
            .get_range("k", start..start + MIB as u64, None)
            .await
            .unwrap();
        assert_eq!(body.collect().await.unwrap().len(), MIB);
        store.head("missing").await.unwrap_err();
    }
    assert!(
        scene.proxy.connections() <= 2,
        "{}",
        scene.proxy.connections()
    );
    clean(&scene.direct).await;
}

#[tokio::test]
async fn operations_may_run_on_any_thread() {
    need_server!("operations_may_run_on_any_thread");
    let scene = Scene::new().await;
    let store = scene.direct.clone();
    let work = tokio::spawn(async move {
        store
            .put("k", pattern(MIB), PutCondition::None)
            .await
            .unwrap();
        let meta = store.head("k").await.unwrap();
        let body = store
            .get_range("k", 0..u64::MAX, Some(&meta.etag))
            .await
            .unwrap();
        assert_eq!(body.collect().await.unwrap().len(), MIB);
        store.copy(&meta, "copy").await.unwrap();
        let upload = store.start_multipart("up").await.unwrap();
        let part = store.upload_part(&upload, 1, pattern(1)).await.unwrap();
        store
            .complete(&upload, &[part], PutCondition::None)
            .await
            .unwrap();
        clean(&store).await;
    });
    work.await.unwrap();
}
