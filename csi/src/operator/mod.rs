//! The stream to the operator: questions of `NodePublish` up, configurations down.
//!
//! The stream may be away at any time. Questions wait for it and are asked again on the next one;
//! everything else is told anew by the next stream's Hello and may be lost.

mod needs;
mod stream;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dlf_wire::dataset::v1::{DatasetConfig, NetworkRules};
use dlf_wire::dial::Dialer;
use dlf_wire::nodes::v1::from_node::Message;
use dlf_wire::nodes::v1::{
    Applied, Failure, FromNode, Grant, Held, Made, MounterState, MounterWanted, NodeHello, PodRef,
    Released, Report,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use needs::NeedError;
use needs::Needs;

/// Messages on their way up. Reports are a few a minute and `Need`s one a publish: a full queue
/// means a dead stream, which the keep-alive ends.
const OUTBOUND_MAX: usize = 1024;

/// Orders on their way to the mounts.
const ORDERS_MAX: usize = 1024;

/// What the operator wants without being asked.
#[derive(Debug)]
pub enum Order {
    /// A newer version of a dataset.
    Dataset(Box<DatasetConfig>),
    /// Addresses nobody may point us at.
    Network(NetworkRules),
    /// The mounter revision that takes new mounts.
    Mounter(MounterWanted),
}

/// What the next Hello says; asked at the start of each stream.
pub trait Holdings: Send + Sync + 'static {
    /// What is mounted.
    fn in_use(&self) -> Vec<Held>;
    /// Which mounters listen.
    fn mounters(&self) -> Vec<MounterState>;
}

/// Handle to the stream.
#[derive(Clone, Debug)]
pub struct Operator {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    needs: Needs,
    /// The way up, from a stream's Hello to its end.
    outbound: Mutex<Option<mpsc::Sender<FromNode>>>,
    /// Why there is no stream; empty while there is one.
    trouble: watch::Sender<String>,
    /// Streams so far.
    streams: AtomicU64,
}

/// The part that runs the streams; [`Connection::run`] it once what is in use is known.
#[derive(Debug)]
pub struct Connection {
    dialer: Dialer,
    node: String,
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
}

impl Operator {
    /// A handle, the connection behind it, and what comes down.
    #[must_use]
    pub fn new(dialer: Dialer, node: String) -> (Self, Connection, mpsc::Receiver<Order>) {
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let shared = Arc::new(Shared {
            needs: Needs::default(),
            outbound: Mutex::new(None),
            trouble: watch::Sender::new("not connected yet".into()),
            streams: AtomicU64::new(0),
        });
        let connection = Connection {
            dialer,
            node,
            shared: shared.clone(),
            orders,
        };
        (Self { shared }, connection, received)
    }

    /// Asks whether and how this pod may mount this volume here. The question outlives streams.
    pub async fn need(
        &self,
        volume_handle: &str,
        pod: PodRef,
        deadline: Instant,
    ) -> Result<Grant, NeedError> {
        let (need, answer) = self.shared.needs.ask(volume_handle, pod)?;
        self.send(Message::Need(need));
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(NeedError::NoAnswer(self.shared.trouble.borrow().clone())),
        }
    }

    /// Tells that a dataset is no longer mounted here.
    pub fn released(&self, volume_handle: &str) {
        self.send(Message::Released(Released {
            volume_handle: volume_handle.to_owned(),
        }));
    }

    /// Tells that the directory was made which the subpath of this pod names.
    pub fn made(&self, volume_handle: &str, pod: PodRef) {
        self.send(Message::Made(Made {
            volume_handle: volume_handle.to_owned(),
            pod: Some(pod),
        }));
    }

    /// Tells that a version is in force, or why it is not.
    pub fn applied(&self, volume_handle: &str, version: u64, failure: Option<Failure>) {
        self.send(Message::Applied(Applied {
            volume_handle: volume_handle.to_owned(),
            version,
            failure,
        }));
    }

    /// Tells figures. They are running totals: a lost report is made good by the next.
    pub fn report(&self, report: Report) {
        self.send(Message::Report(report));
    }

    /// Whether a stream is established.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.trouble.borrow().is_empty()
    }

    /// The number of the established stream: whoever is at its end knows nothing of what the
    /// earlier ones were told but what the Hello says.
    #[must_use]
    pub fn stream(&self) -> Option<u64> {
        self.is_up()
            .then(|| self.shared.streams.load(Ordering::Acquire))
    }

    fn send(&self, message: Message) {
        self.shared.send(message);
    }
}

impl Shared {
    fn send(&self, message: Message) {
        // Without a stream the next Hello says it all.
        if let Some(outbound) = self.outbound().as_ref() {
            enqueue(outbound, message);
        }
    }

    /// The queue of a stream that is about to be opened, which begins with its Hello and the open
    /// questions.
    ///
    /// Under the lock: what changes after the Hello was made is told behind it. It would be told
    /// to nobody if the queue were there only once the stream is.
    fn begin(&self, hello: impl FnOnce() -> NodeHello) -> mpsc::Receiver<FromNode> {
        let (sender, queue) = mpsc::channel(OUTBOUND_MAX);
        let mut outbound = self.outbound();
        enqueue(&sender, Message::Hello(hello()));
        for need in self.needs.unanswered() {
            enqueue(&sender, Message::Need(need));
        }
        *outbound = Some(sender);
        queue
    }

    /// The stream is established.
    fn open(&self) {
        self.streams.fetch_add(1, Ordering::AcqRel);
        self.trouble.send_replace(String::new());
    }

    fn close(&self, trouble: String) {
        *self.outbound() = None;
        self.trouble.send_replace(trouble);
    }

    fn outbound(&self) -> MutexGuard<'_, Option<mpsc::Sender<FromNode>>> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn enqueue(outbound: &mpsc::Sender<FromNode>, message: Message) {
    let message = FromNode {
        message: Some(message),
    };
    // Closed: the stream could not be opened or has ended, and the next Hello says it all.
    if let Err(error @ TrySendError::Full(_)) = outbound.try_send(message) {
        tracing::warn!(%error, "the stream to the operator takes no more");
    }
}
