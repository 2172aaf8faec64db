//! A mounter, as the driver sees one.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

use dlf_wire::channel::{Channel, Listener};
use dlf_wire::mounter::v1::from_mounter::Message as Answer;
use dlf_wire::mounter::v1::to_mounter::Message;
use dlf_wire::mounter::v1::{
    Child, Configure, Done, Exited, Failed, FromMounter, Hello, Start, ToMounter, Usage,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::child;

/// A listening mounter; dropping it kills its children, as the end of its container would.
pub(crate) struct Mounter {
    accepting: JoinHandle<()>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    children: HashMap<String, Running>,
    configured: Vec<Configure>,
    started: Vec<Start>,
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
        let (accepted, revision) = (shared.clone(), revision.to_owned());
        let accepting = tokio::spawn(async move {
            loop {
                let channel = listener.accept().await.unwrap();
                serve(&channel, &revision, &accepted).await;
            }
        });
        Self { accepting, shared }
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

async fn serve(channel: &Channel, revision: &str, shared: &Arc<Mutex<Shared>>) {
    let (sender, mut queue) = mpsc::unbounded_channel();
    shared.lock().unwrap().driver = Some(sender);
    send(shared, 0, Answer::Hello(hello(revision, shared)));
    loop {
        tokio::select! {
            message = channel.recv::<ToMounter>() => {
                let Ok((message, device)) = message else { return };
                let answer = handle(message.message.unwrap(), device, shared);
                send(shared, message.request, answer);
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
            Answer::Done(Done {})
        }
        Message::Configure(configure) => {
            let mut shared = shared.lock().unwrap();
            let version = configure.dataset.as_ref().unwrap().version;
            if let Some(child) = shared.children.get_mut(&configure.mount_id) {
                child.version = version;
            }
            shared.configured.push(configure);
            Answer::Done(Done {})
        }
        Message::Stop(stop) => match shared.lock().unwrap().children.remove(&stop.mount_id) {
            Some(child) => {
                let _ = kill_process(Pid::from_raw(child.pid).unwrap(), Signal::KILL);
                Answer::Done(Done {})
            }
            None => Answer::Failed(Failed {
                reason: "NoSuchMount".into(),
                message: "there is no such mount".into(),
            }),
        },
        Message::List(_) => unreachable!("the driver does not list"),
    }
}

fn begin(start: Start, device: OwnedFd, shared: &Arc<Mutex<Shared>>) {
    let dataset = start.dataset.clone().unwrap();
    let text = format!("{} {}", dataset.volume_handle, dataset.source_revision);
    let mut child = child::spawn(device, &text);
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
