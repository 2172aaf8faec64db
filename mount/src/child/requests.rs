//! What the mounter says while a mount is served.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use dlf_wire::channel::{Channel, ChannelError};
use dlf_wire::mounter::v1::{ToMounter, to_mounter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::node::endings::Endings;

/// Requests of the mounter that wait while one is carried out. The driver has one of each kind under
/// way.
const REQUESTS_MAX: usize = 16;

/// What the mounter asks for, in its order. Answers to questions of ours overtake it: whoever waits
/// for one may be what a request waits for.
pub(super) struct Requests {
    received: mpsc::Receiver<ToMounter>,
    listening: JoinHandle<Result<Infallible, ChannelError>>,
}

impl Requests {
    pub(super) fn of(channel: Arc<Channel>, endings: Endings) -> Self {
        let (sender, received) = mpsc::channel(REQUESTS_MAX);
        let listening = tokio::spawn(async move {
            loop {
                match channel.recv::<ToMounter>().await?.0 {
                    ToMounter {
                        message: Some(to_mounter::Message::Told(answer)),
                        ..
                    } => endings.answer(&answer),
                    request => {
                        let sent = sender.send(request).await;
                        sent.map_err(|_| ChannelError::Closed)?;
                    }
                }
            }
        });
        Self {
            received,
            listening,
        }
    }

    /// The next request, or why there will be none.
    pub(super) async fn next(&mut self) -> Result<ToMounter, ChannelError> {
        if let Some(request) = self.received.recv().await {
            return Ok(request);
        }
        match (&mut self.listening).await {
            Ok(Ok(never)) => match never {},
            Ok(Err(error)) => Err(error),
            Err(error) => Err(io::Error::other(error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use dlf_wire::mounter::v1::{FromMounter, List, Told, from_mounter};

    use super::*;
    use crate::node::endings::Ending;

    #[tokio::test]
    async fn an_answer_overtakes_requests_that_wait() {
        let (ours, mounter) = Channel::pair().unwrap();
        let ours = Arc::new(ours);
        let endings = Endings::new("m".to_owned(), ours.clone());
        let mut requests = Requests::of(ours, endings.clone());
        let list = ToMounter {
            request: 1,
            message: Some(to_mounter::Message::List(List {})),
        };
        let answering = async {
            let message = mounter.recv::<FromMounter>().await.unwrap().0.message;
            let Some(from_mounter::Message::Ask(ask)) = message else {
                panic!("no question: {message:?}");
            };
            mounter.send(&list, None).await.unwrap();
            let answer = Told {
                mount_id: ask.mount_id,
                question: ask.question,
                exit_code: Some(9),
            };
            let answer = ToMounter {
                request: 0,
                message: Some(to_mounter::Message::Told(answer)),
            };
            mounter.send(&answer, None).await.unwrap();
        };
        // Nobody takes the request meanwhile.
        let (ending, ()) = tokio::join!(endings.of(7), answering);
        assert_eq!(ending, Ending::Signal(9));
        assert_eq!(requests.next().await.unwrap(), list);
        drop(mounter);
        assert!(matches!(requests.next().await, Err(ChannelError::Closed)));
    }
}
