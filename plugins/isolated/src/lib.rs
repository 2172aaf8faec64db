//! Runs one plugin, a shared library or a program in any language, in a process of
//! its own, and answers for it: to the parent that started it over a Unix socket, or to the operator
//! over mutual TLS.

mod copy;
mod settings;
mod tls;

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use dlf_plugin_host::{
    carrier::{Channel, Fault, Guard, Library, Limits, Process, Socket, process::SOCKET, serve},
    metrics::Metrics,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::{
    net::UnixStream,
    signal::unix::{SignalKind, signal},
};
use tracing::{error, info, warn};

pub use settings::Settings;

/// Exit code of a process whose plugin hangs (`EX_SOFTWARE` of sysexits.h).
const EXIT_HANGS: i32 = 70;

/// Runs the plugin until whoever asks it goes, or until this process is told to end; or copies itself.
///
/// # Errors
/// Why it cannot be run, for a person.
pub async fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    if let Some(directory) = &settings.copy_to {
        return copy::copy_to(directory);
    }
    if settings.listen.is_some() {
        bound_processes();
    }
    let plugin: Arc<dyn Channel> = match (&settings.library, settings.program.split_first()) {
        (Some(library), None) => {
            let library = Library::load(library, settings.sha256.as_deref())?;
            Arc::new(OrEnd(library))
        }
        (None, Some((program, arguments))) => {
            let arguments = arguments.iter().map(Into::into).collect();
            Arc::new(Socket::new(Process::new(program.as_ref(), arguments)?))
        }
        _ => return Err("give either --library FILE or a program and its arguments".into()),
    };
    let channel = Arc::new(Guard::new(
        "it",
        plugin,
        Limits::default(),
        Metrics::default(),
    ));
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = answer(&settings, channel) => ended,
        _ = terminate.recv() => Ok(()),
    }
}

/// Processes and threads of the plugin's user on this node, all together: a plugin that forks without
/// end finds its own limit before the node's. A plugin needs a handful.
const PROCESSES_MAX: u64 = 512;

/// Of root, who has no such limit, none is taken.
fn bound_processes() {
    let limit = Rlimit {
        current: Some(PROCESSES_MAX),
        maximum: Some(PROCESSES_MAX),
    };
    if let Err(error) = setrlimit(Resource::Nproc, limit) {
        warn!(%error, "the number of processes is not bounded");
    }
}

/// A library that hangs cannot be unloaded, so this process ends and is started anew.
struct OrEnd(Library);

#[async_trait]
impl Channel for OrEnd {
    async fn call(&self, message: Vec<u8>) -> Result<Vec<u8>, Fault> {
        self.0.call(message).await
    }

    async fn reset(&self) {
        error!("the plugin fails again and again; this process ends to begin anew");
        std::process::exit(EXIT_HANGS);
    }
}

async fn answer(settings: &Settings, channel: Arc<dyn Channel>) -> Result<(), Box<dyn Error>> {
    if let Some(listen) = settings.listen {
        let directory = settings
            .tls
            .as_deref()
            .ok_or("--listen needs --tls DIRECTORY")?;
        info!(%listen, "answering the operator");
        return tls::answer(listen, directory, channel).await;
    }
    let socket = std::env::var_os(SOCKET)
        .ok_or_else(|| format!("neither --listen ADDRESS nor a socket in {SOCKET} is given"))?;
    let stream = UnixStream::connect(socket).await?;
    Ok(serve(stream, channel).await?)
}
