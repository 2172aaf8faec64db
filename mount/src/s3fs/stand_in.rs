//! `fusermount` as libfuse 2.9 runs it.

use std::env;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// Names the descriptor of libfuse's socket (libfuse 2.9, `mount_util.c`).
const SOCKET_VARIABLE: &str = "_FUSE_COMMFD";

/// Set once the socket is our standard output.
const READY_VARIABLE: &str = "DLF_FUSERMOUNT_READY";

/// Sends the device, our standard input, to libfuse, whose socket the environment names.
///
/// A descriptor known by its number can be used only by `unsafe` code, so a shell makes it our
/// standard output first. bash, because dash takes numbers of one digit only.
pub fn fusermount() -> io::Result<()> {
    if env::var_os(READY_VARIABLE).is_some() {
        return hand_over();
    }
    let socket = env::var(SOCKET_VARIABLE).map_err(io::Error::other)?;
    if socket.parse::<u32>().is_err() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let error = Command::new("/bin/bash")
        .args(["-c", &format!("exec \"$0\" fusermount >&{socket}")])
        .arg(env::current_exe()?)
        .env(READY_VARIABLE, "1")
        .exec();
    Err(error)
}

/// One zero byte with the descriptor beside it: what `receive_fd` waits for.
fn hand_over() -> io::Result<()> {
    let (device, socket) = (io::stdin(), io::stdout());
    let descriptors = [device.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let byte = [io::IoSlice::new(&[0])];
    sendmsg(socket.as_fd(), &byte, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
