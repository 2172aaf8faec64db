//! A peer that sends anything: bytes that are no message, descriptors that nobody asked for.

use std::fs::File;
use std::os::fd::AsFd;

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::*;
use crate::mounter::v1::{FromMounter, Start, ToMounter, to_mounter};

/// Descriptors that come with a message, at most.
const SENT_MAX: usize = 3;

fn datagrams() -> impl Strategy<Value = Vec<u8>> {
    let message = (any::<u64>(), ".{0,20}").prop_map(|(request, mount_id)| {
        let start = Start {
            mount_id,
            ..Start::default()
        };
        ToMounter {
            request,
            message: Some(to_mounter::Message::Start(start)),
        }
        .encode_to_vec()
    });
    let spoiled = (
        message.clone(),
        any::<proptest::sample::Index>(),
        any::<u8>(),
    );
    let spoiled = spoiled.prop_map(|(mut bytes, at, new)| {
        let at = at.index(bytes.len());
        bytes[at] = new;
        bytes
    });
    prop_oneof![
        Just(large::MARK.to_vec()),
        proptest::collection::vec(any::<u8>(), 1..64),
        message,
        spoiled,
        (any::<u8>(), 1..DATAGRAM_BYTES_MAX).prop_map(|(byte, count)| vec![byte; count]),
    ]
}

fn send(channel: &Channel, bytes: &[u8], descriptors: usize) {
    let file = File::open("/dev/null").unwrap();
    send_with(channel, bytes, &vec![file.as_fd(); descriptors]);
}

fn send_with(channel: &Channel, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(SENT_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    let bytes = [IoSlice::new(bytes)];
    net::sendmsg(&channel.socket, &bytes, &mut control, SendFlags::NOSIGNAL).unwrap();
}

proptest! {
    #[test]
    fn whatever_comes_is_a_message_or_an_error_and_the_channel_lives_on(
        bytes in datagrams(),
        descriptors in 0..=SENT_MAX,
        to_mounter in any::<bool>(),
    ) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = Channel::pair().unwrap();
            send(&theirs, &bytes, descriptors);
            let received = if to_mounter {
                ours.recv::<ToMounter>().await.map(|(_, with)| with)
            } else {
                ours.recv::<FromMounter>().await.map(|(_, with)| with)
            };
            match received {
                Ok(with) => prop_assert_eq!(with.is_some(), descriptors == 1),
                Err(ChannelError::Decode(_)) => prop_assert!(descriptors <= 1),
                Err(ChannelError::TooManyDescriptors) => prop_assert!(descriptors > 1),
                // What came is no memory.
                Err(ChannelError::Io(_)) => {
                    prop_assert!(bytes == large::MARK && (1..=2).contains(&descriptors));
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
            let next = ToMounter { request: 1, message: None };
            theirs.send(&next, None).await.unwrap();
            prop_assert_eq!(ours.recv::<ToMounter>().await.unwrap().0, next);
            Ok(())
        })?;
    }
}

/// The other end of a pipe sees whether anybody still has the one that was sent.
#[tokio::test]
async fn a_descriptor_of_a_refused_message_is_closed() {
    for (bytes, descriptors) in [
        (&b"\xff"[..], 1),
        (b"\xff", 2),
        (b"\x08\x01", 3),
        (large::MARK, 1),
        (large::MARK, 2),
    ] {
        let (ours, theirs) = Channel::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&reader, true).unwrap();
        send_with(&theirs, bytes, &vec![writer.as_fd(); descriptors]);
        drop(writer);
        assert!(ours.recv::<ToMounter>().await.is_err());
        let mut text = String::new();
        assert_eq!(
            std::io::Read::read_to_string(&mut reader, &mut text).unwrap(),
            0
        );
    }
}
