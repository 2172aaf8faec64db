//! The mounts of this mounter.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlf_wire::mounter::v1::{
    self as wire, Configure, Done, Exited, FromMounter, Start, Stop, from_mounter, to_mounter,
};
use tokio::sync::broadcast;

use super::MounterOptions;
use super::process::Process;
use super::refusal::Refusal;

/// Children at once. A node runs at most a few hundred pods, each rarely with more than one dataset
/// that no other pod has.
const CHILDREN_MAX: u32 = 512;

/// Children's uids and gids begin here: far above people's and services' (below 65,536) and in no
/// range that Debian's or Red Hat's tools give to containers (from 100,000 in steps of 65,536 as
/// they are asked for, and 524,288 in all by default).
const UID_FIRST: u32 = 700_000;

/// Events a driver may be behind: the usage reports of all children, twice.
const EVENTS_MAX: usize = 2 * CHILDREN_MAX as usize;

/// A child answers the kernel before it answers us, for which it allows itself 10 s.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// Configuring asks nobody.
const CONFIGURE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than a source's time-out, within which files that were closed get there.
const STOP_TIMEOUT: Duration = Duration::from_secs(100);

/// At our own end: what a pod's 30 s of grace leave.
const STOP_ALL_TIMEOUT: Duration = Duration::from_secs(25);

#[derive(Debug)]
pub(super) struct Children {
    program: PathBuf,
    options: MounterOptions,
    table: Mutex<Table>,
    events: broadcast::Sender<from_mounter::Message>,
}

#[derive(Debug)]
struct Table {
    running: HashMap<String, Child>,
    free: BTreeSet<u32>,
}

#[derive(Clone, Debug)]
struct Child {
    process: Arc<Process>,
    uid: u32,
    volume_handle: String,
    version: u64,
    stopping: bool,
}

impl Children {
    /// `program` is run for each child.
    pub(super) fn new(program: PathBuf, options: MounterOptions) -> Self {
        Self {
            program,
            options,
            table: Mutex::new(Table {
                running: HashMap::new(),
                free: (UID_FIRST..UID_FIRST + CHILDREN_MAX).collect(),
            }),
            events: broadcast::channel(EVENTS_MAX).0,
        }
    }

    pub(super) fn revision(&self) -> &str {
        &self.options.revision
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<from_mounter::Message> {
        self.events.subscribe()
    }

    pub(super) fn list(&self) -> Vec<wire::Child> {
        let table = self.table();
        let running = table.running.iter();
        running
            .map(|(mount_id, child)| wire::Child {
                mount_id: mount_id.clone(),
                volume_handle: child.volume_handle.clone(),
                version: child.version,
                pid: child.process.pid(),
            })
            .collect()
    }

    /// Starts a child on `device`; returns when it serves.
    pub(super) async fn start(
        self: &Arc<Self>,
        start: Start,
        device: OwnedFd,
    ) -> Result<Done, Refusal> {
        let mount_id = start.mount_id.clone();
        let process = self.spawn(&start)?;
        let watched = tokio::spawn(self.clone().watch(mount_id.clone(), process.clone()));
        let message = to_mounter::Message::Start(start);
        let started = process
            .ask(message, Some(device.as_fd()), START_TIMEOUT)
            .await;
        if started.is_err() {
            self.mark_stopping(&mount_id);
            process.kill();
            // It is gone from the table when this returns, so that the driver can try again.
            let _ = watched.await;
        }
        started
    }

    fn spawn(&self, start: &Start) -> Result<Arc<Process>, Refusal> {
        let mut table = self.table();
        if table.running.contains_key(&start.mount_id) {
            return Err(Refusal::new("AlreadyRunning", "this mount has a child"));
        }
        let uid = table.free.pop_first().ok_or_else(|| {
            Refusal::new(
                "TooManyMounts",
                format!("this mounter has {CHILDREN_MAX} mounts"),
            )
        })?;
        let staging = &self.options.staging_dir;
        let process = match Process::spawn(&self.program, staging, uid) {
            Ok(process) => Arc::new(process),
            Err(error) => {
                table.free.insert(uid);
                return Err(Refusal::new("ChildFailed", error.to_string()));
            }
        };
        let dataset = start.dataset.as_ref();
        let child = Child {
            process: process.clone(),
            uid,
            volume_handle: dataset.map_or_else(String::new, |d| d.volume_handle.clone()),
            version: dataset.map_or(0, |d| d.version),
            stopping: false,
        };
        tracing::info!(mount = start.mount_id, pid = process.pid(), uid, "started");
        table.running.insert(start.mount_id.clone(), child);
        Ok(process)
    }

    /// Passes on what a child says, and its end.
    async fn watch(self: Arc<Self>, mount_id: String, process: Arc<Process>) {
        let cause = process.run(|message| self.tell(message)).await;
        let child = self.remove(&mount_id);
        tracing::info!(mount = mount_id, cause, "ended");
        if child.is_some_and(|child| !child.stopping) {
            self.announce(from_mounter::Message::Exited(Exited { mount_id, cause }));
        }
    }

    fn tell(&self, message: FromMounter) {
        if let Some(usage @ from_mounter::Message::Usage(_)) = message.message {
            self.announce(usage);
        }
    }

    fn announce(&self, event: from_mounter::Message) {
        // Without a driver there is nobody to tell; the next one gets the list.
        let _ = self.events.send(event);
    }

    fn remove(&self, mount_id: &str) -> Option<Child> {
        let mut table = self.table();
        let child = table.running.remove(mount_id)?;
        table.free.insert(child.uid);
        Some(child)
    }

    fn mark_stopping(&self, mount_id: &str) -> Option<Arc<Process>> {
        let mut table = self.table();
        let child = table.running.get_mut(mount_id)?;
        child.stopping = true;
        Some(child.process.clone())
    }

    /// Gives a child what is new.
    pub(super) async fn configure(&self, configure: Configure) -> Result<Done, Refusal> {
        let mount_id = configure.mount_id.clone();
        let version = configure.dataset.as_ref().map_or(0, |d| d.version);
        let known = self.table().running.get(&mount_id).cloned();
        let child = known.ok_or_else(|| Refusal::new("NotFound", "this mount has no child"))?;
        let message = to_mounter::Message::Configure(configure);
        let done = child.process.ask(message, None, CONFIGURE_TIMEOUT).await?;
        if let Some(child) = self.table().running.get_mut(&mount_id) {
            child.version = child.version.max(version);
        }
        Ok(done)
    }

    /// Ends a child after what it has staged is written out. One that is not there is no error.
    pub(super) async fn stop(&self, mount_id: &str) -> Result<Done, Refusal> {
        let Some(process) = self.mark_stopping(mount_id) else {
            return Ok(Done::default());
        };
        let message = to_mounter::Message::Stop(Stop {
            mount_id: mount_id.to_owned(),
        });
        let stopped = process.ask(message, None, STOP_TIMEOUT).await;
        process.end().await;
        match stopped {
            // The driver unmounts and says stop, and the child may notice the first by itself.
            Err(refusal) if refusal.reason == Refusal::ENDED => Ok(Done::default()),
            other => other,
        }
    }

    /// Stops all children at once; what has not ended in time is killed.
    pub(super) async fn stop_all(&self) {
        let mounts: Vec<String> = self.table().running.keys().cloned().collect();
        let all = futures::future::join_all(mounts.iter().map(|mount_id| self.stop(mount_id)));
        if tokio::time::timeout(STOP_ALL_TIMEOUT, all).await.is_err() {
            tracing::warn!("some mounts did not end in time");
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
