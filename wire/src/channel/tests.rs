use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;

use super::*;
use crate::mounter::v1::{Start, ToMounter, to_mounter};

fn start(mount_id: &str) -> ToMounter {
    ToMounter {
        request: 7,
        message: Some(to_mounter::Message::Start(Start {
            mount_id: mount_id.to_owned(),
            ..Start::default()
        })),
    }
}

#[tokio::test]
async fn a_message_and_its_descriptor_arrive_together() {
    let (a, b) = Channel::pair().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"through the socket").unwrap();

    a.send(&start("one"), Some(file.as_fd())).await.unwrap();
    a.send(&start("two"), None).await.unwrap();

    let (first, descriptor) = b.recv::<ToMounter>().await.unwrap();
    assert_eq!(first, start("one"));
    let descriptor = descriptor.unwrap();
    assert!(
        rustix::io::fcntl_getfd(&descriptor)
            .unwrap()
            .contains(rustix::io::FdFlags::CLOEXEC)
    );
    let mut received = File::from(descriptor);
    received.rewind().unwrap();
    let mut text = String::new();
    received.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through the socket");

    let (second, none) = b.recv::<ToMounter>().await.unwrap();
    assert_eq!(second, start("two"));
    assert!(none.is_none());
}

#[tokio::test]
async fn the_largest_message_passes_and_a_larger_one_is_refused() {
    let (a, b) = Channel::pair().unwrap();
    let overhead = start("").encoded_len() + 2 * prost::length_delimiter_len(MESSAGE_BYTES_MAX);
    let largest = start(&"x".repeat(MESSAGE_BYTES_MAX - overhead));
    a.send(&largest, None).await.unwrap();
    assert_eq!(b.recv::<ToMounter>().await.unwrap().0, largest);

    let larger = start(&"x".repeat(MESSAGE_BYTES_MAX));
    let refused = a.send(&larger, None).await.unwrap_err();
    assert!(
        matches!(refused, ChannelError::TooLarge { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_message_that_fits_into_no_datagram_passes_with_its_descriptor() {
    let (a, b) = Channel::pair().unwrap();
    let file = tempfile::tempfile().unwrap();
    let overhead = start("").encoded_len() + 2 * prost::length_delimiter_len(DATAGRAM_BYTES_MAX);
    for bytes in [
        DATAGRAM_BYTES_MAX - overhead,
        DATAGRAM_BYTES_MAX,
        MESSAGE_BYTES_MAX / 2,
    ] {
        let message = start(&"x".repeat(bytes));
        for descriptor in [None, Some(file.as_fd())] {
            a.send(&message, descriptor).await.unwrap();
            let (received, with) = b.recv::<ToMounter>().await.unwrap();
            assert!(received == message, "{bytes} bytes");
            assert_eq!(with.is_some(), descriptor.is_some());
        }
    }
}

#[tokio::test]
async fn a_sender_waits_for_a_slow_receiver_and_nothing_is_lost() {
    let (a, b) = Channel::pair().unwrap();
    let body = "x".repeat(100 * 1024);
    let sender = tokio::spawn({
        let body = body.clone();
        async move {
            for n in 0..20 {
                a.send(&start(&format!("{n} {body}")), None).await.unwrap();
            }
        }
    });
    for n in 0..20 {
        tokio::task::yield_now().await;
        let (message, _) = b.recv::<ToMounter>().await.unwrap();
        assert_eq!(message, start(&format!("{n} {body}")));
    }
    sender.await.unwrap();
    assert!(matches!(
        b.recv::<ToMounter>().await,
        Err(ChannelError::Closed)
    ));
    assert!(matches!(
        b.send(&start("late"), None).await,
        Err(ChannelError::Closed)
    ));
}

#[tokio::test]
async fn garbage_is_reported_and_the_channel_lives_on() {
    let (a, b) = Channel::pair().unwrap();
    rustix::net::send(
        &a.socket,
        b"\xff\xff\xff\xff",
        rustix::net::SendFlags::empty(),
    )
    .unwrap();
    a.send(&start("after"), None).await.unwrap();
    assert!(matches!(
        b.recv::<ToMounter>().await,
        Err(ChannelError::Decode(_))
    ));
    assert_eq!(b.recv::<ToMounter>().await.unwrap().0, start("after"));
}

#[tokio::test]
async fn a_message_without_bytes_cannot_be_mistaken_for_the_end() {
    let (a, _b) = Channel::pair().unwrap();
    assert!(matches!(
        a.send(&ToMounter::default(), None).await,
        Err(ChannelError::Empty)
    ));
}

#[tokio::test]
async fn a_listener_takes_the_place_of_a_dead_one_and_knows_its_peers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.sock");
    drop(Listener::bind(&path).unwrap());
    let listener = Listener::bind(&path).unwrap();

    let client = Channel::connect(&path).unwrap();
    let server = listener.accept().await.unwrap();
    let cred = server.peer_cred().unwrap();
    assert_eq!(cred.uid, rustix::process::geteuid().as_raw());
    assert_eq!(u32::try_from(cred.pid).unwrap(), std::process::id());

    client.send(&start("hello"), None).await.unwrap();
    assert_eq!(server.recv::<ToMounter>().await.unwrap().0, start("hello"));
    drop(client);
    assert!(matches!(
        server.recv::<ToMounter>().await,
        Err(ChannelError::Closed)
    ));
}
