//! The worker against the operator's own server, over TLS: everything but the API server is real.

#![allow(clippy::unwrap_used, reason = "tests")]

mod operator;

use std::sync::Arc;
use std::time::Duration;

use dlf_operator::tasks::{Freshness, Outcome, TaskSpec};
use dlf_wire::nodes::v1::{ProbeNfs, task};
use dlf_worker::metrics::Metrics;
use dlf_worker::session::Session;
use operator::Operator;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than anything here takes, shorter than a person's patience.
const TIMEOUT: Duration = Duration::from_secs(15);

fn start(operator: &Operator) -> (JoinHandle<()>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let session = Session::new(operator.dialer(), "worker-1".into(), 8, metrics.clone());
    (tokio::spawn(session.run()), metrics)
}

/// A probe whose answer needs no network: loopback is never dialled.
fn probe(dataset: &str) -> TaskSpec {
    let (server, share) = ("127.0.0.1".to_owned(), "/share".to_owned());
    TaskSpec {
        dataset: dataset.into(),
        namespace: "ns".into(),
        name: dataset.into(),
        kind: task::Kind::ProbeNfs(ProbeNfs { server, share }),
        key_version: String::new(),
    }
}

async fn result(operator: &Operator, spec: TaskSpec) -> Outcome {
    let fresh = Freshness {
        done: Duration::MAX,
        failed: Duration::MAX,
    };
    let finished = async {
        loop {
            if let Some(latest) = operator.tasks.want(spec.clone(), fresh).latest {
                return latest.outcome;
            }
            operator.changes.reports.next().await;
        }
    };
    timeout(TIMEOUT, finished).await.unwrap()
}

fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) => failure.reason,
        done @ Outcome::Done { .. } => panic!("{done:?}"),
    }
}

#[tokio::test]
async fn a_task_is_done_and_its_reason_comes_back() {
    let operator = Operator::start().await;
    let (worker, metrics) = start(&operator);
    assert_eq!(
        reason(result(&operator, probe("dlf-a")).await),
        "AddressNotAllowed"
    );
    assert!(metrics.is_attached());
    let figures = metrics.render().unwrap();
    assert!(
        figures
            .contains(r#"dlf_worker_tasks_total{task="ProbeNfs",outcome="AddressNotAllowed"} 1"#),
        "{figures}"
    );
    assert!(figures.contains("dlf_worker_tasks_running 0"), "{figures}");
    worker.abort();
}

#[tokio::test]
async fn work_goes_on_with_the_next_leader() {
    let operator = Operator::start().await;
    let (worker, metrics) = start(&operator);
    result(&operator, probe("dlf-a")).await;
    operator.lead(false).await;
    assert!(!metrics.is_attached());
    assert_eq!(operator.tasks.workers(), 0);
    operator.lead(true).await;
    assert_eq!(
        reason(result(&operator, probe("dlf-b")).await),
        "AddressNotAllowed"
    );
    worker.abort();
}
