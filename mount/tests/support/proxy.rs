//! A TCP proxy that can go away and come back: a source that is restarted, or a cut cable.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Passes connections on while it is up; while it is down it refuses new ones and has cut the old.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    up: AtomicBool,
    /// Bytes that went from the client to the server.
    sent: AtomicU64,
    /// And from the server to the client.
    received: AtomicU64,
    connections: Mutex<Vec<TcpStream>>,
    /// The next connection is taken and nothing passes on it …
    hold_next: AtomicBool,
    /// … until this is true; then it passes on what it was sent.
    let_go: Mutex<bool>,
    changed: Condvar,
}

impl Proxy {
    /// Listens on a free port of loopback and passes on to `target` (`host:port`).
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            up: AtomicBool::new(true),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            connections: Mutex::default(),
            hold_next: AtomicBool::new(false),
            let_go: Mutex::new(true),
            changed: Condvar::new(),
        });
        let (accepting, target) = (state.clone(), target.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.up.load(Ordering::Acquire) {
                    accepting.connect(client, &target);
                }
            }
        });
        Self { address, state }
    }

    /// Cuts all connections and takes no more.
    pub fn go_down(&self) {
        self.state.up.store(false, Ordering::Release);
        for connection in self.state.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub fn come_back(&self) {
        self.state.up.store(true, Ordering::Release);
    }

    /// Bytes that clients have sent so far.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }

    /// Bytes that the server has sent so far.
    pub fn received(&self) -> u64 {
        self.state.received.load(Ordering::Relaxed)
    }

    /// Cuts all connections; the next one is taken and held.
    pub fn hold_next_connection(&self) {
        self.go_down();
        *self.state.let_go.lock().unwrap() = false;
        self.state.hold_next.store(true, Ordering::Release);
        self.come_back();
    }

    /// Whether a connection is held.
    pub fn holds(&self) -> bool {
        !self.state.hold_next.load(Ordering::Acquire) && !*self.state.let_go.lock().unwrap()
    }

    pub fn let_go(&self) {
        *self.state.let_go.lock().unwrap() = true;
        self.state.changed.notify_all();
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl State {
    fn connect(self: &Arc<Self>, client: TcpStream, target: &str) {
        let Ok(server) = TcpStream::connect(target) else {
            return;
        };
        let mut connections = self.connections.lock().unwrap();
        connections.push(client.try_clone().unwrap());
        connections.push(server.try_clone().unwrap());
        drop(connections);
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (state, hold) = (self.clone(), self.hold_next.swap(false, Ordering::AcqRel));
        thread::spawn(move || {
            if hold {
                let let_go = state.let_go.lock().unwrap();
                drop(state.changed.wait_while(let_go, |let_go| !*let_go).unwrap());
            }
            copy(from, to, &state.sent);
        });
        let state = self.clone();
        thread::spawn(move || copy(server, client, &state.received));
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match io::Read::read(&mut from, &mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                count.fetch_add(length as u64, Ordering::Relaxed);
                if io::Write::write_all(&mut to, &buffer[..length]).is_err() {
                    break;
                }
            }
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
