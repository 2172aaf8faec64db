//! What a child gives up before it reads its first message.

use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior,
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
