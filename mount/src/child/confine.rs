//! What a child gives up before it reads its first message.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, geteuid, getppid, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};

/// Open files of one child, at most: connections to the source. The kernel's handles are no
/// descriptors of ours.
const DESCRIPTORS_MAX: u64 = 4096;

/// Gives up the means to gain privileges, to be looked into and to outlive the mounter.
///
/// Must be called while there is one thread: some of this belongs to the thread that asks.
pub(super) fn confine() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    // Nobody of the same uid may trace us, and no core file may hold a key.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, DESCRIPTORS_MAX)?;
    // The socket's end says the same, but not to a process that hangs.
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != parent {
        return Err(io::Error::other("the mounter has already ended"));
    }
    Ok(())
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let hard = getrlimit(resource).maximum;
    let value = Some(hard.map_or(most, |hard| hard.min(most)));
    setrlimit(
        resource,
        Rlimit {
            current: value,
            maximum: value,
        },
    )?;
    Ok(())
}

/// Makes this uid's directory below `staging`, or clears the one that an earlier child of the same
/// uid left. `None` if there is no `staging`.
///
/// The mounter has no right to give a directory away, so the child makes its own; `staging` has the
/// sticky bit, and a directory that is somebody else's is refused.
pub(super) fn own_directory(staging: &Path) -> io::Result<Option<PathBuf>> {
    if !staging.is_dir() {
        return Ok(None);
    }
    let uid = geteuid().as_raw();
    let own = staging.join(uid.to_string());
    match std::fs::remove_dir_all(&own) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::DirBuilder::new().mode(0o700).create(&own)?;
    let metadata = std::fs::symlink_metadata(&own)?;
    if metadata.uid() != uid || !metadata.is_dir() {
        return Err(io::Error::other("the staging directory is another's"));
    }
    Ok(Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_clears_what_an_earlier_one_left() {
        let staging = tempfile::tempdir().unwrap();
        let own = own_directory(staging.path()).unwrap().unwrap();
        std::fs::write(own.join("left"), "x").unwrap();
        let again = own_directory(staging.path()).unwrap().unwrap();
        assert_eq!(own, again);
        assert_eq!(std::fs::read_dir(&own).unwrap().count(), 0);
        assert_eq!(std::fs::metadata(&own).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn no_staging_no_directory() {
        assert_eq!(own_directory(Path::new("/nonexistent")).unwrap(), None);
    }
}
