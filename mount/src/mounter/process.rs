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
use dlf_wire::mounter::v1::{Done, FromMounter, ToMounter, Told, from_mounter, to_mounter};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpgid};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex as AsyncMutex, Notify, oneshot};
use tokio::time::Instant;

use super::questions::Questions;
use super::refusal::Refusal;
use crate::node::endings::ANSWER_WITHIN;

/// What a child gets of our environment. Keys never are in it.
const ENVIRONMENT: [&str; 2] = ["DLF_LOG", "DLF_LOG_FORMAT"];

/// How a child's C library allocates (glibc's mallopt(3)): with two arenas, and with mappings of
/// their own for what is large, which the kernel has back at once. By its defaults it keeps up to
/// twice the largest buffer for each arena, and an arena for each thread.
const ALLOCATOR: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "2097152"),
    ("MALLOC_TRIM_THRESHOLD_", "2097152"),
];

/// From "I have stopped" to the end of the process.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// How often we look whether what was killed has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Process {
    channel: Channel,
    pid: u32,
    child: AsyncMutex<Child>,
    requests: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<from_mounter::Message>>>,
    questions: Questions,
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
            .envs(ALLOCATOR)
            .current_dir("/")
            .uid(uid)
            .gid(uid)
            // Of its own: so what it leaves behind is known as its.
            .process_group(0)
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
            questions: Questions::default(),
            gone: Notify::new(),
            reaped: Mutex::new(false),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn questions(&self) -> &Questions {
        &self.questions
    }

    /// Waits for the answer to a question of the child's and brings it, no longer than the child
    /// waits for it: one that hangs takes nothing.
    pub(super) async fn tell(&self, question: u64, answer: oneshot::Receiver<Told>) {
        let exchange = async {
            // An error: it was given up.
            let Ok(answer) = answer.await else { return };
            let message = ToMounter {
                request: 0,
                message: Some(to_mounter::Message::Told(answer)),
            };
            if let Err(error) = self.channel.send(&message, None).await {
                tracing::debug!(%error, child = self.pid, "an answer did not reach a child");
            }
        };
        // Late is not at all.
        let _ = tokio::time::timeout(ANSWER_WITHIN, exchange).await;
        self.questions.forget(question);
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
        self.end_the_rest().await;
        // Whoever waits for an answer learns that there is none.
        self.waiting().clear();
        self.gone.notify_waiters();
        describe(&status)
    }

    /// Ends what the child started and left behind, and waits for it: it is ours now, and nobody
    /// else does. libfuse never waits for the `fusermount` it runs for `auto_unmount`, and s3fs
    /// outlives a child that was killed.
    async fn end_the_rest(&self) {
        let Some(group) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return;
        };
        let until = Instant::now() + EXIT_TIMEOUT;
        // An error: the group has nobody any more.
        while let Ok(ended) = waitpgid(group, WaitOptions::NOHANG) {
            if ended.is_some() {
                continue;
            }
            if Instant::now() > until {
                tracing::warn!(child = self.pid, "what a child started goes on running");
                return;
            }
            // Somebody lives, so the number is still this group's; or has ended this instant.
            let _ = kill_process_group(group, Signal::KILL);
            tokio::time::sleep(LOOK_EVERY).await;
        }
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use rustix::process::{getpid, set_child_subreaper, test_kill_process};

    use super::*;

    #[tokio::test]
    async fn what_a_child_started_and_left_ends_with_it_and_is_waited_for() {
        if !rustix::process::geteuid().is_root() {
            println!(
                "SKIPPED what_a_child_started_and_left_ends_with_it_and_is_waited_for: \
                 it is not root, and cannot give a child a uid"
            );
            return;
        }
        // As a mounter does at its start.
        set_child_subreaper(Some(getpid())).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (program, left) = (
            directory.path().join("leaves"),
            directory.path().join("left"),
        );
        // One that has ended already, and one that would go on.
        let script = format!(
            "#!/bin/sh\n/bin/true &\n/bin/sleep 600 &\necho $! > {}\n",
            left.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let process = Process::spawn(&program, directory.path(), 0).unwrap();
        assert_eq!(process.run(|_| ()).await, "unmounted");
        let pid = fs::read_to_string(left).unwrap().trim().parse().unwrap();
        let pid = Pid::from_raw(pid).unwrap();
        assert_eq!(test_kill_process(pid), Err(rustix::io::Errno::SRCH));
        let group = Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap();
        let ended = waitpgid(group, WaitOptions::NOHANG);
        assert!(matches!(ended, Err(rustix::io::Errno::CHILD)), "{ended:?}");
    }
}
