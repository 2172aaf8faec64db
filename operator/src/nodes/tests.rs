//! The streams over a real socket with real TLS, between our own client and our own server. What
//! the API server would say is played by two small stand-ins.

mod peers;

use std::time::Duration;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::nodes::v1::{
    Applied, Done, Failure, Held, Made, Need, PodRef, ProbeNfs, Released, Task, TaskResult, Token,
    from_node, from_worker, task, task_result, to_node, to_worker,
};
use tonic::Code;

use crate::tasks::{Freshness, Outcome, TaskSpec};
use peers::{Operator, pod};

fn config(name: &str, revision: &str) -> DatasetConfig {
    DatasetConfig {
        volume_handle: format!("dlf-{name}"),
        namespace: "ns".into(),
        name: name.into(),
        source_revision: revision.into(),
        ..DatasetConfig::default()
    }
}

fn need(request: u64, dataset: &str, pod: PodRef) -> from_node::Message {
    let volume_handle = format!("dlf-{dataset}");
    from_node::Message::Need(Need {
        request,
        volume_handle,
        pod: Some(pod),
    })
}

fn fresh() -> Freshness {
    Freshness {
        done: Duration::from_mins(1),
        failed: Duration::from_mins(1),
    }
}

#[tokio::test]
async fn a_node_asks_is_granted_and_then_kept_up_to_date() {
    let operator = Operator::start(true).await;
    operator.hub.publish(config("books", "1"), None);
    let mut node = operator.attach("n1", vec![]).await.unwrap();
    assert!(matches!(node.next().await, to_node::Message::Welcome(_)));

    node.send(need(1, "books", pod("reader"))).await;
    let to_node::Message::Grant(grant) = node.next().await else {
        panic!()
    };
    assert_eq!((grant.request, grant.subpath.as_str()), (1, ""));

    node.send(need(2, "books", pod("stranger"))).await;
    let to_node::Message::Refusal(refusal) = node.next().await else {
        panic!()
    };
    assert_eq!(
        (refusal.request, refusal.failure.unwrap().reason.as_str()),
        (2, "NoSuchPod")
    );

    operator.hub.publish(config("books", "2"), None);
    let to_node::Message::Dataset(newer) = node.next().await else {
        panic!()
    };
    assert_eq!(newer.source_revision, "2");

    let (handle, version) = (newer.volume_handle, newer.version);
    let failure = None;
    node.send(from_node::Message::Applied(Applied {
        volume_handle: handle.clone(),
        version,
        failure,
    }))
    .await;
    while *operator.reported().await != *handle {}
    let rollout = operator.hub.read(|registry| registry.rollout(&handle));
    assert_eq!((rollout.nodes, rollout.behind.len()), (1, 0));

    node.send(from_node::Message::Released(Released {
        volume_handle: handle.clone(),
    }))
    .await;
    while *operator.used().await != *handle {}
    assert_eq!(
        operator
            .hub
            .read(|registry| registry.rollout(&handle).nodes),
        0
    );
}

#[tokio::test]
async fn a_pod_is_told_once_that_its_own_subpath_was_made_and_by_its_node_only() {
    let operator = Operator::start(true).await;
    operator.hub.publish(config("books", "1"), None);
    let made = |name: &str| {
        from_node::Message::Made(Made {
            volume_handle: "dlf-books".into(),
            pod: Some(pod(name)),
        })
    };
    let mut elsewhere = operator.attach("n2", vec![]).await.unwrap();
    let mut node = operator.attach("n1", vec![]).await.unwrap();
    elsewhere.next().await;
    node.next().await;
    elsewhere.send(made("deep")).await;
    // One that nobody knows, and one that asked for no subpath.
    for name in ["stranger", "reader", "deep", "deep"] {
        node.send(made(name)).await;
    }
    // All before it was taken when this is answered.
    for (node, number) in [(&mut elsewhere, 1), (&mut node, 2)] {
        node.send(need(number, "books", pod("stranger"))).await;
        node.next().await;
    }
    let told = || operator.told.all();
    for _ in 0..100 {
        if !told().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, pod("deep"));
    assert!(
        told[0].1.contains("Dataset books") && told[0].1.contains("\"in/deep\""),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_request_is_held_until_its_dataset_is_ready() {
    let operator = Operator::start(true).await;
    let mut node = operator.attach("n1", vec![]).await.unwrap();
    node.next().await;
    node.send(need(1, "books", pod("reader"))).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let why = Failure::new("SecretMissing", "where is it?");
    operator.hub.refuse("dlf-books", why);
    tokio::time::sleep(Duration::from_millis(50)).await;
    operator.hub.publish(config("books", "1"), None);
    assert!(matches!(node.next().await, to_node::Message::Grant(_)));
}

#[tokio::test]
async fn who_waited_in_vain_hears_the_datasets_own_reason() {
    let operator = Operator::start(true).await;
    let timeout = Duration::from_millis(20);
    let unknown = operator.hub.ready("dlf-books", timeout).await.unwrap_err();
    assert_eq!(unknown.reason, "NoSuchDataset");
    let why = Failure::new("SecretMissing", "where is it?");
    operator.hub.refuse("dlf-books", why.clone());
    assert_eq!(
        operator.hub.ready("dlf-books", timeout).await.unwrap_err(),
        why
    );
}

#[tokio::test]
async fn what_a_node_holds_is_sent_to_it_only_if_a_pod_there_uses_it() {
    let operator = Operator::start(true).await;
    operator.hub.publish(config("books", "1"), None);
    let held = |name: &str| Held {
        volume_handle: "dlf-books".into(),
        version: 1,
        pods: vec![pod(name)],
    };
    let mut honest = operator.attach("n1", vec![held("reader")]).await.unwrap();
    honest.next().await;
    assert!(matches!(honest.next().await, to_node::Message::Dataset(_)));
    drop(honest);
    let mut liar = operator.attach("n2", vec![held("reader")]).await.unwrap();
    liar.next().await;
    operator.hub.set_mounter("after");
    assert!(
        matches!(liar.next().await, to_node::Message::Mounter(_)),
        "and nothing before"
    );
}

#[tokio::test]
async fn only_the_driver_of_a_node_speaks_for_it() {
    let operator = Operator::start(true).await;
    let code = |status: tonic::Status| status.code();
    let attach =
        |token: &'static str, node: &'static str| operator.attach_with(token, node, vec![]);
    assert_eq!(
        attach("nonsense", "n1").await.map_err(code).err(),
        Some(Code::Unauthenticated)
    );
    assert_eq!(
        attach("driver n2", "n1").await.map_err(code).err(),
        Some(Code::PermissionDenied)
    );
    assert_eq!(
        attach("worker n1", "n1").await.map_err(code).err(),
        Some(Code::PermissionDenied)
    );
    assert_eq!(
        operator.work_with("driver n1").await.map_err(code).err(),
        Some(Code::PermissionDenied)
    );
}

#[tokio::test]
async fn who_is_refused_again_and_again_is_looked_at_four_times_a_second_and_a_driver_still_comes_in()
 {
    let operator = Operator::start(true).await;
    let began = std::time::Instant::now();
    for _ in 0..9 {
        let refused = operator.attach_with("nonsense", "n1", vec![]).await;
        assert_eq!(refused.err().unwrap().code(), Code::Unauthenticated);
    }
    assert!(
        began.elapsed() > Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert!(operator.attach("n1", vec![]).await.is_ok());
}

#[tokio::test]
async fn a_stream_ends_when_its_token_has_lapsed_and_lives_on_with_a_new_one_or_while_it_is_valid()
{
    let operator = Operator::start(true).await;
    let mut idle = operator
        .attach_with("driver n1 200 once", "n1", vec![])
        .await
        .unwrap();
    let mut early = operator
        .attach_with("driver n3 200", "n3", vec![])
        .await
        .unwrap();
    let mut busy = operator
        .attach_with("driver n2 200 once", "n2", vec![])
        .await
        .unwrap();
    busy.send(from_node::Message::Token(Token {
        value: "driver n2 60000".into(),
    }))
    .await;
    idle.next().await;
    assert_eq!(idle.end().await.code(), Code::Unauthenticated);
    for lives_on in [&mut busy, &mut early] {
        lives_on.next().await;
    }
    operator.hub.set_mounter("still there");
    for lives_on in [&mut busy, &mut early] {
        let next = lives_on.next().await;
        assert!(matches!(next, to_node::Message::Mounter(_)));
    }
    busy.send(from_node::Message::Token(Token {
        value: "driver n1 60000".into(),
    }))
    .await;
    assert_eq!(
        busy.end().await.code(),
        Code::PermissionDenied,
        "somebody else's token"
    );
}

#[tokio::test]
async fn a_second_stream_of_a_node_replaces_the_first() {
    let operator = Operator::start(true).await;
    let mut first = operator.attach("n1", vec![]).await.unwrap();
    first.next().await;
    let mut second = operator.attach("n1", vec![]).await.unwrap();
    second.next().await;
    assert_eq!(first.end().await.code(), Code::Aborted);
    operator.hub.set_mounter("abc");
    assert!(matches!(second.next().await, to_node::Message::Mounter(_)));
}

#[tokio::test]
async fn a_follower_sends_nodes_on_and_a_leader_that_steps_down_too() {
    let operator = Operator::start(false).await;
    let refused = operator.attach("n1", vec![]).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unavailable);
    operator.lead(true).await;
    let mut node = operator.attach("n1", vec![]).await.unwrap();
    node.next().await;
    operator.lead(false).await;
    assert_eq!(node.end().await.code(), Code::Unavailable);
}

#[tokio::test]
async fn tasks_go_to_a_worker_and_their_results_to_the_controller() {
    let operator = Operator::start(true).await;
    let spec = TaskSpec {
        dataset: "dlf-books".into(),
        namespace: "ns".into(),
        name: "books".into(),
        kind: task::Kind::ProbeNfs(ProbeNfs::default()),
        key_version: String::new(),
    };
    assert!(operator.tasks.want(spec.clone(), fresh()).pending);
    let first = {
        let mut lost = operator.work_with("worker n1").await.unwrap();
        assert!(matches!(lost.next().await, to_worker::Message::Welcome(_)));
        let to_worker::Message::Task(Task { id, .. }) = lost.next().await else {
            panic!()
        };
        id
    };
    let mut worker = operator.work_with("worker n1").await.unwrap();
    worker.next().await;
    let to_worker::Message::Task(again) = worker.next().await else {
        panic!()
    };
    assert_eq!(
        (&again.id, again.name.as_str()),
        (&first, "books"),
        "put back"
    );
    let outcome = Some(task_result::Outcome::Done(Done::default()));
    worker
        .send(from_worker::Message::Result(TaskResult {
            id: again.id,
            outcome,
        }))
        .await;
    assert_eq!(&*operator.reported().await, "dlf-books");
    let latest = operator.tasks.want(spec.clone(), fresh()).latest.unwrap();
    assert_eq!(
        latest.outcome,
        Outcome::Done {
            created: false,
            deleted: false,
            writes_refused: None,
            read: crate::tasks::Amount::default(),
            replicas: Vec::new(),
        }
    );

    let hasty = Freshness {
        done: Duration::ZERO,
        failed: Duration::ZERO,
    };
    operator.tasks.want(spec.clone(), hasty);
    let to_worker::Message::Task(third) = worker.next().await else {
        panic!()
    };
    operator.tasks.forget(&spec.dataset);
    let to_worker::Message::Cancel(cancel) = worker.next().await else {
        panic!()
    };
    assert_eq!(cancel.id, third.id);
}

#[tokio::test]
async fn a_server_that_shuts_down_ends_its_streams() {
    let mut operator = Operator::start(true).await;
    let mut node = operator.attach("n1", vec![]).await.unwrap();
    node.next().await;
    operator.stop().await;
    assert_eq!(node.end().await.code(), Code::Unavailable);
}
