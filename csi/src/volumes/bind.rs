//! A target made to show what its record says.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::dataset::v1::dataset_config::Volume;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::error::MountError;
use super::{SharedGuard, Volumes, blocking};
use crate::host_path;
use crate::nfs::{NfsError, Options};
use crate::state::TargetRecord;
use crate::sys::SysError;
use crate::sys::bind::bind;
use crate::sys::dir::{Entry, make_beneath, open_beneath, open_trusted};

/// A bind looks the subpath up in the source, which may be slow.
const BIND_WITHIN: Duration = Duration::from_secs(30);

/// Mode of a target that the kubelet did not make: for the kubelet only.
const TARGET_MODE: Mode = Mode::from_raw_mode(0o750);

/// Mode of a subpath that did not exist, as the rest of a dataset shows.
const SUBPATH_MODE: Mode = Mode::from_raw_mode(0o777);

impl Volumes {
    /// Binds what the target's record says over whatever is there; true when its subpath had to be made.
    /// The caller holds its lock.
    pub(super) async fn bind_over(
        self: &Arc<Self>,
        target: &TargetRecord,
        dataset: &DatasetConfig,
        guard: &SharedGuard,
    ) -> Result<bool, MountError> {
        let (volumes, guard) = (self.clone(), guard.clone());
        let (target, dataset) = (target.clone(), dataset.clone());
        let bound = blocking("the bind", BIND_WITHIN, move || {
            let _guard = guard;
            volumes.bind_now(&target, &dataset)
        });
        bound.await?
    }

    fn bind_now(&self, target: &TargetRecord, dataset: &DatasetConfig) -> Result<bool, MountError> {
        let (root, mut flags) = self.open_root(target, dataset)?;
        let (source, made) = open_subpath(root, target)?;
        flags.set(
            MountFlags::RDONLY,
            target.readonly || flags.contains(MountFlags::RDONLY),
        );
        let entry = Entry::find(self.kubelet.as_fd(), Path::new(&target.target))?;
        entry.make(TARGET_MODE)?;
        bind(&self.deps.staging, source.as_fd(), &entry, flags)?;
        Ok(made)
    }

    /// The dataset's top directory, and the flags that its binds have to have.
    fn open_root(
        &self,
        target: &TargetRecord,
        dataset: &DatasetConfig,
    ) -> Result<(OwnedFd, MountFlags), MountError> {
        if let Some(Volume::HostPath(volume)) = &dataset.volume {
            let root = host_path::open(&self.deps.host, volume)?;
            let flags = host_path::flags(&root)?;
            return Ok((root, flags));
        }
        let flags = match &dataset.volume {
            Some(Volume::Nfs(volume)) => {
                let options: Result<Options, _> = volume.options.parse();
                options.map_err(NfsError::from)?.bind_flags()
            }
            _ => MountFlags::empty(),
        };
        Ok((open_trusted(&self.mount_point(&target.mount_id))?, flags))
    }
}

/// Also whether it was made.
fn open_subpath(root: OwnedFd, target: &TargetRecord) -> Result<(OwnedFd, bool), MountError> {
    let subpath = PathBuf::from(&target.subpath);
    if subpath.as_os_str().is_empty() {
        return Ok((root, false));
    }
    match open_beneath(root.as_fd(), &subpath) {
        // Like the kubelet's own subPath: made for whoever may write.
        Err(SysError {
            errno: Errno::NOENT,
            ..
        }) if !target.readonly => Ok(make_beneath(root.as_fd(), &subpath, SUBPATH_MODE)?),
        Err(SysError {
            errno: Errno::NOENT | Errno::NOTDIR,
            ..
        }) => Err(MountError::NoSubpath(target.subpath.clone())),
        Err(SysError {
            errno: Errno::LOOP | Errno::XDEV,
            ..
        }) => Err(MountError::SubpathLeadsOut(target.subpath.clone())),
        opened => Ok((opened?, false)),
    }
}
