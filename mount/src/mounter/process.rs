//! One child process and the socket to it.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlf_wire::channel::{Channel, ChannelError, socket_pair};
use dlf_wire::mounter::v1::{Done, FromMounter, ToMounter, from_mounter, to_mounter};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex as AsyncMutex, Notify, oneshot};

use super::children::Refusal;

/// What a child gets of our environment. Keys never are in it.
const ENVIRONMENT: [&str; 2] = ["DLF_LOG", "DLF_LOG_FORMAT"];

/// From "I have stopped" to the end of the process.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Process {
    channel: Channel,
    pid: u32,
    child: AsyncMutex<Child>,
    requests: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<from_mounter::Message>>>,
    gone: Notify,
    /// Whether the process has been waited for: its pid may be another's from then on.
    reaped: Mutex<bool>,
}

impl Process {
    /// Starts `program child` with a uid and gid of its own, the socket as standard input and next
    /// to no environment.
    pub(super) fn spawn(program: &Path, staging: &Path, uid: u32) -> io::Result<Self> {
        let (ours, theirs) = socket_pair().map_err(io::Error::other)?;
        let mut command = Command::new(program);
        command
            .arg("--staging-dir")
            .arg(staging)
            .arg("child")
            .env_clear()
            .current_dir("/")
            .uid(uid)
            .gid(uid)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .kill_on_drop(true);
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let child = command.spawn()?;
        let pid = child
            .id()
            .ok_or_else(|| io::Error::other("it has no pid"))?;
        Ok(Self {
            channel: Channel::from_socket(ours).map_err(io::Error::other)?,
            pid,
            child: AsyncMutex::new(child),
            requests: AtomicU64::new(1),
            waiting: Mutex::default(),
            gone: Notify::new(),
            reaped: Mutex::new(false),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks the child and waits for its answer, no longer than `limit`.
    pub(super) async fn ask(
        &self,
        message: to_mounter::Message,
        descriptor: Option<BorrowedFd<'_>>,
        limit: Duration,
    ) -> Result<Done, Refusal> {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(request, sender);
        let message = ToMounter {
            request,
            message: Some(message),
        };
        let exchange = async {
            self.channel.send(&message, descriptor).await?;
            answer.await.map_err(|_| ChannelError::Closed)
        };
        let result = tokio::time::timeout(limit, exchange).await;
        self.waiting().remove(&request);
        match result {
            Ok(Ok(from_mounter::Message::Done(done))) => Ok(done),
            Ok(Ok(from_mounter::Message::Failed(failed))) => {
                Err(Refusal::new(&failed.reason, failed.message))
            }
            Ok(Ok(_)) => Err(Refusal::new("ChildFailed", "it gave a wrong answer")),
            Ok(Err(ChannelError::Closed)) => Err(Refusal::new(Refusal::ENDED, "it has ended")),
            Ok(Err(error)) => Err(Refusal::new("ChildFailed", error.to_string())),
            Err(_) => Err(Refusal::new("ChildFailed", "it does not answer")),
        }
    }

    /// Hands answers to those who wait and the rest to `tell`, until the process has ended; then
    /// says why, for people.
    pub(super) async fn run(&self, tell: impl Fn(FromMounter)) -> String {
        let mut child = self.child.lock().await;
        let listen = async {
            while let Ok((message, _)) = self.channel.recv::<FromMounter>().await {
                self.deliver(message, &tell);
            }
            // It may still have to write out and exit.
            std::future::pending::<()>().await;
        };
        let status = tokio::select! {
            status = child.wait() => status,
            () = listen => Err(io::ErrorKind::BrokenPipe.into()),
        };
        *self.reaped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        // Whoever waits for an answer learns that there is none.
        self.waiting().clear();
        self.gone.notify_waiters();
        describe(&status)
    }

    fn deliver(&self, message: FromMounter, tell: &impl Fn(FromMounter)) {
        let waiting = self.waiting().remove(&message.request);
        match (waiting, message.message) {
            // The one who asked may have stopped waiting.
            (Some(waiting), Some(answer)) => drop(waiting.send(answer)),
            (_, message_body) => tell(FromMounter {
                request: message.request,
                message: message_body,
            }),
        }
    }

    /// Waits for the end of a process that was told to stop, and kills it if need be.
    pub(super) async fn end(&self) {
        let gone = self.gone.notified();
        tokio::pin!(gone);
        gone.as_mut().enable();
        if self.has_ended() {
            return;
        }
        if tokio::time::timeout(EXIT_TIMEOUT, &mut gone).await.is_err() {
            self.kill();
            gone.await;
        }
    }

    fn has_ended(&self) -> bool {
        *self.reaped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process at once.
    pub(super) fn kill(&self) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let (false, Some(pid)) = (*reaped, pid)
            && let Err(error) = kill_process(pid, Signal::KILL)
        {
            tracing::warn!(%error, pid = self.pid, "a child could not be killed");
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<from_mounter::Message>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(status: &io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status {
        Ok(status) if status.success() => "unmounted".to_owned(),
        Ok(status) => match (status.signal(), status.code()) {
            (Some(signal), _) => format!("signal {signal}"),
            (_, Some(code)) => format!("exit status {code}"),
            _ => "unknown".to_owned(),
        },
        Err(error) => error.to_string(),
    }
}
