//! A TCP proxy in front of the real server: what networks and overloaded servers do to a client.

mod serve;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// What happens to one connection.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It is reset before anything is said.
    Reset,
    /// It is closed after so many bytes of the server's.
    CutAfter(usize),
    /// It takes requests and answers nothing.
    BlackHole,
    /// It answers the first request so, whatever it is, and closes.
    Answer(String),
    /// It answers the first request so, and says nothing more.
    AnswerAndHang(String),
    /// It takes a request at some MiB per second, and answers in these pieces, a moment apart.
    Sip([String; 2]),
    /// It answers the first request with this head, so many spaces half a second apart, and this.
    Spaces(&'static str, usize, String),
    /// So many bytes of the server's pass at once, those that follow one by one.
    TrickleAfter(usize),
    /// So many bytes of the server's pass, and then none.
    StallAfter(usize),
    /// Requests pass until one of this method, which it answers so, and closes.
    AnswerTo(&'static str, String),
    /// Requests pass until one that is to be held.
    Hold(Arc<Hold>),
}

/// Holds a request before the server until the test says so.
#[derive(Debug)]
pub(crate) struct Hold {
    method: &'static str,
    reached: Notify,
    ended: Notify,
}

impl Hold {
    /// Of the first request of this method.
    pub(crate) fn of(method: &'static str) -> Self {
        Self {
            method,
            reached: Notify::new(),
            ended: Notify::new(),
        }
    }

    /// Waits for the request.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets it go on.
    pub(crate) fn end(&self) {
        self.ended.notify_one();
    }
}

/// Gives each connection the next fault, and passes the others through.
pub(crate) struct Proxy {
    address: SocketAddr,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    down_until: Arc<Mutex<Option<Instant>>>,
    connections: Arc<AtomicU32>,
    task: AbortHandle,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub(crate) async fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::<Mutex<VecDeque<Fault>>>::default();
        let down_until = Arc::<Mutex<Option<Instant>>>::default();
        let connections = Arc::<AtomicU32>::default();
        let counter = Arc::clone(&connections);
        let accepting = accept(
            listener,
            Arc::clone(&faults),
            Arc::clone(&down_until),
            counter,
        );
        let task = tokio::spawn(accepting).abort_handle();
        Self {
            address,
            faults,
            down_until,
            connections,
            task,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next connections meet these.
    pub(crate) fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Connections there have been.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Every connection of the next while is reset, as if the server were being restarted.
    pub(crate) fn pause(&self, time: Duration) {
        *self.down_until.lock().unwrap() = Some(Instant::now() + time);
    }

    /// Forgets the faults that no connection has met.
    pub(crate) fn clear(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// Faults that no connection has met yet.
    pub(crate) fn left(&self) -> usize {
        self.faults.lock().unwrap().len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    down_until: Arc<Mutex<Option<Instant>>>,
    connections: Arc<AtomicU32>,
) {
    while let Ok((client, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        let down = down_until
            .lock()
            .unwrap()
            .is_some_and(|until| Instant::now() < until);
        let next = || faults.lock().unwrap().pop_front();
        let fault = if down { Some(Fault::Reset) } else { next() };
        tokio::spawn(async move {
            // A broken connection is what the proxy is for.
            let _ = serve::serve(client, fault).await;
        });
    }
}
