//! One mount: a process of its own, which the mounter starts with a socket as standard input.

mod allocator;
mod confine;
mod report;
mod requests;
mod server;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dlf_cache::{Budget, UsageSnapshot};
use dlf_core::program::ProgramError;
use dlf_wire::channel::{Channel, ChannelError};
use dlf_wire::mounter::v1::{
    Done, Failed, FromMounter, Start, ToMounter, Usage, WritesOf, from_mounter, to_mounter,
};
use dlf_wire::writes::v1::Writes;

use self::report::Report;
use self::requests::Requests;
use self::server::Server;
use crate::convert::InvalidConfig;
use crate::node::Node;
use crate::node::endings::Endings;
use crate::node::staging::Staging;
use crate::s3fs::S3fsError;

/// Tasks of all requests share these; the rest of the node's processors belong to its pods.
const WORKERS: usize = 4;

/// How often counters are reported, if they moved.
const USAGE_EVERY: Duration = Duration::from_secs(10);

/// Why a child ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// It could not give its privileges up.
    #[error("could not confine itself: {0}")]
    Confine(#[source] io::Error),
    /// The socket to the mounter failed or brought something unexpected.
    #[error("the mounter's socket: {0}")]
    Channel(#[from] ChannelError),
    /// The first message was no start, or came without a device.
    #[error("the mounter did not say what to serve")]
    NoStart,
    /// The configuration cannot be used.
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] InvalidConfig),
    /// The program or an option of it is not in the table.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// s3fs could not be started.
    #[error(transparent)]
    S3fs(#[from] S3fsError),
    /// The program shows one place.
    #[error("s3fs shows one bucket, and this mount has roots: have `native` serve it")]
    NoRoots,
    /// What is new takes effect at the next mount.
    #[error("s3fs takes what is new at the next mount")]
    NextMount,
    /// The kernel's side of the file system failed.
    #[error("the FUSE device: {0}")]
    Device(#[source] io::Error),
    /// Its place on the node's disk is another's or cannot be made.
    #[error("the place on the node's disk: {0}")]
    Staging(#[source] io::Error),
    /// A process or runtime could not be started.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl ChildError {
    /// The class that [`Failed`] tells the driver.
    fn reason(&self) -> &'static str {
        match self {
            Self::Config(_) | Self::Program(_) | Self::NoRoots => "InvalidConfiguration",
            Self::S3fs(S3fsError::Address(_)) => "AddressNotAllowed",
            Self::S3fs(_) => "ProgramFailed",
            Self::NextMount => "NextMount",
            Self::Device(_) => "DeviceFailed",
            Self::NoStart => "DescriptorMissing",
            Self::Staging(_) => "StagingFailed",
            _ => "Internal",
        }
    }
}

/// Serves the mount that the socket at standard input tells of, until it is unmounted, the mounter
/// says stop, or the mounter dies. Its place on the node's disk is in `staging`, if there is one.
pub fn run(staging: &Path) -> Result<(), ChildError> {
    confine::confine().map_err(ChildError::Confine)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(staging));
    // A thread may still be in a read of the device that never ends.
    runtime.shutdown_background();
    result
}

async fn serve(directory: &Path) -> Result<(), ChildError> {
    let channel = Channel::from_socket(io::stdin().as_fd().try_clone_to_owned()?)?;
    let channel = Arc::new(channel);
    let (request, start, device) = first_message(&channel).await?;
    let endings = Endings::new(start.mount_id.clone(), channel.clone());
    let requests = Requests::of(channel.clone(), endings.clone());
    let staging = match Staging::enter(directory, &start).map_err(ChildError::Staging) {
        Ok(staging) => staging,
        Err(error) => {
            channel.send(&answer_to(request, Err(&error)), None).await?;
            return Err(error);
        }
    };
    let memory = start
        .memory_bytes
        .map_or(Budget::MOUNT_BYTES_DEFAULT, in_memory);
    let memory = Budget::new(memory);
    tokio::spawn(allocator::give_back(Arc::clone(&memory)));
    let node = Node {
        staging: staging.clone(),
        memory,
        endings,
    };
    let started = Mount::start(start, device, node).await;
    let result = serve_started(&channel, request, started, requests).await;
    // Nothing in it outlives the process.
    if let Some(staging) = staging {
        staging.leave();
    }
    result
}

async fn serve_started(
    channel: &Channel,
    request: u64,
    started: Result<Mount, ChildError>,
    requests: Requests,
) -> Result<(), ChildError> {
    let answer = started.as_ref().map(|_| Done::default());
    channel.send(&answer_to(request, answer), None).await?;
    started?.attend(channel, requests).await
}

async fn first_message(channel: &Channel) -> Result<(u64, Start, OwnedFd), ChildError> {
    match channel.recv::<ToMounter>().await? {
        (
            ToMounter {
                request,
                message: Some(to_mounter::Message::Start(start)),
            },
            Some(device),
        ) => Ok((request, start, device)),
        _ => Err(ChildError::NoStart),
    }
}

struct Mount {
    id: String,
    server: Server,
    epoch: u64,
    reported: UsageSnapshot,
    report: Report,
}

impl Mount {
    async fn start(start: Start, device: OwnedFd, node: Node) -> Result<Self, ChildError> {
        let server = Server::start(&start, device, node).await?;
        Ok(Self {
            id: start.mount_id,
            report: Report::of(server.writes()),
            server,
            epoch: milliseconds_since_epoch(),
            reported: UsageSnapshot::default(),
        })
    }

    /// Does what the mounter says and reports, until the end.
    async fn attend(mut self, channel: &Channel, mut requests: Requests) -> Result<(), ChildError> {
        let mut tick = tokio::time::interval(USAGE_EVERY);
        loop {
            tokio::select! {
                end = self.server.ended() => {
                    self.server.shut_down().await;
                    if let Some(writes) = self.report.rest() {
                        channel.send(&self.writes_message(writes), None).await?;
                    }
                    return end.map_err(ChildError::Device);
                }
                _ = tick.tick() => {
                    if let Some(usage) = self.usage() {
                        let usage = from_mounter::Message::Usage(usage);
                        channel.send(&unasked(usage), None).await?;
                    }
                }
                writes = self.report.next() => {
                    channel.send(&self.writes_message(writes), None).await?;
                }
                request = requests.next() => match request {
                    Ok(request) => {
                        if self.obey(channel, request).await? {
                            return Ok(());
                        }
                    }
                    Err(ChannelError::Closed) => {
                        self.server.shut_down().await;
                        return Ok(());
                    }
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }

    /// Carries one request out; `true` if it was the last.
    async fn obey(&mut self, channel: &Channel, message: ToMounter) -> Result<bool, ChildError> {
        let stop = matches!(message.message, Some(to_mounter::Message::Stop(_)));
        let answer = match message.message {
            Some(to_mounter::Message::Configure(configure)) => {
                let configured = self.server.configure(&configure).await;
                configured.map(|()| Done::default())
            }
            Some(to_mounter::Message::Refresh(_)) => {
                self.server.refresh().await;
                Ok(Done::default())
            }
            Some(to_mounter::Message::Stop(_)) => {
                self.server.shut_down().await;
                Ok(Done {
                    usage: self.usage(),
                    writes: self.report.rest(),
                    ..Done::default()
                })
            }
            Some(to_mounter::Message::Memory(memory)) => Ok(Done {
                memory_bytes: self.server.resize(in_memory(memory.bytes)),
                ..Done::default()
            }),
            _ => Err(ChildError::NoStart),
        };
        channel
            .send(&answer_to(message.request, answer.as_ref().cloned()), None)
            .await?;
        Ok(stop)
    }

    fn writes_message(&self, writes: Writes) -> FromMounter {
        unasked(from_mounter::Message::Writes(WritesOf {
            mount_id: self.id.clone(),
            writes: Some(writes),
        }))
    }

    /// The counters, if they moved since the last report.
    fn usage(&mut self) -> Option<Usage> {
        let now = self.server.usage()?;
        if now == self.reported {
            return None;
        }
        self.reported = now;
        Some(Usage {
            mount_id: self.id.clone(),
            epoch: self.epoch,
            bytes_read: now.bytes_read,
            bytes_written: now.bytes_written,
            requests: now.requests,
            errors: now.errors,
            read_ms: u64::try_from(now.waited.as_millis()).unwrap_or(u64::MAX),
            cached_bytes_read: now.cached_bytes_read,
            cache_failures: now.cache_failures,
        })
    }
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn answer_to(request: u64, result: Result<Done, &ChildError>) -> FromMounter {
    let message = match result {
        Ok(done) => from_mounter::Message::Done(done),
        Err(error) => from_mounter::Message::Failed(Failed {
            reason: error.reason().to_owned(),
            message: error.to_string(),
        }),
    };
    FromMounter {
        request,
        message: Some(message),
    }
}

fn unasked(message: from_mounter::Message) -> FromMounter {
    FromMounter {
        request: 0,
        message: Some(message),
    }
}

fn milliseconds_since_epoch() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
