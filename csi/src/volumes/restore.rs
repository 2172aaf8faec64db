//! A driver's start: records and the kernel's mount table made one again.
//!
//! An earlier driver may have been killed between any two steps, or the node may have booted and
//! lost the records with everything else that was in memory.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::Volumes;
use super::mounts::discard;
use crate::mountinfo::MountTable;
use crate::state::{MountRecord, StateError, TargetRecord};

/// Why the start failed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The mount table or the directory of mounts cannot be read.
    #[error("cannot read what an earlier driver left: {0}")]
    Io(#[from] std::io::Error),
    /// The records cannot be changed.
    #[error("{0}")]
    State(#[from] StateError),
}

/// Clears what belongs to nothing, and begins to mend what is broken. Call it within the runtime,
/// before the first request is served.
pub fn restore(volumes: &Arc<Volumes>) -> Result<(), RestoreError> {
    std::fs::create_dir_all(volumes.deps.layout.mounts())?;
    let table = MountTable::read()?;
    clear_strays(volumes, &table)?;
    for mount in volumes.deps.state.mounts() {
        if table.top(&volumes.mount_point(&mount.id)).is_some() {
            volumes.live.found(&mount.id);
        }
    }
    for target in volumes.deps.state.targets() {
        restore_target(volumes, &table, target)?;
    }
    for mount in volumes.deps.state.mounts() {
        restore_mount(volumes, &table, &mount)?;
    }
    for handle in volumes.deps.state.handles() {
        volumes.forget_if_unused(&handle);
    }
    Ok(())
}

/// Mounts and directories below `mounts/` without a record: of before a boot, or half removed.
fn clear_strays(volumes: &Volumes, table: &MountTable) -> Result<(), RestoreError> {
    let directory = volumes.deps.layout.mounts();
    let entries = std::fs::read_dir(&directory)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mounted = table.below(&directory).map(Path::to_path_buf);
    let found: HashSet<_> = entries.chain(mounted).collect();
    for point in found {
        let id = point.strip_prefix(&directory).ok().and_then(Path::to_str);
        if id.is_none_or(|id| volumes.deps.state.mount(id).is_none()) {
            tracing::info!(point = %point.display(), "clearing a mount of an earlier driver");
            discard(&point);
        }
    }
    Ok(())
}

fn restore_target(
    volumes: &Arc<Volumes>,
    table: &MountTable,
    target: TargetRecord,
) -> Result<(), RestoreError> {
    let point = volumes.deps.layout.kubelet().join(&target.target);
    let Some(top) = table.top(&point) else {
        // Written down and not bound: the kubelet never got an answer and asks again.
        return Ok(volumes.deps.state.remove_target(&target.target)?);
    };
    let mount = table.top(&volumes.mount_point(&target.mount_id));
    if mount.is_some_and(|mount| mount.device != top.device) {
        // Killed in a repair, between the record and the bind or the other way round.
        tokio::spawn(volumes.clone().rebind(target));
    }
    Ok(())
}

fn restore_mount(
    volumes: &Arc<Volumes>,
    table: &MountTable,
    mount: &MountRecord,
) -> Result<(), RestoreError> {
    let mounted = table.top(&volumes.mount_point(&mount.id)).is_some();
    match volumes.deps.state.targets_of(&mount.id).is_empty() {
        false if mounted => {}
        false => {
            volumes.live.found(&mount.id);
            volumes.spawn_repair(&mount.id, "it is not mounted any more");
        }
        true if mounted => {
            volumes.spawn_release_of(mount.key());
        }
        true => volumes.deps.state.remove_mount(&mount.id)?,
    }
    Ok(())
}
