//! Frames over a stream: how programs and isolated plugins are spoken to.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadHalf, split},
    sync::{mpsc, oneshot},
};

use super::{
    Channel, Fault, Question, REPLY_BYTES_MAX,
    frame::{self, Frame},
};

/// A stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections to a plugin.
#[async_trait]
pub trait Connect: Send + Sync {
    /// A new connection, or why there is none, for a person.
    async fn connect(&self) -> Result<Box<dyn Stream>, String>;

    /// Ends what is at the other end, where that is ours to do. Says how it ended if it had by itself.
    async fn end(&self) -> Option<String> {
        None
    }
}

/// Frames that wait to be written; calls beyond wait themselves.
const QUEUED_MAX: usize = 64;

/// A channel over a stream, which carries many calls at once and is made anew when it breaks.
pub struct Socket {
    connect: Box<dyn Connect>,
    next: AtomicU64,
    generation: Arc<AtomicU64>,
    connection: tokio::sync::Mutex<Option<Connection>>,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Vec<u8>, Fault>>>>>;

#[derive(Clone)]
struct Connection {
    frames: mpsc::Sender<Frame>,
    waiting: Waiting,
}

impl Socket {
    /// A channel whose connections are made by `connect`, when the first call needs one.
    #[must_use]
    pub fn new(connect: impl Connect + 'static) -> Self {
        Self::to(Box::new(connect))
    }

    /// The same of a box.
    #[must_use]
    pub fn to(connect: Box<dyn Connect>) -> Self {
        Self {
            connect,
            next: AtomicU64::new(1),
            generation: Arc::default(),
            connection: tokio::sync::Mutex::default(),
        }
    }

    async fn connection(&self) -> Result<Connection, Fault> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = current.as_ref().filter(|open| !open.frames.is_closed()) {
            return Ok(connection.clone());
        }
        let stream = self.connect.connect().await.map_err(Fault::Unreachable)?;
        let connection = Connection::start(stream, Arc::clone(&self.generation));
        Ok(current.insert(connection).clone())
    }
}

impl Connection {
    /// Whoever answers at a connection is another than before it, and than after it.
    fn start(stream: Box<dyn Stream>, generation: Arc<AtomicU64>) -> Self {
        generation.fetch_add(1, Ordering::Relaxed);
        let (reader, mut writer) = split(stream);
        let (frames, mut queue) = mpsc::channel::<Frame>(QUEUED_MAX);
        let waiting = Waiting::default();
        let connection = Self {
            frames,
            waiting: Arc::clone(&waiting),
        };
        // The writer ends when the connection is dropped or breaks; the reader with the stream. Who
        // ends first takes the other along, so that a broken connection is never used again.
        tokio::spawn(async move {
            let sending = async {
                while let Some(frame) = queue.recv().await {
                    frame::write(&mut writer, &frame).await?;
                }
                Ok::<(), io::Error>(())
            };
            let why = tokio::select! {
                written = sending => written.err().map(|error| Fault::Ended(error.to_string())),
                why = read(reader, &waiting) => Some(why),
            };
            drop(queue);
            generation.fetch_add(1, Ordering::Relaxed);
            let why = why.unwrap_or_else(|| Fault::Ended("the connection was closed".to_owned()));
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for (_, caller) in waiting.drain() {
                let _ = caller.send(Err(why.clone()));
            }
        });
        connection
    }
}

impl Connection {
    async fn ask(&self, frame: Frame) -> Result<Vec<u8>, Fault> {
        let (answer, answered) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(frame.id, answer);
        let _place = Place(&self.waiting, frame.id);
        let ended = || Fault::Ended("the connection broke".to_owned());
        if self.frames.send(frame).await.is_err() {
            return Err(ended());
        }
        answered.await.map_err(|_| ended())?
    }
}

/// Hands answers to who waits for them until the stream ends; says why it did.
async fn read(mut reader: ReadHalf<Box<dyn Stream>>, waiting: &Waiting) -> Fault {
    loop {
        let Frame { id, json } = match frame::read(&mut reader, REPLY_BYTES_MAX).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Fault::Ended("it closed the connection".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Fault::Garbage(error.to_string());
            }
            Err(error) => return Fault::Ended(error.to_string()),
        };
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // An answer that nobody waits for came too late, or twice.
        if let Some(caller) = waiting.remove(&id) {
            let _ = caller.send(Ok(json));
        }
    }
}

/// Takes a call off the list when its caller stops waiting.
struct Place<'a>(&'a Waiting, u64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(&self.1);
    }
}

#[async_trait]
impl Channel for Socket {
    async fn call(&self, question: Question) -> Result<Vec<u8>, Fault> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = self.connection().await?;
        let json = question.message;
        match connection.ask(Frame { id, json }).await {
            Err(Fault::Ended(why)) => Err(Fault::Ended(self.connect.end().await.unwrap_or(why))),
            outcome => outcome,
        }
    }

    async fn open(&self) -> Result<(), Fault> {
        self.connection().await.map(drop)
    }

    async fn reset(&self) {
        *self.connection.lock().await = None;
        let _ = self.connect.end().await;
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}
