//! Runs one plugin, a shared library or a program in any language, in a process of its own, and answers the
//! operator for it over mutual TLS. A library is run by this program once more, as a child: so whichever it
//! is, a plugin that hangs or ends is started anew, and this process lives on.

mod copy;
mod memory;
mod settings;
mod tls;

use std::{error::Error, ffi::OsString, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use dlf_plugin_host::carrier::{
    self, ANSWER, Channel, Fault, NegotiationError, Process, Question, Remote, Socket, Turns,
    process::SOCKET, serve,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::{
    net::UnixStream,
    signal::unix::{SignalKind, signal},
};
use tracing::{info, warn};

pub use settings::{Library, Settings};

/// Runs the plugin until whoever asks it goes, or until this process is told to end; or copies itself.
///
/// # Errors
/// Why it cannot be run, for a person.
pub async fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    if let Some(directory) = &settings.copy_to {
        return copy::copy_to(directory);
    }
    let Some(listen) = settings.listen else {
        return answer_parent(&settings.library).await;
    };
    bound_processes();
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = answer_operator(&settings, listen) => ended,
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

async fn answer_operator(settings: &Settings, listen: SocketAddr) -> Result<(), Box<dyn Error>> {
    let directory = settings
        .tls
        .as_deref()
        .ok_or("--listen needs --tls DIRECTORY")?;
    let plugin = Socket::new(child(settings)?.contained(memory::of_plugin()));
    let plugin = Arc::new(Turns::new(Arc::new(plugin), ANSWER));
    let met = Remote::meet(Arc::clone(&plugin) as Arc<dyn Channel>).await;
    // One that does not even say who it is ends this process, so that its pod is not ready and says why. What
    // it says of itself is the operator's to judge.
    if let Err(NegotiationError::Silent(fault)) = met {
        return Err(fault.into());
    }
    info!(%listen, "answering the operator");
    tls::answer(listen, directory, plugin).await
}

/// The plugin's process.
fn child(settings: &Settings) -> Result<Process, Box<dyn Error>> {
    let Library { library, sha256 } = &settings.library;
    let process = match (library, settings.program.split_first()) {
        (Some(library), None) => {
            let mut arguments: Vec<OsString> = vec!["--library".into(), library.into()];
            if let Some(sha256) = sha256 {
                arguments.extend(["--sha256".into(), sha256.into()]);
            }
            Process::new(&std::env::current_exe()?, arguments)
        }
        (None, Some((program, arguments))) => {
            let arguments = arguments.iter().map(Into::into).collect();
            Process::new(program.as_ref(), arguments)
        }
        _ => return Err("give either --library FILE or a program and its arguments".into()),
    };
    Ok(process?)
}

/// Is the process of a library: answers the parent that started it until that goes. The parent ends it when it
/// takes too long. A library that cannot be loaded is answered with why.
///
/// # Errors
/// Why nobody is answered, for a person.
pub async fn answer_parent(plugin: &Library) -> Result<(), Box<dyn Error>> {
    let library = plugin
        .library
        .as_deref()
        .ok_or("--library FILE is missing")?;
    let socket = std::env::var_os(SOCKET)
        .ok_or_else(|| format!("neither --listen ADDRESS nor a socket in {SOCKET} is given"))?;
    let stream = UnixStream::connect(socket).await?;
    let loaded = carrier::Library::load(library, plugin.sha256.as_deref());
    let channel: Arc<dyn Channel> = match loaded {
        Ok(library) => Arc::new(library),
        Err(error) => Arc::new(NotLoaded(error.to_string())),
    };
    Ok(serve(stream, channel).await?)
}

struct NotLoaded(String);

#[async_trait]
impl Channel for NotLoaded {
    async fn call(&self, _: Question) -> Result<Vec<u8>, Fault> {
        Err(Fault::Unreachable(self.0.clone()))
    }
}
