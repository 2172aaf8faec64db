//! Messages that do not fit into a datagram: they go in memory that is passed as a descriptor, behind
//! the one that belongs to the message.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};

use super::{ChannelError, MESSAGE_BYTES_MAX};

/// All of the datagram that such a message comes with. No message begins like that, since none has a
/// field 0: whoever does not know it takes it for one that cannot be read.
pub(super) const MARK: &[u8] = &[0];

/// Whoever reads it knows how long it is, and that it stays so.
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// The memory that a message goes in.
pub(super) fn write(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut memory = File::from(memfd_create(c"dlf-message", flags)?);
    memory.write_all(bytes)?;
    fcntl_add_seals(&memory, SEALS)?;
    Ok(memory.into())
}

/// The message that came in memory. Reading another kind of file might never end.
pub(super) fn read(memory: OwnedFd) -> Result<Vec<u8>, ChannelError> {
    let sealed = fcntl_get_seals(&memory).is_ok_and(|seals| seals.contains(SEALS));
    if !sealed {
        return Err(io::Error::other("a descriptor that holds no message").into());
    }
    let size = fstat(&memory).map_err(io::Error::from)?.st_size;
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    if length > MESSAGE_BYTES_MAX {
        return Err(ChannelError::TooLarge { bytes: length });
    }
    let mut bytes = vec![0; length];
    File::from(memory).read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
