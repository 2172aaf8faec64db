//! From one stream to the next.

use std::sync::Arc;

use dlf_wire::channel::MESSAGE_BYTES_MAX;
use dlf_wire::dial::{Backoff, DialError, TOKEN_INTERVAL};
use dlf_wire::nodes::v1::from_node::Message as Up;
use dlf_wire::nodes::v1::nodes_client::NodesClient;
use dlf_wire::nodes::v1::to_node::Message as Down;
use dlf_wire::nodes::v1::{FromNode, NodeHello, NodeWelcome, ToNode, Token};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::{Connection, Holdings, Order};

#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("{0}")]
    Dial(#[from] DialError),
    #[error("{}", .0.message())]
    Status(#[from] Box<Status>),
    #[error("the operator ended the stream")]
    Ended,
}

/// A stream that was welcomed.
struct Established {
    welcome: NodeWelcome,
    inbound: Streaming<ToNode>,
}

impl Connection {
    /// Keeps a stream up for as long as anybody listens to the orders.
    pub async fn run(self, holdings: Arc<impl Holdings>) {
        let mut backoff = Backoff::default();
        while !self.orders.is_closed() {
            let error = match self.establish(holdings.as_ref()).await {
                Ok(stream) => {
                    backoff.reset();
                    self.shared.open();
                    tracing::info!("connected to the operator");
                    self.follow(stream).await
                }
                Err(error) => error,
            };
            tracing::warn!(%error, "no stream to the operator");
            self.shared.close(error.to_string());
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn establish(&self, holdings: &impl Holdings) -> Result<Established, StreamError> {
        let token = self.dialer.token().await?;
        let hello = || NodeHello {
            node: self.node.clone(),
            token: Some(token.clone()),
            driver_version: env!("CARGO_PKG_VERSION").to_owned(),
            held: holdings.in_use(),
            mounters: holdings.mounters(),
        };
        Ok(self
            .dialer
            .open(|client| attach(client, self.shared.begin(hello)))
            .await?)
    }

    /// Passes on what comes down until the stream ends, and says why it did.
    async fn follow(&self, mut stream: Established) -> StreamError {
        let network = stream.welcome.network.take().map(Order::Network);
        let mounter = stream.welcome.mounter.take().map(Order::Mounter);
        for order in network.into_iter().chain(mounter) {
            if self.orders.send(order).await.is_err() {
                return StreamError::Ended;
            }
        }
        let mut renewal = interval_at(Instant::now() + TOKEN_INTERVAL, TOKEN_INTERVAL);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // `Streaming::message` keeps what it has read when it is cancelled by the clock.
            let result = tokio::select! {
                message = next(&mut stream.inbound) => match message {
                    Ok(message) => self.deliver(message).await,
                    Err(status) => Err(status.into()),
                },
                _ = renewal.tick() => {
                    self.send_token().await;
                    Ok(())
                }
            };
            if let Err(error) = result {
                return error;
            }
        }
    }

    async fn deliver(&self, message: Down) -> Result<(), StreamError> {
        let order = match message {
            Down::Grant(grant) => {
                self.shared.needs.grant(grant);
                return Ok(());
            }
            Down::Refusal(refusal) => {
                let failure = refusal.failure.unwrap_or_default();
                self.shared.needs.refuse(refusal.request, failure);
                return Ok(());
            }
            Down::Dataset(dataset) => Order::Dataset(Box::new(dataset)),
            Down::Network(network) => Order::Network(network),
            Down::Mounter(mounter) => Order::Mounter(mounter),
            Down::Welcome(_) => return Ok(()),
        };
        self.orders
            .send(order)
            .await
            .map_err(|_| StreamError::Ended)
    }

    async fn send_token(&self) {
        match self.dialer.token().await {
            Ok(Token { value }) => self.shared.send(Up::Token(Token { value })),
            Err(error) => tracing::warn!(%error, "the old token is used as long as it lasts"),
        }
    }
}

/// Opens the stream and waits for the welcome, which only the leader gives.
async fn attach(
    client: NodesClient<Channel>,
    queue: mpsc::Receiver<FromNode>,
) -> Result<Established, Status> {
    // What a mounter is told comes by this stream.
    let mut client = client.max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut inbound = client
        .attach(ReceiverStream::new(queue))
        .await?
        .into_inner();
    match next(&mut inbound).await.map_err(|status| *status)? {
        Down::Welcome(welcome) => Ok(Established { welcome, inbound }),
        _ => Err(Status::internal(
            "the operator did not begin with a welcome",
        )),
    }
}

/// The next message that we know; a newer operator may send others.
async fn next(inbound: &mut Streaming<ToNode>) -> Result<Down, Box<Status>> {
    loop {
        match inbound.message().await? {
            None => {
                return Err(Box::new(Status::unavailable(
                    "the operator ended the stream",
                )));
            }
            Some(ToNode { message: None }) => {}
            Some(ToNode {
                message: Some(message),
            }) => return Ok(message),
        }
    }
}

#[cfg(test)]
mod fuzz;
