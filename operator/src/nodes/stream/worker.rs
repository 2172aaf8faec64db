use std::sync::Arc;
use std::time::Duration;

use dlf_wire::nodes::v1::{
    Cancel, FromWorker, Task, TaskProgress, TaskResult, ToWorker, WorkerWelcome, from_worker,
    task_result, to_worker,
};
use tokio::sync::{mpsc, watch};
use tonic::{Status, Streaming};

use super::{Credential, reason, stopped};
use crate::nodes::limits;
use crate::nodes::shared::Shared;
use crate::tasks::{Amount, Assignment, Outcome, TaskSpec, WorkerId};

/// Where messages to the worker go.
type Outbound = mpsc::Sender<Result<ToWorker, Status>>;

/// One worker's stream.
pub(in crate::nodes) struct WorkerStream {
    shared: Arc<Shared>,
    name: String,
    credential: Credential,
}

impl WorkerStream {
    pub(in crate::nodes) fn new(shared: Arc<Shared>, name: String, credential: Credential) -> Self {
        Self {
            shared,
            name,
            credential,
        }
    }

    /// Runs until the worker goes away, its token lapses or this replica no longer leads. What the
    /// worker was doing then goes to another one.
    pub(in crate::nodes) async fn run(
        self,
        inbound: Streaming<FromWorker>,
        outbound: Outbound,
        capacity: u32,
        mut serving: watch::Receiver<bool>,
    ) {
        let (shared, name) = (self.shared.clone(), self.name.clone());
        let (worker, work) = shared.tasks.join(capacity);
        let ended = tokio::select! {
            biased;
            status = stopped(&mut serving) => Some(status),
            status = self.receive(worker, inbound) => status,
            () = send(&shared, worker, &outbound, work) => None,
        };
        shared.tasks.leave(worker);
        tracing::info!(
            worker = name,
            reason = reason(ended.as_ref()),
            "worker detached"
        );
        if let Some(status) = ended {
            // A full channel means that the worker reads nothing; it will see the end by itself.
            drop(outbound.try_send(Err(status)));
        }
    }

    /// Takes messages in; none at the end means that the worker ended the stream.
    async fn receive(
        mut self,
        worker: WorkerId,
        mut inbound: Streaming<FromWorker>,
    ) -> Option<Status> {
        loop {
            let message = tokio::select! {
                message = inbound.message() => message,
                status = self.credential.lapsed(self.shared.identify.as_ref()) => return Some(status),
            };
            match message {
                Ok(Some(FromWorker {
                    message: Some(message),
                })) => {
                    if let Err(status) = self.take(worker, message).await {
                        return Some(status);
                    }
                }
                // A message of a later version of the protocol.
                Ok(Some(FromWorker { message: None })) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }

    async fn take(
        &mut self,
        worker: WorkerId,
        message: from_worker::Message,
    ) -> Result<(), Status> {
        let tasks = &self.shared.tasks;
        match message {
            from_worker::Message::Hello(_) => {
                return Err(Status::invalid_argument("a second hello on one stream"));
            }
            from_worker::Message::Token(token) => {
                self.credential
                    .renew(token, self.shared.identify.as_ref())
                    .await?;
            }
            from_worker::Message::Result(TaskResult { id, outcome }) => {
                let outcome = match outcome {
                    Some(task_result::Outcome::Done(done)) => Outcome::Done {
                        created: done.created,
                        deleted: done.deleted,
                        writes_refused: done.writes_refused.map(limits::failure),
                        read: Amount {
                            objects: done.objects,
                            bytes: done.bytes,
                        },
                        replicas: limits::replicas(done.replicas),
                    },
                    Some(task_result::Outcome::Failure(failure)) => {
                        Outcome::Failed(limits::failure(failure))
                    }
                    None => return Err(Status::invalid_argument("a result without an outcome")),
                };
                tasks.finish(worker, &id, outcome);
            }
            from_worker::Message::Progress(TaskProgress {
                id,
                objects_done: objects,
                bytes_done: bytes,
                done_to,
            }) => {
                let done_to = limits::key(done_to);
                tasks.progressed(worker, &id, Amount { objects, bytes }, done_to);
            }
        }
        Ok(())
    }
}

/// Sends work whenever there is some and the worker has room, until the worker has gone.
async fn send(
    shared: &Shared,
    worker: WorkerId,
    outbound: &Outbound,
    mut work: watch::Receiver<()>,
) {
    let network = || shared.hub.read(|registry| registry.network().cloned());
    let welcome = to_worker::Message::Welcome(WorkerWelcome { network: network() });
    if outbound
        .send(Ok(ToWorker {
            message: Some(welcome),
        }))
        .await
        .is_err()
    {
        return;
    }
    while work.changed().await.is_ok() {
        while let Some(assignment) = shared.tasks.assign(worker) {
            let message = match assignment {
                Assignment::Cancel(id) => to_worker::Message::Cancel(Cancel { id }),
                Assignment::Run { id, spec } => {
                    let deadline_ms = as_millis(spec.task_type().deadline());
                    let TaskSpec {
                        namespace,
                        name,
                        kind,
                        dataset: _,
                        key_version: _,
                    } = *spec;
                    let (network, kind) = (network(), Some(kind));
                    let task = Task {
                        id,
                        namespace,
                        name,
                        deadline_ms,
                        network,
                        kind,
                    };
                    to_worker::Message::Task(task)
                }
            };
            if outbound
                .send(Ok(ToWorker {
                    message: Some(message),
                }))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

fn as_millis(deadline: Duration) -> u32 {
    u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX)
}
