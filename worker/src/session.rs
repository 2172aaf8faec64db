//! The stream to the operator: tasks come down, answers go up.
//!
//! When a stream ends, what was under way on it is dropped: the operator puts it back and gives it
//! to whoever has a stream.

mod work;

use std::sync::Arc;

use dlf_wire::dial::{Backoff, DialError, Dialer, TOKEN_INTERVAL};
use dlf_wire::nodes::v1::from_worker::Message as Up;
use dlf_wire::nodes::v1::nodes_client::NodesClient;
use dlf_wire::nodes::v1::to_worker::Message as Down;
use dlf_wire::nodes::v1::{FromWorker, ToWorker, WorkerHello};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::metrics::Metrics;
use work::Work;

/// Messages on their way up. Tasks wait when it is full, which is only while the operator's node
/// is gone and the keep-alive has not noticed.
const OUTBOUND_MAX: usize = 64;

/// What a worker does all day.
#[derive(Debug)]
pub struct Session {
    dialer: Dialer,
    pod: String,
    capacity: u32,
    metrics: Arc<Metrics>,
}

/// A stream that the operator welcomed.
struct Established {
    inbound: Streaming<ToWorker>,
    outbound: mpsc::Sender<FromWorker>,
}

impl Session {
    /// A worker called `pod` that takes `capacity` tasks at once.
    #[must_use]
    pub const fn new(dialer: Dialer, pod: String, capacity: u32, metrics: Arc<Metrics>) -> Self {
        Self {
            dialer,
            pod,
            capacity,
            metrics,
        }
    }

    /// Keeps a stream up and works; for ever.
    pub async fn run(self) {
        let mut backoff = Backoff::default();
        loop {
            match self.establish().await {
                Ok(stream) => {
                    backoff.reset();
                    tracing::info!("connected to the operator");
                    self.metrics.set_attached(true);
                    let ended = self.follow(stream).await;
                    self.metrics.set_attached(false);
                    tracing::warn!(reason = ended.message(), "the stream to the operator ended");
                }
                Err(error) => tracing::warn!(%error, "no stream to the operator"),
            }
            sleep(backoff.pause()).await;
        }
    }

    async fn establish(&self) -> Result<Established, DialError> {
        let token = Some(self.dialer.token().await?);
        let hello = WorkerHello {
            worker: self.pod.clone(),
            token,
            capacity: self.capacity,
        };
        self.dialer
            .open(|client| attach(client, hello.clone()))
            .await
    }

    /// Takes tasks until the stream ends, and says why it did.
    async fn follow(&self, stream: Established) -> Status {
        let Established {
            mut inbound,
            outbound,
        } = stream;
        let mut work = Work::new(outbound.clone(), self.capacity, self.metrics.clone());
        let mut renewal = interval_at(Instant::now() + TOKEN_INTERVAL, TOKEN_INTERVAL);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = next(&mut inbound) => match message {
                    Ok(Down::Task(task)) => work.begin(task),
                    Ok(Down::Cancel(cancel)) => work.cancel(&cancel.id),
                    Ok(Down::Welcome(_)) => {}
                    Err(status) => return *status,
                },
                () = work.reap() => {}
                _ = renewal.tick() => self.send_token(&outbound).await,
            }
        }
    }

    async fn send_token(&self, outbound: &mpsc::Sender<FromWorker>) {
        match self.dialer.token().await {
            // A closed queue is a stream that ended, which the other branch will see.
            Ok(token) => drop(outbound.send(up(Up::Token(token))).await),
            Err(error) => tracing::warn!(%error, "the old token is used as long as it lasts"),
        }
    }
}

/// Opens the stream and waits for the welcome, which only the leader gives.
async fn attach(
    mut client: NodesClient<Channel>,
    hello: WorkerHello,
) -> Result<Established, Status> {
    let (outbound, queue) = mpsc::channel(OUTBOUND_MAX);
    let ended = |_| Status::internal("our own queue is closed");
    outbound.try_send(up(Up::Hello(hello))).map_err(ended)?;
    let mut inbound = client.work(ReceiverStream::new(queue)).await?.into_inner();
    match next(&mut inbound).await.map_err(|status| *status)? {
        Down::Welcome(_) => Ok(Established { inbound, outbound }),
        _ => Err(Status::internal(
            "the operator did not begin with a welcome",
        )),
    }
}

/// The next message that we know; a newer operator may send others.
async fn next(inbound: &mut Streaming<ToWorker>) -> Result<Down, Box<Status>> {
    loop {
        match inbound.message().await? {
            None => return Err(Box::new(Status::unavailable("the operator ended it"))),
            Some(ToWorker { message: None }) => {}
            Some(ToWorker {
                message: Some(message),
            }) => return Ok(message),
        }
    }
}

const fn up(message: Up) -> FromWorker {
    FromWorker {
        message: Some(message),
    }
}
