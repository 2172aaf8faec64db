//! Requests and answers on one mounter's connection.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlf_wire::channel::{Channel, ChannelError};
use dlf_wire::mounter::NO_MEMORY;
use dlf_wire::mounter::v1::from_mounter::Message as Answer;
use dlf_wire::mounter::v1::to_mounter::Message;
use dlf_wire::mounter::v1::{Done, Failed, FromMounter, ToMounter};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Why a mounter did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum MounterError {
    /// No mounter at all.
    #[error(
        "no mounter listens on this node: see the pods of the DaemonSet whose name begins with \
         dlf-mounter"
    )]
    NoMounter,
    /// Not this one.
    #[error("mounter {0} does not listen on this node any more")]
    NotListening(String),
    /// It ended before it answered.
    #[error("the mounter ended while it was asked")]
    Closed,
    /// It did not answer.
    #[error("the mounter did not answer within {} s", .0.as_secs())]
    Late(Duration),
    /// Another mount does not fit into its memory; it may later, and is tried again.
    #[error(
        "the node's mounter has no memory for another mount: {0}. Raise \
         mounter.resources.limits.memory (a Helm value), or use fewer datasets on one node; it is \
         tried again"
    )]
    NoMemory(String),
    /// It answered that it cannot.
    #[error("the mounter says: {} ({})", .0.message, .0.reason)]
    Failed(Failed),
    /// It answered something that is no answer.
    #[error("the mounter answered with an unexpected message")]
    Unexpected,
    /// The socket failed.
    #[error("the mounter's socket: {0}")]
    Channel(#[from] ChannelError),
}

/// One connection to a mounter.
#[derive(Debug)]
pub(super) struct Link {
    channel: Channel,
    next: AtomicU64,
    waiting: Mutex<Waiting>,
}

/// Who waits for an answer, by the request's number; `None` once there will be none.
type Waiting = Option<HashMap<u64, oneshot::Sender<Answer>>>;

impl Link {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel,
            next: AtomicU64::new(1),
            waiting: Mutex::new(Some(HashMap::new())),
        }
    }

    /// Sends a request, with a duplicate of `descriptor`, and waits for its answer.
    pub(super) async fn request(
        &self,
        message: Message,
        descriptor: Option<BorrowedFd<'_>>,
        within: Duration,
    ) -> Result<Done, MounterError> {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        match self.waiting().as_mut() {
            Some(waiting) => waiting.insert(request, sender),
            None => return Err(MounterError::Closed),
        };
        let _forget = Forget {
            link: self,
            request,
        };
        let exchange = async {
            let message = ToMounter {
                request,
                message: Some(message),
            };
            self.channel.send(&message, descriptor).await?;
            answer.await.map_err(|_| MounterError::Closed)
        };
        match timeout(within, exchange).await {
            Err(_) => Err(MounterError::Late(within)),
            Ok(Err(error)) => Err(error),
            Ok(Ok(Answer::Done(done))) => Ok(done),
            Ok(Ok(Answer::Failed(failed))) if failed.reason == NO_MEMORY => {
                Err(MounterError::NoMemory(failed.message))
            }
            Ok(Ok(Answer::Failed(failed))) => Err(MounterError::Failed(failed)),
            Ok(Ok(_)) => Err(MounterError::Unexpected),
        }
    }

    /// Sends what has no answer.
    pub(super) async fn tell(&self, message: Message) -> Result<(), ChannelError> {
        let message = ToMounter {
            request: 0,
            message: Some(message),
        };
        self.channel.send(&message, None).await
    }

    /// The next message that answers nothing; answers are delivered on the way.
    pub(super) async fn unasked(&self) -> Result<Answer, ChannelError> {
        loop {
            let (message, _) = self.channel.recv::<FromMounter>().await?;
            let Some(answer) = message.message else {
                // Something newer than we are; its sender cannot expect us to know it.
                continue;
            };
            if message.request == 0 {
                return Ok(answer);
            }
            if let Some(waiting) = self.forget(message.request) {
                // Nobody waits any more: the deadline was faster.
                let _ = waiting.send(answer);
            }
        }
    }

    /// Nothing will be answered any more: whoever waits is told so.
    pub(super) fn close(&self) {
        *self.waiting() = None;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting().is_none()
    }

    fn forget(&self, request: u64) -> Option<oneshot::Sender<Answer>> {
        self.waiting().as_mut()?.remove(&request)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a request off the table however its caller ends.
struct Forget<'a> {
    link: &'a Link,
    request: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.link.forget(self.request);
    }
}
