//! One protobuf message a datagram over a `SOCK_SEQPACKET` Unix socket, with at most one file
//! descriptor beside it (unix(7), cmsg(3)).
//!
//! The kernel keeps the bounds of messages, so there is no framing, and a descriptor always belongs
//! to the message it came with. What is too long for a datagram goes in memory beside it (`large`).

mod large;

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use prost::Message;
use rustix::cmsg_space;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    sockopt,
};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::Mutex;

/// Largest encoded message, in bytes.
///
/// A dataset's configuration is a few KiB but for its CA bundle, of which 128 KiB are accepted, and the
/// roots of its mount, which have 2 MiB at most.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Largest message in a datagram, in bytes.
///
/// It must fit into the sender's buffer, which is twice what is asked for, and without privilege one may
/// ask for `net.core.wmem_max`: 208 KiB everywhere. So this is always possible.
const DATAGRAM_BYTES_MAX: usize = 256 * 1024;

/// Connections that wait to be accepted: a node has one driver, and briefly two in an upgrade.
const BACKLOG: i32 = 8;

/// Descriptors of one datagram: the message's own, and memory that the message is in.
const DESCRIPTORS_MAX: usize = 2;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The other side has closed the connection or has ended.
    #[error("the other side closed the connection")]
    Closed,
    /// The message has more than [`MESSAGE_BYTES_MAX`] bytes.
    #[error("a message of {bytes} bytes; at most {MESSAGE_BYTES_MAX} fit")]
    TooLarge {
        /// Its encoded size, as far as it is known.
        bytes: usize,
    },
    /// The message encodes to nothing, which a receiver could not tell from the end.
    #[error("an empty message")]
    Empty,
    /// More than one descriptor came with a message.
    #[error("more than one descriptor came with a message")]
    TooManyDescriptors,
    /// The bytes are not the expected message.
    #[error("not a valid message: {0}")]
    Decode(#[from] prost::DecodeError),
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<rustix::io::Errno> for ChannelError {
    fn from(errno: rustix::io::Errno) -> Self {
        match errno {
            rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET => Self::Closed,
            other => Self::Io(other.into()),
        }
    }
}

/// Who is at the other end, as the kernel saw it at connect(2) (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCred {
    /// Process id in our own namespace, 0 where the peer is not visible there.
    pub pid: i32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

/// A connected socket. Sending and receiving may go on at once, from several tasks.
#[derive(Debug)]
pub struct Channel {
    socket: UnixDatagram,
    /// Kept between messages: a fresh zeroed buffer for each would cost more than the message.
    buffer: Mutex<Box<[u8]>>,
}

impl Channel {
    /// Connects to a listener's path.
    ///
    /// Must be called within a tokio runtime, like everything that makes a channel.
    pub fn connect(path: &Path) -> Result<Self, ChannelError> {
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, FLAGS, None)?;
        // connect(2) on a Unix socket never waits for anything but a place in the backlog, and
        // with O_NONBLOCK it says EAGAIN instead.
        net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Self::from_socket(socket)
    }

    /// Two channels connected to each other.
    pub fn pair() -> Result<(Self, Self), ChannelError> {
        let (a, b) = socket_pair()?;
        Ok((Self::from_socket(a)?, Self::from_socket(b)?))
    }

    /// Takes a connected socket over, for example the one a process was started with.
    pub fn from_socket(socket: OwnedFd) -> Result<Self, ChannelError> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        // The kernel doubles what it is asked for and cuts it to what the system allows.
        sockopt::set_socket_send_buffer_size(&socket, DATAGRAM_BYTES_MAX)?;
        Ok(Self {
            socket: watched(socket)?,
            buffer: Mutex::new(vec![0; DATAGRAM_BYTES_MAX].into_boxed_slice()),
        })
    }

    /// Sends one message, and a duplicate of `descriptor` with it. Waits while the receiver's
    /// queue is full. A cancelled call has sent all or nothing.
    pub async fn send(
        &self,
        message: &impl Message,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), ChannelError> {
        let mut bytes = message.encode_to_vec();
        let memory = match bytes.len() {
            0 => return Err(ChannelError::Empty),
            1..DATAGRAM_BYTES_MAX => None,
            DATAGRAM_BYTES_MAX..=MESSAGE_BYTES_MAX => Some(large::write(&bytes)?),
            bytes => return Err(ChannelError::TooLarge { bytes }),
        };
        if memory.is_some() {
            bytes = large::MARK.to_vec();
        }
        let beside = descriptor.into_iter();
        let beside: Vec<_> = beside.chain(memory.as_ref().map(AsFd::as_fd)).collect();
        let sent = self.socket.async_io(Interest::WRITABLE, || {
            Ok(send_once(self.socket.as_fd(), &bytes, &beside)?)
        });
        sent.await.map_err(closed_or_io)
    }

    /// Receives one message and the descriptor that came with it, closed on exec.
    ///
    /// Cancelling loses nothing. [`ChannelError::Closed`] is the regular end; after
    /// [`ChannelError::Decode`] the channel is still usable.
    pub async fn recv<M: Message + Default>(&self) -> Result<(M, Option<OwnedFd>), ChannelError> {
        let mut buffer = self.buffer.lock().await;
        let received = self.socket.async_io(Interest::READABLE, || {
            Ok(recv_once(self.socket.as_fd(), &mut buffer)?)
        });
        let mut received = received.await.map_err(closed_or_io)?;
        let memory = match buffer.get(..received.bytes) {
            Some(large::MARK) => received.descriptors.pop(),
            _ => None,
        };
        let descriptor = received.descriptors.pop();
        if !received.descriptors.is_empty() || received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(ChannelError::TooManyDescriptors);
        }
        let message = match (memory, received.bytes) {
            (Some(memory), _) => M::decode(&*large::read(memory)?)?,
            (None, 0) => return Err(ChannelError::Closed),
            (None, bytes @ 1..=DATAGRAM_BYTES_MAX) => M::decode(&buffer[..bytes])?,
            (None, bytes) => return Err(ChannelError::TooLarge { bytes }),
        };
        Ok((message, descriptor))
    }

    /// Who is at the other end.
    pub fn peer_cred(&self) -> Result<PeerCred, ChannelError> {
        // Not rustix: its credentials have a NonZero pid, and a peer in another pod has pid 0.
        let cred = getsockopt(&self.socket, PeerCredentials).map_err(io::Error::from)?;
        Ok(PeerCred {
            pid: cred.pid(),
            uid: cred.uid(),
            gid: cred.gid(),
        })
    }
}

/// Two connected sockets, closed on exec: one to keep, one to start a process with.
pub fn socket_pair() -> Result<(OwnedFd, OwnedFd), ChannelError> {
    Ok(net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// A socket that waits for connections at a path.
#[derive(Debug)]
pub struct Listener {
    socket: UnixDatagram,
}

impl Listener {
    /// Listens at `path`, in place of whatever socket an earlier process left there. The directory
    /// decides who can connect.
    pub fn bind(path: &Path) -> Result<Self, ChannelError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, FLAGS, None)?;
        net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        net::listen(&socket, BACKLOG)?;
        Ok(Self {
            socket: watched(socket)?,
        })
    }

    /// Waits for the next connection. Check [`Channel::peer_cred`] before believing it anything.
    pub async fn accept(&self) -> Result<Channel, ChannelError> {
        let accepted = self.socket.async_io(Interest::READABLE, || {
            Ok(net::accept_with(&self.socket, FLAGS)?)
        });
        Channel::from_socket(accepted.await?)
    }
}

/// Lets tokio tell when a socket is ready. The type fits but for its name: `AsyncFd` can be had only
/// by `unsafe` or deprecated functions, and this only asks for readiness either.
fn watched(socket: OwnedFd) -> io::Result<UnixDatagram> {
    UnixDatagram::from_std(std::os::unix::net::UnixDatagram::from(socket))
}

/// The kernel's word for "the peer has gone" depends on what it was doing.
fn closed_or_io(error: io::Error) -> ChannelError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ChannelError::Closed,
        _ => ChannelError::Io(error),
    }
}

fn send_once(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    net::sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )?;
    Ok(())
}

struct Received {
    bytes: usize,
    flags: ReturnFlags,
    descriptors: Vec<OwnedFd>,
}

fn recv_once(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> rustix::io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = net::recvmsg(
        socket,
        &mut [IoSliceMut::new(buffer)],
        &mut control,
        // With TRUNC the result is the message's size even if the buffer is too small for it.
        RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT | RecvFlags::TRUNC,
    )?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    Ok(Received {
        bytes: received.bytes,
        flags: received.flags,
        descriptors,
    })
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
