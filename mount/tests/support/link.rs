//! A driver's connection to a mounter. It answers at any time how threads end, as a driver does that knows
//! the question.

use std::fs;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dlf_wire::channel::{Channel, ChannelError};
use dlf_wire::mounter::v1::{Ask, FromMounter, Hello, ToMounter, Told, from_mounter, to_mounter};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Position of `exit_code` in `/proc/TID/stat`, counted from the field behind the command's name
/// (proc(5): fields 3 and 52).
const EXIT_CODE: usize = 52 - 3;

pub struct Link {
    channel: Arc<Channel>,
    received: mpsc::UnboundedReceiver<Result<FromMounter, ChannelError>>,
    listening: AbortHandle,
    knows_questions: Arc<AtomicBool>,
}

impl Link {
    /// Connects as soon as the mounter listens, and takes its greeting.
    pub fn to(socket: &Path, runtime: &Runtime) -> (Self, Hello) {
        let (channel, hello) = runtime.block_on(connect(socket));
        let channel = Arc::new(channel);
        let (sender, received) = mpsc::unbounded_channel();
        let knows_questions = Arc::new(AtomicBool::new(true));
        let listening = runtime
            .spawn(listen(channel.clone(), sender, knows_questions.clone()))
            .abort_handle();
        let link = Self {
            channel,
            received,
            listening,
            knows_questions,
        };
        (link, hello)
    }

    /// From now on it passes over questions, as an older driver does.
    pub fn know_no_questions(&self) {
        self.knows_questions.store(false, Ordering::Relaxed);
    }

    pub async fn send(&self, message: &ToMounter, descriptor: Option<BorrowedFd<'_>>) {
        self.channel.send(message, descriptor).await.unwrap();
    }

    /// The next message that is no question.
    pub async fn receive(&mut self, within: Duration) -> Result<FromMounter, ChannelError> {
        let received = tokio::time::timeout(within, self.received.recv()).await;
        let received = received.expect("the mounter says something in time");
        received.unwrap_or(Err(ChannelError::Closed))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn connect(socket: &Path) -> (Channel, Hello) {
    let deadline = Instant::now() + TIMEOUT;
    let channel = loop {
        match Channel::connect(socket) {
            Ok(channel) => break channel,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    match channel.recv::<FromMounter>().await.unwrap().0.message {
        Some(from_mounter::Message::Hello(hello)) => (channel, hello),
        other => panic!("no greeting: {other:?}"),
    }
}

async fn listen(
    channel: Arc<Channel>,
    sender: mpsc::UnboundedSender<Result<FromMounter, ChannelError>>,
    knows_questions: Arc<AtomicBool>,
) {
    loop {
        let received = channel
            .recv::<FromMounter>()
            .await
            .map(|(message, _)| message);
        let over = received.is_err();
        match received {
            Ok(FromMounter {
                message: Some(from_mounter::Message::Ask(ask)),
                ..
            }) => {
                if !knows_questions.load(Ordering::Relaxed) {
                    continue;
                }
                let answer = ToMounter {
                    request: 0,
                    message: Some(to_mounter::Message::Told(answer(&ask))),
                };
                // The mounter may have gone meanwhile.
                let _ = channel.send(&answer, None).await;
            }
            received => {
                // The test may have let go of the link.
                let _ = sender.send(received);
            }
        }
        if over {
            return;
        }
    }
}

fn answer(ask: &Ask) -> Told {
    let stat = fs::read_to_string(format!("/proc/{}/stat", ask.thread));
    let exit_code = stat.ok().and_then(|stat| {
        let fields = stat.rsplit_once(')')?.1;
        fields.split_whitespace().nth(EXIT_CODE)?.parse().ok()
    });
    Told {
        mount_id: ask.mount_id.clone(),
        question: ask.question,
        exit_code,
    }
}
