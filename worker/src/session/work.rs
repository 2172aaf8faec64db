use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dlf_wire::nodes::v1::from_worker::Message as Up;
use dlf_wire::nodes::v1::{Done, Failure, FromWorker, Task, TaskProgress, TaskResult, task_result};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::sleep;

use super::up;
use crate::metrics::{Metrics, TaskKind};
use crate::progress::Step;
use crate::task;

/// How often a long task tells how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// What is under way on one stream. Dropping it ends it all.
pub(super) struct Work {
    outbound: mpsc::Sender<FromWorker>,
    capacity: usize,
    metrics: Arc<Metrics>,
    tasks: JoinSet<()>,
    running: HashMap<String, AbortHandle>,
    ids: HashMap<Id, String>,
}

impl Work {
    pub(super) fn new(
        outbound: mpsc::Sender<FromWorker>,
        capacity: u32,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            outbound,
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            metrics,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            ids: HashMap::new(),
        }
    }

    /// Starts a task. The operator keeps our capacity; should it not, it hears so.
    pub(super) fn begin(&mut self, task: Task) {
        self.cancel(&task.id);
        let id = task.id.clone();
        let work: AbortHandle = if self.running.len() < self.capacity {
            self.tasks.spawn(perform(
                task,
                self.outbound.clone(),
                Running::new(&self.metrics),
            ))
        } else {
            let outbound = self.outbound.clone();
            let refusal = Failure::new("WorkerBusy", "the worker has no room for another task");
            self.tasks
                .spawn(async move { answer(&outbound, task.id, Err(refusal)).await })
        };
        self.ids.insert(work.id(), id.clone());
        self.running.insert(id, work);
    }

    /// Ends a task whose result nobody wants any more.
    pub(super) fn cancel(&mut self, id: &str) {
        if let Some(work) = self.running.remove(id) {
            work.abort();
        }
    }

    /// Clears away one task that ended; waits while there is none.
    pub(super) async fn reap(&mut self) {
        let ended = match self.tasks.join_next_with_id().await {
            Some(Ok((ended, ()))) => ended,
            Some(Err(error)) => {
                if error.is_panic() {
                    // The operator will give it up when its deadline has passed.
                    tracing::error!(%error, "a task panicked");
                }
                error.id()
            }
            None => std::future::pending().await,
        };
        if let Some(id) = self.ids.remove(&ended)
            && self.running.get(&id).is_some_and(|work| work.id() == ended)
        {
            self.running.remove(&id);
        }
    }
}

/// Counts one task, also when it is dropped.
struct Running {
    metrics: Arc<Metrics>,
    since: Instant,
    ended: Option<(TaskKind, String)>,
}

impl Running {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.began();
        Self {
            metrics: metrics.clone(),
            since: Instant::now(),
            ended: None,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (kind, outcome) = match &self.ended {
            Some((kind, outcome)) => (*kind, Some(outcome.as_str())),
            None => (TaskKind::Unknown, None),
        };
        self.metrics.ended(kind, outcome, self.since.elapsed());
    }
}

async fn perform(task: Task, outbound: mpsc::Sender<FromWorker>, mut running: Running) {
    let (id, kind) = (task.id.clone(), TaskKind::from(task.kind.as_ref()));
    let (namespace, name) = (task.namespace.clone(), task.name.clone());
    let (done, progress) = watch::channel(Step::default());
    let report = move |step| {
        done.send_replace(step);
    };
    let result = tokio::select! {
        result = task::run(task, &report) => result,
        () = tell(&id, progress, &outbound) => return,
    };
    let (outcome, cause) = match &result {
        Ok(_) => ("Done", ""),
        Err(failure) => (failure.reason.as_str(), failure.message.as_str()),
    };
    tracing::info!(id, namespace, name, task = ?kind, outcome, cause, "task ended");
    running.ended = Some((kind, outcome.to_owned()));
    answer(&outbound, id, result).await;
}

/// Passes progress on, at most once per interval; ends when the stream has.
async fn tell(id: &str, mut progress: watch::Receiver<Step>, outbound: &mpsc::Sender<FromWorker>) {
    while progress.changed().await.is_ok() {
        let Step {
            objects,
            bytes,
            done_to,
        } = progress.borrow_and_update().clone();
        let message = Up::Progress(TaskProgress {
            id: id.to_owned(),
            objects_done: objects,
            bytes_done: bytes,
            done_to,
        });
        if outbound.send(up(message)).await.is_err() {
            return;
        }
        sleep(PROGRESS_INTERVAL).await;
    }
    std::future::pending::<()>().await;
}

async fn answer(outbound: &mpsc::Sender<FromWorker>, id: String, result: Result<Done, Failure>) {
    let outcome = Some(match result {
        Ok(done) => task_result::Outcome::Done(done),
        Err(failure) => task_result::Outcome::Failure(failure),
    });
    // A closed queue is a stream that ended: the operator has put the task back.
    drop(
        outbound
            .send(up(Up::Result(TaskResult { id, outcome })))
            .await,
    );
}
