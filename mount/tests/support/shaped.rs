//! A network with a rate and a delay in front of a server. Both directions have the rate, whatever
//! number of connections share it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What is read at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Pieces of one connection on their way: enough for 30 MB/s at 15 ms.
const PIECES_MAX: usize = 8;

#[derive(Clone, Copy)]
pub struct Shape {
    /// Of each direction.
    pub bytes_per_second: u32,
    pub round_trip: Duration,
}

/// Goes on listening until the test's process ends.
pub struct Shaped {
    address: SocketAddr,
}

impl Shaped {
    /// Listens on a free port of loopback and passes on to `target` (`host:port`).
    pub fn start(target: &str, shape: Shape) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let target = target.to_owned();
        let (up, down) = (Direction::new(shape), Direction::new(shape));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Either side may end a connection; then the client makes another.
                let _ = connect(client, &target, &up, &down);
            }
        });
        Self { address }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The rate and the delay of one direction.
struct Direction {
    shape: Shape,
    /// When all that was put on it so far has left.
    free_at: Mutex<Instant>,
}

impl Direction {
    fn new(shape: Shape) -> Arc<Self> {
        Arc::new(Self {
            shape,
            free_at: Mutex::new(Instant::now()),
        })
    }

    /// When a piece that is put on it now comes out at the other end.
    fn arrival(&self, bytes: usize) -> Instant {
        let takes = Duration::from_secs(bytes as u64) / self.shape.bytes_per_second;
        let mut free_at = self.free_at.lock().unwrap();
        *free_at = Instant::now().max(*free_at) + takes;
        *free_at + self.shape.round_trip / 2
    }
}

fn connect(
    client: TcpStream,
    target: &str,
    up: &Arc<Direction>,
    down: &Arc<Direction>,
) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    pass(client.try_clone()?, server.try_clone()?, up.clone());
    pass(server, client, down.clone());
    Ok(())
}

fn pass(mut from: TcpStream, to: TcpStream, direction: Arc<Direction>) {
    let (sender, pieces) = sync_channel(PIECES_MAX);
    thread::spawn(move || deliver(&pieces, to));
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let piece = (direction.arrival(length), buffer[..length].to_vec());
            if sender.send(piece).is_err() {
                break;
            }
        }
    });
}

fn deliver(pieces: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    while let Ok((arrival, piece)) = pieces.recv() {
        thread::sleep(arrival.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
