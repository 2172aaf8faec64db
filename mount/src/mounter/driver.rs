//! One connection of a node driver.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use dlf_wire::channel::{Channel, ChannelError};
use dlf_wire::mounter::v1::{
    self as wire, Failed, FromMounter, Hello, ToMounter, from_mounter, to_mounter,
};
use tokio::sync::broadcast::error::RecvError;

use super::children::Children;
use super::refusal::Refusal;

/// Greets the driver, answers its requests and passes on what happens, until it goes.
pub(super) async fn serve(channel: Channel, children: Arc<Children>) {
    let channel = Arc::new(channel);
    let result = tokio::select! {
        result = announce(&channel, &children) => result,
        result = answer(&channel, &children) => result,
    };
    match result {
        Err(ChannelError::Closed) => tracing::info!("the driver has gone"),
        Err(error) => tracing::warn!(%error, "the connection to the driver was ended"),
        Ok(()) => tracing::warn!("the driver reads too slowly and was disconnected"),
    }
}

/// Sends the greeting and then what nobody asked for. A driver that falls too far behind is sent
/// away: it comes back and learns the state from the next greeting.
async fn announce(channel: &Channel, children: &Children) -> Result<(), ChannelError> {
    // Before the list is taken: what happens in between is then told twice and not missed.
    let (mut events, mut questions) = (children.subscribe(), children.subscribe_questions());
    let hello = from_mounter::Message::Hello(Hello {
        revision: children.revision().to_owned(),
        children: children.list(),
    });
    channel.send(&message(0, hello), None).await?;
    for writes in children.writes() {
        let writes = from_mounter::Message::Writes(writes);
        channel.send(&message(0, writes), None).await?;
    }
    loop {
        let news = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => event,
                Err(RecvError::Lagged(_) | RecvError::Closed) => return Ok(()),
            },
            question = questions.recv() => match question {
                Ok(ask) => from_mounter::Message::Ask(ask),
                // Nobody waits for the answers to those that were dropped any more.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Ok(()),
            },
        };
        channel.send(&message(0, news), None).await?;
    }
}

/// Answers each request in a task of its own: a slow start holds up nothing else.
async fn answer(channel: &Arc<Channel>, children: &Arc<Children>) -> Result<(), ChannelError> {
    loop {
        let (request, descriptor) = match channel.recv::<ToMounter>().await {
            Ok(received) => received,
            Err(ChannelError::Decode(error)) => {
                tracing::warn!(%error, "a message of the driver could not be read");
                continue;
            }
            Err(error) => return Err(error),
        };
        let request = match request {
            ToMounter {
                message: Some(to_mounter::Message::Told(answer)),
                ..
            } => {
                children.answer(answer);
                continue;
            }
            request => request,
        };
        // The connection ends when we stop listening, whatever is still under way.
        let (channel, children) = (Arc::downgrade(channel), children.clone());
        tokio::spawn(async move {
            let id = request.request;
            let answer = carry_out(&children, request, descriptor).await;
            let answer = answer.unwrap_or_else(|refusal| {
                from_mounter::Message::Failed(Failed {
                    reason: refusal.reason,
                    message: refusal.message,
                })
            });
            if let Some(channel) = channel.upgrade()
                && let Err(error) = channel.send(&message(id, answer), None).await
            {
                tracing::warn!(%error, "an answer did not reach the driver");
            }
        });
    }
}

async fn carry_out(
    children: &Arc<Children>,
    request: ToMounter,
    descriptor: Option<OwnedFd>,
) -> Result<from_mounter::Message, Refusal> {
    let done = from_mounter::Message::Done;
    match request.message {
        Some(to_mounter::Message::Start(start)) => {
            let device = descriptor.ok_or_else(|| {
                Refusal::new("DescriptorMissing", "no /dev/fuse came with the start")
            })?;
            children.start(start, device).await.map(done)
        }
        Some(to_mounter::Message::Configure(configure)) => {
            children.configure(configure).await.map(done)
        }
        Some(to_mounter::Message::Refresh(refresh)) => children.refresh(refresh).await.map(done),
        Some(to_mounter::Message::Stop(stop)) => children.stop(&stop.mount_id).await.map(done),
        Some(to_mounter::Message::List(_)) => Ok(from_mounter::Message::Children(wire::Children {
            children: children.list(),
        })),
        // One that answers is no request, and was taken before; memory is ours to divide.
        Some(to_mounter::Message::Told(_) | to_mounter::Message::Memory(_)) | None => {
            Err(Refusal::new("InvalidRequest", "the request says nothing"))
        }
    }
}

fn message(request: u64, message: from_mounter::Message) -> FromMounter {
    FromMounter {
        request,
        message: Some(message),
    }
}

#[cfg(test)]
mod tests;
