//! What answers the kernel: one of the programs of the table.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use dlf_cache::{ObjectStore, UsageSnapshot};
use dlf_core::program::{self, Program};
use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume};
use dlf_wire::mounter::v1::{Configure, Start};
use dlf_wire::writes::v1::Writes;
use tokio::sync::watch;

use super::ChildError;
use crate::convert::{self, InvalidConfig};
use crate::fs::{NativeFs, Serving};
use crate::node::Node;
use crate::s3fs::{S3fs, S3fsError};

/// The kernel sends INIT when it mounts, which was before we got the device.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A running program.
pub(super) enum Server {
    Native {
        fs: NativeFs,
        store: ObjectStore,
        serving: Serving,
        node: Node,
    },
    S3fs(S3fs),
}

impl Server {
    /// Runs the dataset's program on `device`.
    pub(super) async fn start(
        start: &Start,
        device: OwnedFd,
        node: Node,
    ) -> Result<Self, ChildError> {
        let dataset = start.dataset.as_ref();
        let dataset = dataset.ok_or(InvalidConfig::Missing("dataset"))?;
        let volume = convert::fuse_volume(dataset)?;
        match program::check(&volume.program, &volume.options)? {
            Program::Native => native(start, dataset, volume, device, node).await,
            Program::S3fs if !volume.roots.is_empty() => Err(ChildError::NoRoots),
            Program::S3fs => {
                let rules = convert::rules(start.network.as_ref())?;
                let staging = node.staging.ok_or(S3fsError::NoStaging)?;
                let (readonly, gid) = (dataset.readonly, start.fs_group);
                let directory = staging.live();
                let s3fs = S3fs::start(volume, readonly, gid, &rules, directory, device).await?;
                Ok(Self::S3fs(s3fs))
            }
        }
    }

    /// What was read and written so far, where it is counted.
    pub(super) fn usage(&self) -> Option<UsageSnapshot> {
        match self {
            Self::Native { fs, .. } => Some(fs.usage()),
            Self::S3fs(_) => None,
        }
    }

    /// What was written and the source does not have, as it changes, where that is known.
    pub(super) fn writes(&self) -> watch::Receiver<Writes> {
        match self {
            Self::Native { fs, .. } => fs.writes(),
            Self::S3fs(_) => watch::channel(Writes::default()).1,
        }
    }

    /// Waits for the end of the session.
    pub(super) async fn ended(&mut self) -> io::Result<()> {
        match self {
            Self::Native { serving, .. } => serving.ended().await,
            Self::S3fs(s3fs) => s3fs.ended().await,
        }
    }

    /// Waits for what is being written out, and ends.
    pub(super) async fn shut_down(&mut self) {
        match self {
            Self::Native { fs, .. } => fs.shut_down().await,
            Self::S3fs(s3fs) => s3fs.stop().await,
        }
    }

    /// A new consumer has come. s3fs keeps what it believes for as long as its options say.
    pub(super) async fn refresh(&self) {
        if let Self::Native { fs, .. } = self {
            fs.refresh().await;
        }
    }

    /// Has so many bytes of memory from now on; how many are in use, where that is known.
    pub(super) fn resize(&self, bytes: usize) -> Option<u64> {
        match self {
            Self::Native { node, .. } => {
                node.memory.resize(bytes);
                u64::try_from(node.memory.usage().in_use()).ok()
            }
            Self::S3fs(_) => None,
        }
    }

    /// Takes new keys, endpoints, rules and roots over; all or nothing.
    pub(super) async fn configure(&self, configure: &Configure) -> Result<(), ChildError> {
        let dataset = configure.dataset.as_ref();
        let dataset = dataset.ok_or(InvalidConfig::Missing("dataset"))?;
        let volume = convert::fuse_volume(dataset)?;
        match self {
            Self::Native {
                fs, store, node, ..
            } => {
                let roots = convert::roots(volume)?;
                convert::reconfigure(store, volume, configure.network.as_ref())?;
                fs.update(dataset, volume, &roots).await;
                if let (Some(staging), Some(limits)) = (&node.staging, &configure.staging) {
                    staging.set_limits(limits);
                }
                Ok(())
            }
            Self::S3fs(_) => Err(ChildError::NextMount),
        }
    }
}

async fn native(
    start: &Start,
    dataset: &DatasetConfig,
    volume: &FuseVolume,
    device: OwnedFd,
    node: Node,
) -> Result<Server, ChildError> {
    let store = convert::store(volume, start.network.as_ref())?;
    let roots = convert::roots(volume)?;
    let fs = NativeFs::new(
        store.clone(),
        dataset,
        volume,
        &roots,
        start.fs_group,
        &node,
    );
    let server = fs.clone();
    let session = tokio::task::spawn_blocking(move || server.serve(device));
    let serving = tokio::time::timeout(HANDSHAKE_TIMEOUT, session)
        .await
        .map_err(|_| ChildError::Device(io::ErrorKind::TimedOut.into()))?
        .map_err(io::Error::other)?
        .map_err(ChildError::Device)?;
    Ok(Server::Native {
        fs,
        store,
        serving,
        node,
    })
}
