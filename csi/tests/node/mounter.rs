//! A mounter, as the driver sees one.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dlf_wire::channel::{Channel, Listener};
use dlf_wire::mounter::v1::from_mounter::Message as Answer;
use dlf_wire::mounter::v1::to_mounter::Message;
use dlf_wire::mounter::v1::{
    Ask, Child, Configure, Done, Exited, Failed, FromMounter, Hello, Start, ToMounter, Told, Usage,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::child;

/// A listening mounter; dropping it kills its children, as the end of its container would.
pub(crate) struct Mounter {
    accepting: JoinHandle<()>,
    shared: Arc<Mutex<Shared>>,
    gates: Arc<Gates>,
}

/// What a test can hold up.
struct Gates {
    connected: watch::Sender<bool>,
    answering_starts: watch::Sender<bool>,
}

impl Gates {
    async fn wait(gate: &watch::Sender<bool>, open: bool) {
        // The sender is this one: it has not gone.
        let _ = gate.subscribe().wait_for(|is_open| *is_open == open).await;
    }
}

#[derive(Default)]
struct Shared {
    children: HashMap<String, Running>,
    configured: Vec<Configure>,
    refreshed: Vec<String>,
    started: Vec<Start>,
    answers: Vec<Told>,
    /// Where children say who closes a file.
    closes: Option<PathBuf>,
    /// Figures of the next child that is stopped.
    last_figures: Option<Usage>,
    driver: Option<mpsc::UnboundedSender<FromMounter>>,
}

struct Running {
    pid: i32,
    version: u64,
    handle: String,
}

impl Mounter {
    pub(crate) fn listen(kubelet: &Path, revision: &str) -> Self {
        let directory = kubelet.join("plugins/csi.dlf.dev/mounters").join(revision);
        std::fs::create_dir_all(&directory).unwrap();
        let listener = Listener::bind(&directory.join("m.sock")).unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let gates = Arc::new(Gates {
            connected: watch::Sender::new(true),
            answering_starts: watch::Sender::new(true),
        });
        let (accepted, holding, revision) = (shared.clone(), gates.clone(), revision.to_owned());
        let accepting = tokio::spawn(async move {
            loop {
                Gates::wait(&holding.connected, true).await;
                let channel = listener.accept().await.unwrap();
                tokio::select! {
                    () = serve(channel, &revision, &accepted, &holding) => {}
                    () = Gates::wait(&holding.connected, false) => {}
                }
            }
        });
        Self {
            accepting,
            shared,
            gates,
        }
    }

    /// Ends the driver's connection and takes no other, or takes one again.
    pub(crate) fn set_connected(&self, connected: bool) {
        self.gates.connected.send_replace(connected);
    }

    /// Starts children and says nothing, or answers.
    pub(crate) fn set_answering_starts(&self, answering: bool) {
        self.gates.answering_starts.send_replace(answering);
    }

    /// What the next child that is stopped has to report.
    pub(crate) fn set_last_figures(&self, usage: Usage) {
        self.shared.lock().unwrap().last_figures = Some(usage);
    }

    pub(crate) fn children(&self) -> Vec<String> {
        let mut ids: Vec<_> = self
            .shared
            .lock()
            .unwrap()
            .children
            .keys()
            .cloned()
            .collect();
        ids.sort();
        ids
    }

    pub(crate) fn started(&self) -> Vec<Start> {
        self.shared.lock().unwrap().started.clone()
    }

    pub(crate) fn configured(&self) -> Vec<Configure> {
        self.shared.lock().unwrap().configured.clone()
    }

    /// Mounts that have been told of new consumers.
    pub(crate) fn refreshed(&self) -> Vec<String> {
        self.shared.lock().unwrap().refreshed.clone()
    }

    /// Children that are started from now on say in this directory who closes a file, and wait.
    pub(crate) fn watch_closes(&self, directory: PathBuf) {
        self.shared.lock().unwrap().closes = Some(directory);
    }

    /// Asks the driver, unasked.
    pub(crate) fn ask(&self, ask: Ask) {
        send(&self.shared, 0, Answer::Ask(ask));
    }

    /// What the driver answered to a question.
    pub(crate) fn answer(&self, question: u64) -> Option<Told> {
        let shared = self.shared.lock().unwrap();
        let mut answers = shared.answers.iter();
        answers.find(|answer| answer.question == question).cloned()
    }

    /// Sends a signal to every child.
    pub(crate) fn signal(&self, signal: Signal) {
        for child in self.shared.lock().unwrap().children.values() {
            let _ = kill_process(Pid::from_raw(child.pid).unwrap(), signal);
        }
    }

    /// Reports counters, unasked.
    pub(crate) fn report(&self, usage: Usage) {
        send(&self.shared, 0, Answer::Usage(usage));
    }
}

impl Drop for Mounter {
    fn drop(&mut self) {
        self.accepting.abort();
        self.signal(Signal::KILL);
    }
}

async fn serve(channel: Channel, revision: &str, shared: &Arc<Mutex<Shared>>, gates: &Arc<Gates>) {
    let (sender, mut queue) = mpsc::unbounded_channel();
    shared.lock().unwrap().driver = Some(sender);
    send(shared, 0, Answer::Hello(hello(revision, shared)));
    loop {
        tokio::select! {
            message = channel.recv::<ToMounter>() => {
                let Ok((message, device)) = message else { return };
                let request = message.message.unwrap();
                if let Message::Told(answer) = request {
                    assert_eq!(message.request, 0);
                    shared.lock().unwrap().answers.push(answer);
                    continue;
                }
                let waits = matches!(request, Message::Start(_));
                let answer = handle(request, device, shared);
                let (shared, gates) = (shared.clone(), gates.clone());
                tokio::spawn(async move {
                    if waits {
                        Gates::wait(&gates.answering_starts, true).await;
                    }
                    send(&shared, message.request, answer);
                });
            }
            Some(message) = queue.recv() => {
                if channel.send(&message, None).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn hello(revision: &str, shared: &Arc<Mutex<Shared>>) -> Hello {
    let shared = shared.lock().unwrap();
    let child = |(id, running): (&String, &Running)| Child {
        mount_id: id.clone(),
        volume_handle: running.handle.clone(),
        version: running.version,
        pid: running.pid.unsigned_abs(),
    };
    Hello {
        revision: revision.to_owned(),
        children: shared.children.iter().map(child).collect(),
    }
}

fn handle(message: Message, device: Option<OwnedFd>, shared: &Arc<Mutex<Shared>>) -> Answer {
    match message {
        Message::Start(start) => {
            begin(start, device.unwrap(), shared);
            Answer::Done(Done::default())
        }
        Message::Configure(configure) => {
            let mut shared = shared.lock().unwrap();
            let version = configure.dataset.as_ref().unwrap().version;
            if let Some(child) = shared.children.get_mut(&configure.mount_id) {
                child.version = version;
            }
            shared.configured.push(configure);
            Answer::Done(Done::default())
        }
        // As a mounter that is older than the question.
        Message::Refresh(refresh) => {
            shared.lock().unwrap().refreshed.push(refresh.mount_id);
            Answer::Failed(Failed {
                reason: "InvalidRequest".into(),
                message: "the request says nothing".into(),
            })
        }
        Message::Stop(stop) => {
            let mut shared = shared.lock().unwrap();
            match shared.children.remove(&stop.mount_id) {
                Some(child) => {
                    let _ = kill_process(Pid::from_raw(child.pid).unwrap(), Signal::KILL);
                    let usage = shared.last_figures.take().map(|usage| Usage {
                        mount_id: stop.mount_id,
                        ..usage
                    });
                    Answer::Done(Done {
                        usage,
                        ..Done::default()
                    })
                }
                None => Answer::Failed(Failed {
                    reason: "NoSuchMount".into(),
                    message: "there is no such mount".into(),
                }),
            }
        }
        Message::List(_) => unreachable!("the driver does not list"),
        Message::Memory(_) => unreachable!("the mounter tells its children itself"),
        Message::Told(_) => unreachable!("an answer has no answer"),
    }
}

fn begin(start: Start, device: OwnedFd, shared: &Arc<Mutex<Shared>>) {
    let dataset = start.dataset.clone().unwrap();
    let text = format!("{} {}", dataset.volume_handle, dataset.source_revision);
    let closes = shared.lock().unwrap().closes.clone();
    let mut child = child::spawn(device, &text, closes.as_deref());
    let running = Running {
        pid: i32::try_from(child.id()).unwrap(),
        version: dataset.version,
        handle: dataset.volume_handle,
    };
    let id = start.mount_id.clone();
    let mut state = shared.lock().unwrap();
    state.children.insert(id.clone(), running);
    state.started.push(start);
    let shared = shared.clone();
    std::thread::spawn(move || {
        let _ = child.wait();
        // A child that was stopped has been taken out already.
        if shared.lock().unwrap().children.remove(&id).is_some() {
            let exited = Exited {
                mount_id: id,
                cause: "killed by a test".into(),
            };
            send(&shared, 0, Answer::Exited(exited));
        }
    });
}

fn send(shared: &Arc<Mutex<Shared>>, request: u64, answer: Answer) {
    let message = FromMounter {
        request,
        message: Some(answer),
    };
    if let Some(driver) = &shared.lock().unwrap().driver {
        let _ = driver.send(message);
    }
}
