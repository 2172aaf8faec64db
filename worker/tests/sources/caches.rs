//! Tasks that are about a cache: reading through one, and asking its replicas how they do.

use std::sync::Mutex;
use std::time::Duration;

use crate::servers::{Instead, gateway, s3, unique};
use bytes::Bytes;
use dlf_cache::{ObjectStore, PutCondition};
use dlf_core::network::AddressRules;
use dlf_wire::dataset::v1::{NetworkRules, Origin};
use dlf_wire::nodes::v1::{
    AskReplicas, Done, Failure, ReplicaAnswer, ReplicaStats, Task, Warm, task,
};
use dlf_worker::{bucket, progress::Step, task::run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn on_loopback(kind: task::Kind) -> Task {
    Task {
        kind: Some(kind),
        network: Some(NetworkRules {
            allow: vec!["127.0.0.0/8".into()],
            ..NetworkRules::default()
        }),
        deadline_ms: 30_000,
        ..Task::default()
    }
}

/// A bucket with these keys, each of so many bytes.
async fn filled(mut origin: Origin, objects: &[(&str, usize)]) -> (Origin, ObjectStore) {
    origin.bucket = unique("warm");
    let deadline = Duration::from_secs(30);
    let rules = AddressRules::default();
    let store = bucket::open(Some(origin.clone()), rules, deadline).unwrap();
    store.create_bucket().await.unwrap();
    for (key, size) in objects {
        let bytes = Bytes::from(vec![7; *size]);
        store.put(key, bytes, PutCondition::None).await.unwrap();
    }
    (origin, store)
}

async fn warmed(warm: Warm) -> (Result<Done, Failure>, Vec<Step>) {
    let steps = Mutex::new(Vec::new());
    let report = |step| steps.lock().unwrap().push(step);
    let result = run(on_loopback(task::Kind::Warm(warm)), &report).await;
    (result, steps.into_inner().unwrap())
}

async fn behind_gateway(source: &Origin, instead: &'static [Instead]) -> Vec<Origin> {
    let cache = Origin {
        endpoint: gateway(&source.endpoint, instead).await,
        ..source.clone()
    };
    vec![cache, source.clone()]
}

#[tokio::test]
async fn what_is_loaded_is_read_through_the_cache_in_order_and_told() {
    let Some(source) = s3("what_is_loaded_is_read_through_the_cache_in_order_and_told") else {
        return;
    };
    let objects = [("a/1", 10), ("a/2", 0), ("b/1", 6 << 20), ("c", 20)];
    let (source, _) = filled(source, &objects).await;
    let warm = Warm {
        origins: behind_gateway(&source, &[]).await,
        ..Warm::default()
    };
    let (result, steps) = warmed(warm.clone()).await;
    let done = result.unwrap();
    assert_eq!((done.objects, done.bytes), (4, (6 << 20) + 30));
    let to: Vec<&str> = steps.iter().map(|step| step.done_to.as_str()).collect();
    assert_eq!(to, ["a/1", "a/2", "b/1", "c"]);
    assert_eq!(steps.last().unwrap().bytes, done.bytes);

    let some = Warm {
        prefixes: vec!["a/".to_owned(), "c".to_owned()],
        ..warm.clone()
    };
    let (result, _) = warmed(some).await;
    assert_eq!(result.map(|done| (done.objects, done.bytes)), Ok((3, 30)));

    let rest = Warm {
        start_after: "a/2".to_owned(),
        ..warm
    };
    let (result, _) = warmed(rest).await;
    assert_eq!(result.unwrap().objects, 2, "it goes on where it broke off");
}

#[tokio::test]
async fn a_cache_that_answers_nothing_ends_its_loading() {
    let Some(source) = s3("a_cache_that_answers_nothing_ends_its_loading") else {
        return;
    };
    let keys: Vec<String> = (0..40).map(|number| format!("{number:02}")).collect();
    let objects: Vec<(&str, usize)> = keys.iter().map(|key| (key.as_str(), 10)).collect();
    let (source, _) = filled(source, &objects).await;
    let broken: &[Instead] = &[(
        "GET",
        "",
        "HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\n\r\n",
    )];
    let warm = Warm {
        origins: behind_gateway(&source, broken).await,
        ..Warm::default()
    };
    let (result, steps) = warmed(warm).await;
    assert_eq!(result.unwrap_err().reason, "CacheNotServing");
    assert!(steps.len() < 40, "the source was read for nobody");
}

/// A replica that answers everybody so; gives where.
async fn replica(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/status", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = [0; 4096];
            drop(client.read(&mut head).await);
            drop(client.write_all(answer.as_bytes()).await);
        }
    });
    url
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn asked(urls: Vec<String>, network: NetworkRules) -> Vec<ReplicaAnswer> {
    let task = Task {
        network: Some(network),
        ..on_loopback(task::Kind::AskReplicas(AskReplicas { urls }))
    };
    run(task, &|_| {}).await.unwrap().replicas
}

#[tokio::test]
async fn replicas_say_how_they_do_each_for_itself() {
    let good = replica(ok(
        r#"{"version":1,"usedBytes":5,"hitBytes":3,"missBytes":2,"node":"n1","later":true}"#,
    ));
    let long = format!("{{\"version\":1,\"node\":\"{}\"}}", "x".repeat(70_000));
    let urls = vec![
        good.await,
        replica(ok(r#"{"version":2}"#)).await,
        replica(ok("nonsense")).await,
        replica(ok(&long)).await,
        replica(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
        )
        .await,
        "http://127.0.0.1:1/status".to_owned(),
    ];
    let answers = asked(
        urls.clone(),
        on_loopback(task::Kind::Warm(Warm::default()))
            .network
            .unwrap(),
    )
    .await;
    let of: Vec<&str> = answers.iter().map(|answer| answer.url.as_str()).collect();
    assert_eq!(of, urls);
    let stats = ReplicaStats {
        version: 1,
        used_bytes: 5,
        hit_bytes: 3,
        miss_bytes: 2,
        node: "n1".to_owned(),
    };
    assert_eq!(answers[0].stats, Some(stats));
    let whys = ["version 2", "expected", "longer than", "302", "refused"];
    for (answer, why) in answers[1..].iter().zip(whys) {
        assert!(
            answer.stats.is_none() && answer.failure.contains(why),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_replica_is_not_asked_at_an_address_that_nobody_may_point_at() {
    let urls = vec![
        replica(ok(r#"{"version":1}"#)).await,
        "http://169.254.169.254/latest/meta-data".to_owned(),
    ];
    for answer in asked(urls, NetworkRules::default()).await {
        let refused = answer.failure.contains("loopback") || answer.failure.contains("link-local");
        assert!(answer.stats.is_none() && refused, "{answer:?}");
    }
}
