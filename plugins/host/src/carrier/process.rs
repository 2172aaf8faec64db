//! A program in any language as a child: it finds a Unix socket in `DLF_PLUGIN_SOCKET`, connects, and
//! answers frames until the connection ends.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use async_trait::async_trait;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, kill_process_group, prlimit, waitpgid,
};
use tempfile::TempDir;
use tokio::{
    net::UnixListener,
    process::{Child, Command},
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{
    OPEN,
    socket::{Connect, Stream},
};

/// The environment variable that names the socket.
pub const SOCKET: &str = "DLF_PLUGIN_SOCKET";
/// A second before whoever waits gives up, so that who is too slow is told by what it did not do.
const START: Duration = OPEN.saturating_sub(Duration::from_secs(1));
/// A process closes its socket some moments before its end can be seen.
const ENDING: Duration = Duration::from_millis(200);
/// How often a process that is being ended is looked for.
const REAPING: Duration = Duration::from_millis(5);

/// A program that is started when it is needed, and again when it has ended.
pub struct Process {
    program: PathBuf,
    arguments: Vec<OsString>,
    directory: TempDir,
    /// It is a group of processes of its own.
    contained: bool,
    /// What each of its processes may have, in bytes.
    memory: Option<u64>,
    child: Mutex<Option<Running>>,
}

/// A child, ended when this is dropped.
struct Running {
    child: Child,
    /// Its own group of processes, if it has one.
    group: Option<Pid>,
}

impl Process {
    /// The program with these arguments, not yet started.
    ///
    /// # Errors
    /// No directory for its socket can be made.
    pub fn new(program: &Path, arguments: Vec<OsString>) -> std::io::Result<Self> {
        Ok(Self {
            program: program.to_owned(),
            arguments,
            directory: tempfile::Builder::new().prefix("dlf-plugin-").tempdir()?,
            contained: false,
            memory: None,
            child: Mutex::default(),
        })
    }

    /// The same as a group of processes, which ends as a whole and gets no signal from a terminal. Each of
    /// them is refused more `memory` than this many bytes (`RLIMIT_DATA`), if that is given: a kernel that
    /// finds a container above its limit ends all that is in it.
    #[must_use]
    pub fn contained(mut self, memory: Option<u64>) -> Self {
        self.contained = true;
        self.memory = memory;
        self
    }

    /// Ends the child of a connection that is gone: there is one child at a time.
    async fn start(&self, socket: &Path) -> std::io::Result<()> {
        let mut running = self.child.lock().await;
        if let Some(mut old) = running.take() {
            old.kill().await;
        }
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env(SOCKET, socket)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if self.contained {
            command.process_group(0);
        }
        let child = command.spawn()?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let (Some(pid), Some(memory)) = (pid, self.memory) {
            bound_memory(pid, memory);
        }
        *running = Some(Running {
            child,
            group: pid.filter(|_| self.contained),
        });
        Ok(())
    }

    /// How the child ended, once it has.
    async fn ended(&self) -> String {
        let mut running = self.child.lock().await;
        let Some(Running { child, .. }) = running.as_mut() else {
            return "it does not run".to_owned();
        };
        let ended = child.wait().await;
        *running = None;
        match ended {
            Ok(status) => format!("it ended with {status} before it connected"),
            Err(error) => error.to_string(),
        }
    }
}

/// Before it has connected it was asked nothing: what it takes until here is its own start.
fn bound_memory(pid: Pid, bytes: u64) {
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    if let Err(error) = prlimit(Some(pid), Resource::Data, limit) {
        tracing::warn!(%error, "the plugin's memory is not bounded below its container's");
    }
}

impl Running {
    async fn kill(&mut self) {
        self.kill_group();
        let _ = self.child.kill().await;
        let Some(group) = self.group.take() else {
            return;
        };
        // Those of the group that the child left behind are ours now, where we are the first process of a
        // container: nobody else would take their place in the table of processes from them.
        let _ = timeout(ENDING, async {
            while let Ok(reaped) = waitpgid(group, WaitOptions::NOHANG) {
                if reaped.is_none() {
                    sleep(REAPING).await; // it is being ended
                }
            }
        })
        .await;
    }

    fn kill_group(&self) {
        // A group that is empty is no more.
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}

#[async_trait]
impl Connect for Process {
    async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let program = self.program.display();
        let socket = self.directory.path().join("plugin.sock");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).map_err(|error| error.to_string())?;
        self.start(&socket)
            .await
            .map_err(|error| format!("{program} cannot be started: {error}"))?;
        let connected = async {
            tokio::select! {
                accepted = listener.accept() => accepted.map_err(|error| error.to_string()),
                why = self.ended() => Err(why),
            }
        };
        match timeout(START, connected).await {
            Ok(Ok((stream, _))) => Ok(Box::new(stream)),
            Ok(Err(why)) => Err(format!("{program}: {why}")),
            Err(_) => Err(format!(
                "{program} did not connect to the socket in {SOCKET} within {} s",
                START.as_secs()
            )),
        }
    }

    async fn end(&self) -> Option<String> {
        let mut running = self.child.lock().await.take()?;
        let ended = timeout(ENDING, running.child.wait()).await;
        running.kill().await;
        let status = ended.ok()?.ok()?;
        Some(status.to_string())
    }
}
