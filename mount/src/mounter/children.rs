//! The mounts of this mounter.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dlf_wire::mounter::v1::{
    self as wire, Ask, Configure, Done, Exited, FromMounter, Memory, Refresh, Start, Stop, Told,
    WritesOf, from_mounter, to_mounter,
};
use dlf_wire::writes::v1::Writes;
use tokio::sync::broadcast;

use super::MounterOptions;
use super::memory::{Due, MemoryShare, MounterMemory};
use super::place::Place;
use super::pool::Pool;
use super::process::Process;
use super::refusal::Refusal;

/// Children at once. A node runs at most a few hundred pods, each rarely with more than one dataset
/// that no other pod has.
const CHILDREN_MAX: u32 = 512;

/// Events a driver may be behind: the two reports of all children, of usage and of writes, twice.
const EVENTS_MAX: usize = 4 * CHILDREN_MAX as usize;

/// Questions a driver may be behind. The oldest are dropped: those who asked go on without.
const QUESTIONS_MAX: usize = 1024;

/// A child answers the kernel before it answers us, for which it allows itself 10 s.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// Configuring asks nobody.
const CONFIGURE_TIMEOUT: Duration = Duration::from_secs(10);

/// Nor does taking another share of the memory. A child that is too busy is asked again.
const MEMORY_TIMEOUT: Duration = Duration::from_secs(2);

/// Longer than a source's time-out, within which files that were closed get there.
const STOP_TIMEOUT: Duration = Duration::from_secs(100);

/// At our own end: what a pod's 30 s of grace leave.
const STOP_ALL_TIMEOUT: Duration = Duration::from_secs(25);

#[derive(Debug)]
pub(super) struct Children {
    program: PathBuf,
    options: MounterOptions,
    table: Mutex<Table>,
    memory: Arc<MounterMemory>,
    events: broadcast::Sender<from_mounter::Message>,
    /// Apart from the events, which no crowd of questions may push out.
    questions: broadcast::Sender<Ask>,
}

#[derive(Debug)]
struct Table {
    running: HashMap<String, Child>,
    pool: Pool,
}

#[derive(Clone, Debug)]
struct Child {
    process: Arc<Process>,
    /// What it has of the pool.
    pooled: Option<u32>,
    volume_handle: String,
    version: u64,
    /// What it said last of its writes.
    writes: Option<Writes>,
    memory: Arc<MemoryShare>,
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
                pool: Pool::new(CHILDREN_MAX),
            }),
            memory: MounterMemory::of_this_process(),
            events: broadcast::channel(EVENTS_MAX).0,
            questions: broadcast::channel(QUESTIONS_MAX).0,
        }
    }

    pub(super) fn revision(&self) -> &str {
        &self.options.revision
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<from_mounter::Message> {
        self.events.subscribe()
    }

    pub(super) fn subscribe_questions(&self) -> broadcast::Receiver<Ask> {
        self.questions.subscribe()
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

    /// What those children said last of their writes that said something.
    pub(super) fn writes(&self) -> Vec<WritesOf> {
        let table = self.table();
        let running = table.running.iter();
        let said = running.filter(|(_, child)| child.writes.is_some());
        said.map(|(mount_id, child)| WritesOf {
            mount_id: mount_id.clone(),
            writes: child.writes.clone(),
        })
        .collect()
    }

    /// Starts a child on `device`; returns when it serves.
    pub(super) async fn start(
        self: &Arc<Self>,
        mut start: Start,
        device: OwnedFd,
    ) -> Result<Done, Refusal> {
        let mount_id = start.mount_id.clone();
        let memory = Arc::new(self.memory.enter(start.dataset.as_ref()).await?);
        start.memory_bytes = memory.bytes();
        let process = self.spawn(&start, memory.clone())?;
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
        } else {
            memory.serves();
        }
        started
    }

    fn spawn(&self, start: &Start, memory: Arc<MemoryShare>) -> Result<Arc<Process>, Refusal> {
        let staging = &self.options.staging_dir;
        let own = Place::of_dataset(staging, start)?;
        let mut table = self.table();
        if table.running.contains_key(&start.mount_id) {
            return Err(Refusal::new("AlreadyRunning", "this mount has a child"));
        }
        if table.running.len() >= CHILDREN_MAX as usize {
            let message = format!("this mounter has {CHILDREN_MAX} mounts");
            return Err(Refusal::new("TooManyMounts", message));
        }
        let (place, pooled) = if let Some(own) = own {
            (own, None)
        } else {
            // There are as many as children.
            let uid = table.pool.take();
            let uid = uid.ok_or_else(|| Refusal::new("TooManyMounts", "all uids are taken"))?;
            let directory = table.pool.directory(staging);
            (Place { uid, directory }, Some(uid))
        };
        let process = match Process::spawn(&self.program, &place.directory, place.uid) {
            Ok(process) => Arc::new(process),
            Err(error) => {
                if let Some(uid) = pooled {
                    table.pool.give_back(uid);
                }
                return Err(Refusal::new("ChildFailed", error.to_string()));
            }
        };
        let dataset = start.dataset.as_ref();
        let child = Child {
            process: process.clone(),
            pooled,
            volume_handle: dataset.map_or_else(String::new, |d| d.volume_handle.clone()),
            version: dataset.map_or(0, |d| d.version),
            writes: None,
            memory,
            stopping: false,
        };
        let (pid, uid) = (process.pid(), place.uid);
        tracing::info!(mount = start.mount_id, pid, uid, "started");
        table.running.insert(start.mount_id.clone(), child);
        Ok(process)
    }

    /// Passes on what a child says, and its end.
    async fn watch(self: Arc<Self>, mount_id: String, process: Arc<Process>) {
        let hear = |message| self.hear(&mount_id, &process, message);
        let cause = process.run(hear).await;
        let child = self.remove(&mount_id);
        tracing::info!(mount = mount_id, cause, "ended");
        if child.is_some_and(|child| !child.stopping) {
            self.announce(from_mounter::Message::Exited(Exited { mount_id, cause }));
        }
    }

    fn hear(&self, mount_id: &str, process: &Arc<Process>, message: FromMounter) {
        match message.message {
            Some(usage @ from_mounter::Message::Usage(_)) => self.announce(usage),
            Some(from_mounter::Message::Ask(ask)) => {
                // Whatever the child calls itself: the answer comes to it.
                let mount_id = mount_id.to_owned();
                self.pass_on(Ask { mount_id, ..ask }, process);
            }
            Some(from_mounter::Message::Writes(WritesOf { writes, .. })) => {
                if let Some(child) = self.table().running.get_mut(mount_id) {
                    child.writes.clone_from(&writes);
                }
                let mount_id = mount_id.to_owned();
                self.announce(from_mounter::Message::Writes(WritesOf { mount_id, writes }));
            }
            _ => {}
        }
    }

    /// Passes a child's question on, and the answer to it.
    fn pass_on(&self, ask: Ask, process: &Arc<Process>) {
        let Some(answer) = process.questions().open(ask.question) else {
            return;
        };
        let (process, question) = (process.clone(), ask.question);
        let unknown = Told {
            mount_id: ask.mount_id.clone(),
            question,
            exit_code: None,
        };
        if self.questions.send(ask).is_err() {
            // There is no driver.
            process.questions().answer(unknown);
        }
        tokio::spawn(async move { process.tell(question, answer).await });
    }

    /// Takes the driver's answer to a question.
    pub(super) fn answer(&self, answer: Told) {
        if let Some(child) = self.table().running.get(&answer.mount_id) {
            child.process.questions().answer(answer);
        }
    }

    fn announce(&self, event: from_mounter::Message) {
        // Without a driver there is nobody to tell; the next one gets the list.
        let _ = self.events.send(event);
    }

    fn remove(&self, mount_id: &str) -> Option<Child> {
        let mut table = self.table();
        let child = table.running.remove(mount_id)?;
        let uid = child.pooled.into_iter();
        uid.for_each(|uid| table.pool.give_back(uid));
        Some(child)
    }

    fn mark_stopping(&self, mount_id: &str) -> Option<Arc<Process>> {
        let mut table = self.table();
        let child = table.running.get_mut(mount_id)?;
        child.stopping = true;
        Some(child.process.clone())
    }

    /// Tells a child that a new consumer has come.
    pub(super) async fn refresh(&self, refresh: Refresh) -> Result<Done, Refusal> {
        let process = self.process(&refresh.mount_id)?;
        let message = to_mounter::Message::Refresh(refresh);
        process.ask(message, None, CONFIGURE_TIMEOUT).await
    }

    fn process(&self, mount_id: &str) -> Result<Arc<Process>, Refusal> {
        let table = self.table();
        let child = table.running.get(mount_id);
        let child = child.ok_or_else(|| Refusal::new("NotFound", "this mount has no child"))?;
        Ok(child.process.clone())
    }

    /// Gives a child what is new.
    pub(super) async fn configure(&self, configure: Configure) -> Result<Done, Refusal> {
        let mount_id = configure.mount_id.clone();
        let version = configure.dataset.as_ref().map_or(0, |d| d.version);
        let process = self.process(&mount_id)?;
        let message = to_mounter::Message::Configure(configure);
        let done = process.ask(message, None, CONFIGURE_TIMEOUT).await?;
        if let Some(child) = self.table().running.get_mut(&mount_id) {
            child.version = child.version.max(version);
        }
        Ok(done)
    }

    /// Tells children what they may have of the memory, as others come and go. Never returns.
    pub(super) async fn share_memory(&self) {
        loop {
            let telling = self
                .memory
                .due()
                .into_iter()
                .map(|due| self.tell_share(due));
            futures::future::join_all(telling).await;
            self.memory.changed().await;
        }
    }

    async fn tell_share(&self, due: Due) {
        let process = {
            let table = self.table();
            let mut running = table.running.values();
            // One that is on its way out writes out what it has, and answers nothing before.
            let child = running.find(|child| child.memory.is(due) && !child.stopping);
            child.map(|child| child.process.clone())
        };
        let Some(process) = process else { return };
        let message = to_mounter::Message::Memory(Memory { bytes: due.bytes });
        match process.ask(message, None, MEMORY_TIMEOUT).await {
            Ok(done) => self.memory.taken(due, done.memory_bytes.unwrap_or(0)),
            Err(refusal) => {
                tracing::debug!(child = process.pid(), ?refusal, "its share of memory stays");
            }
        }
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
