use std::{io, sync::Arc};

use dlf_core::plugin::Reply;
use tokio::{
    io::split,
    sync::{Semaphore, mpsc},
};

use super::{
    Channel,
    frame::{self, Frame},
    socket::Stream,
};

/// A request is a dataset and what was observed of its cache.
const REQUEST_BYTES_MAX: usize = 16 << 20;
/// Calls of one connection at once; more wait in the socket.
const CONCURRENCY: usize = 64;

/// Answers the frames of one connection through a channel until it ends. What the channel does wrong
/// is answered as an error that says so.
///
/// # Errors
/// What breaks the connection.
pub async fn serve(stream: impl Stream + 'static, channel: Arc<dyn Channel>) -> io::Result<()> {
    let (mut reader, mut writer) = split(stream);
    let (answers, mut queue) = mpsc::channel::<Frame>(CONCURRENCY);
    let places = Arc::new(Semaphore::new(CONCURRENCY));
    let writing = async move {
        while let Some(answer) = queue.recv().await {
            frame::write(&mut writer, &answer).await?;
        }
        Ok(())
    };
    let reading = async move {
        while let Some(Frame { id, json }) = frame::read(&mut reader, REQUEST_BYTES_MAX).await? {
            let (channel, answers) = (Arc::clone(&channel), answers.clone());
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                break;
            };
            tokio::spawn(async move {
                let json = answer(json, channel.as_ref()).await;
                // Whoever asked may have gone.
                let _ = answers.send(Frame { id, json }).await;
                drop(place);
            });
        }
        Ok(())
    };
    tokio::select! {
        ended = reading => ended,
        ended = writing => ended,
    }
}

async fn answer(message: Vec<u8>, channel: &dyn Channel) -> Vec<u8> {
    match channel.call(message.into()).await {
        Ok(reply) => reply,
        Err(fault) => serde_json::to_vec(&Reply::Error(fault.error())).unwrap_or_default(),
    }
}
