//! A TCP proxy in front of the real server: what networks and overloaded servers do to a client.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::support::server;

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
    /// So many bytes of the server's pass at once, those that follow one by one.
    TrickleAfter(usize),
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
            let _ = serve(client, fault).await;
        });
    }
}

async fn serve(mut client: TcpStream, fault: Option<Fault>) -> std::io::Result<()> {
    match fault {
        Some(Fault::Reset) => return Ok(()),
        Some(Fault::BlackHole) => return swallow(&mut client).await,
        Some(Fault::Answer(answer)) => {
            let mut request = vec![0; 64 * 1024];
            let _ = client.read(&mut request).await?;
            client.write_all(answer.as_bytes()).await?;
            return client.shutdown().await;
        }
        Some(Fault::AnswerAndHang(answer)) => {
            let mut request = vec![0; 64 * 1024];
            let _ = client.read(&mut request).await?;
            client.write_all(answer.as_bytes()).await?;
            return swallow(&mut client).await;
        }
        Some(Fault::Sip(pieces)) => return sip(&mut client, &pieces).await,
        Some(Fault::CutAfter(_) | Fault::TrickleAfter(_)) | None => {}
    }
    let upstream = TcpStream::connect(server()).await?;
    let (mut from_client, mut to_client) = client.split();
    let (from_server, mut to_server) = upstream.into_split();
    let budget = match fault {
        Some(Fault::CutAfter(bytes)) => bytes as u64,
        _ => u64::MAX,
    };
    let answers = async {
        if let Some(Fault::TrickleAfter(bytes)) = fault {
            return trickle(from_server, &mut to_client, bytes).await;
        }
        if budget == 0 {
            // The answer is lost, but there was one: the server has done its work.
            from_server.readable().await?;
            return Ok(());
        }
        tokio::io::copy(&mut from_server.take(budget), &mut to_client)
            .await
            .map(|_| ())
    };
    tokio::select! {
        done = answers => done,
        done = tokio::io::copy(&mut from_client, &mut to_server) => done.map(|_| ()),
    }
}

/// Reads and answers nothing.
async fn swallow(client: &mut TcpStream) -> std::io::Result<()> {
    let mut void = [0; 4096];
    while client.read(&mut void).await? > 0 {}
    Ok(())
}

/// Takes a request slowly, then answers.
async fn sip(client: &mut TcpStream, answer: &[String]) -> std::io::Result<()> {
    let mut piece = vec![0; 256 * 1024];
    let mut left = None;
    while left != Some(0) {
        let length = client.read(&mut piece).await?;
        let taken = match left {
            Some(left) => left - length,
            None => body_length(&piece[..length]),
        };
        left = Some(taken);
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    for piece in answer {
        client.write_all(piece.as_bytes()).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// How much of a request is still to come, of which this is the beginning.
fn body_length(beginning: &[u8]) -> usize {
    let text = String::from_utf8_lossy(beginning);
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let whole = head.len() + 4 + length.unwrap().parse::<usize>().unwrap();
    whole - beginning.len()
}

/// Passes what the server says on, after a while byte by byte.
async fn trickle(
    mut from_server: impl AsyncRead + Unpin,
    to_client: &mut (impl AsyncWrite + Unpin),
    after: usize,
) -> std::io::Result<()> {
    let mut beginning = vec![0; after];
    from_server.read_exact(&mut beginning).await?;
    to_client.write_all(&beginning).await?;
    loop {
        let byte = from_server.read_u8().await?;
        to_client.write_u8(byte).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
