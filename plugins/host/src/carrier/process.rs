//! A program in any language as a child: it finds a Unix socket in `DLF_PLUGIN_SOCKET`, connects, and
//! answers frames until the connection ends.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::{
    net::UnixListener,
    process::{Child, Command},
    sync::Mutex,
    time::timeout,
};

use super::socket::{Connect, Stream};

/// The environment variable that names the socket.
pub const SOCKET: &str = "DLF_PLUGIN_SOCKET";
/// Within the deadline of a call, so that who is too slow is told by what it did not do.
const START: Duration = Duration::from_secs(4);

/// A program that is started when it is needed, and again when it has ended.
pub struct Process {
    program: PathBuf,
    arguments: Vec<OsString>,
    directory: TempDir,
    child: Mutex<Option<Child>>,
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
            child: Mutex::default(),
        })
    }

    /// Ends the child of a connection that is gone: there is one child at a time.
    async fn start(&self, socket: &Path) -> std::io::Result<()> {
        let mut child = self.child.lock().await;
        if let Some(mut old) = child.take() {
            let _ = old.kill().await;
        }
        let started = Command::new(&self.program)
            .args(&self.arguments)
            .env(SOCKET, socket)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        *child = Some(started);
        Ok(())
    }

    /// How the child ended, once it has.
    async fn ended(&self) -> String {
        let mut child = self.child.lock().await;
        let Some(child) = child.as_mut() else {
            return "it does not run".to_owned();
        };
        match child.wait().await {
            Ok(status) => format!("it ended with {status} before it connected"),
            Err(error) => error.to_string(),
        }
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
}
