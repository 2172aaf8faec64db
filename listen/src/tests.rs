use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::*;

const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Long enough for what should happen, and what should not is not waited for.
const SOON: Duration = Duration::from_secs(10);

/// A listener, and where it is.
async fn listener(all: usize, of_address: usize) -> (Listener, SocketAddr) {
    let listener = Listener::bind(NOBODY, Limits { all, of_address }).await;
    let listener = listener.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Dials from `127.0.0.HOST`.
async fn dial(host: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from = Ipv4Addr::new(127, 0, 0, host);
    socket.bind(SocketAddr::new(from.into(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

async fn is_closed(mut stream: TcpStream) -> bool {
    let read = timeout(SOON, stream.read(&mut [0])).await.unwrap();
    match read {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[tokio::test]
async fn one_address_cannot_take_the_places_of_another() {
    let (mut listener, address) = listener(4, 2).await;
    let refused = listener.refused();
    let mut accepted = Vec::new();
    let mut crowd = Vec::new();
    for _ in 0..2 {
        crowd.push(dial(2, address).await);
        accepted.push(listener.accept().await);
    }
    let too_many = dial(2, address).await;
    let mut other = dial(3, address).await;
    let (mut its_end, peer) = timeout(SOON, listener.accept()).await.unwrap();
    assert_eq!(peer, other.local_addr().unwrap());
    assert!(is_closed(too_many).await);
    assert_eq!(refused.count(), 1);
    other.write_all(b"hello").await.unwrap();
    let mut read = [0; 5];
    its_end.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"hello");

    // One that goes makes room for one more of its address.
    accepted.pop();
    let next = dial(2, address).await;
    let (_, peer) = timeout(SOON, listener.accept()).await.unwrap();
    assert_eq!(peer, next.local_addr().unwrap());
    assert_eq!(refused.count(), 1);
}

#[tokio::test]
async fn who_comes_when_all_places_are_taken_waits_for_one() {
    let (mut listener, address) = listener(1, 1).await;
    let _first = dial(2, address).await;
    let taken = listener.accept().await;
    let second = dial(3, address).await;
    let waited = timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(waited.is_err(), "there is no place");
    drop(taken);
    let (_, peer) = timeout(SOON, listener.accept()).await.unwrap();
    assert_eq!(peer, second.local_addr().unwrap());
}

#[tokio::test]
async fn nothing_is_kept_of_addresses_that_have_gone() {
    let (mut listener, address) = listener(8, 2).await;
    for host in 2..6 {
        let _peer = dial(host, address).await;
        let _accepted = listener.accept().await;
        assert_eq!(listener.counts.addresses(), 1);
    }
    assert_eq!(listener.counts.addresses(), 0);
}
