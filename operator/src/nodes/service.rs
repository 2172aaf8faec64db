use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dlf_wire::nodes::v1::{
    FromNode, FromWorker, NodeHello, ToNode, ToWorker, Token, WorkerHello, from_node, from_worker,
    nodes_server::Nodes,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Dependencies;
use super::handshakes::Handshakes;
use super::identity::{Identity, Program};
use super::refusal::{crowded, impostor, no_hello, not_leader, refused};
use super::shared::Shared;
use super::stream::{Credential, node, worker};

/// A client sends its hello with the request; later than this it is not one of ours.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Where many of one address are not known, a stream waits for its turn this long.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages handed to the transport ahead of what the other side takes. Small, because what waits
/// here is no longer replaced by something newer.
const SENT_AHEAD_MAX: usize = 4;

/// The gRPC service.
pub(super) struct Service {
    shared: Arc<Shared>,
    serving: watch::Receiver<bool>,
}

impl Service {
    pub(super) fn new(dependencies: &Dependencies, serving: watch::Receiver<bool>) -> Self {
        let Dependencies {
            hub,
            tasks,
            identify,
            handshakes,
            pods,
            tell,
            leading: _,
        } = dependencies.clone();
        Self {
            shared: Arc::new(Shared {
                hub,
                tasks,
                identify,
                handshakes,
                pods,
                tell,
            }),
            serving,
        }
    }

    fn check_leading(&self) -> Result<(), Status> {
        if *self.serving.borrow() {
            Ok(())
        } else {
            Err(not_leader())
        }
    }
}

#[tonic::async_trait]
impl Nodes for Service {
    type AttachStream = ReceiverStream<Result<ToNode, Status>>;
    type WorkStream = ReceiverStream<Result<ToWorker, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<FromNode>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        self.check_leading()?;
        let from = request.remote_addr();
        let mut inbound = request.into_inner();
        let first = first(&mut inbound).await?.message;
        let Some(from_node::Message::Hello(hello)) = first else {
            return Err(no_hello());
        };
        let NodeHello {
            node: name,
            token,
            driver_version,
            held,
            mounters,
        } = hello;
        let claimed = format!("the driver on {name}");
        let is_claimed =
            |identity: &Identity| identity.program == Program::Driver && identity.node == name;
        let (identity, token) = self.identify(token, from, &claimed, is_claimed).await?;
        tracing::info!(
            node = name,
            driver_version,
            held = held.len(),
            "node attached"
        );
        let (peer, woken) = self.shared.hub.attach(&name, held, mounters);
        let (outbound, stream) = mpsc::channel(SENT_AHEAD_MAX);
        let serving = self.serving.clone();
        let credential = credential(token, &identity);
        let stream_of = node::NodeStream::new(self.shared.clone(), peer, credential);
        tokio::spawn(stream_of.run(inbound, outbound, woken, serving));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn work(
        &self,
        request: Request<Streaming<FromWorker>>,
    ) -> Result<Response<Self::WorkStream>, Status> {
        self.check_leading()?;
        let from = request.remote_addr();
        let mut inbound = request.into_inner();
        let first = first(&mut inbound).await?.message;
        let Some(from_worker::Message::Hello(hello)) = first else {
            return Err(no_hello());
        };
        let WorkerHello {
            worker: name,
            token,
            capacity,
        } = hello;
        let claimed = format!("the worker {name}");
        let is_claimed =
            |identity: &Identity| identity.program == Program::Worker && identity.pod == name;
        let (identity, token) = self.identify(token, from, &claimed, is_claimed).await?;
        tracing::info!(worker = name, capacity, "worker attached");
        let (outbound, stream) = mpsc::channel(SENT_AHEAD_MAX);
        let serving = self.serving.clone();
        let credential = credential(token, &identity);
        let stream_of = worker::WorkerStream::new(self.shared.clone(), name, credential);
        tokio::spawn(stream_of.run(inbound, outbound, capacity, serving));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl Service {
    /// Who is at the other end, and that it is who it claims to be.
    async fn identify(
        &self,
        token: Option<Token>,
        from: Option<SocketAddr>,
        claimed: &str,
        is_claimed: impl Fn(&Identity) -> bool,
    ) -> Result<(Identity, Token), Status> {
        let address = from.map_or(Ipv4Addr::UNSPECIFIED.into(), |from| from.ip());
        let turn = Handshakes::turn(&self.shared.handshakes, address.to_canonical());
        let turn = timeout(TURN_TIMEOUT, turn).await.map_err(|_| crowded())?;
        let token = token.unwrap_or_default();
        match self.shared.identify.identify(&token).await {
            Ok(identity) if is_claimed(&identity) => {
                turn.known();
                Ok((identity, token))
            }
            Ok(identity) => Err(impostor(&identity, claimed)),
            Err(error) => {
                let from = from.map(tracing::field::display);
                tracing::warn!(from, %error, "a stream was refused");
                Err(refused(&error))
            }
        }
    }
}

fn credential(token: Token, identity: &Identity) -> Credential {
    Credential {
        expires: Instant::now() + identity.lifetime,
        identity: identity.clone(),
        token,
    }
}

async fn first<T>(inbound: &mut Streaming<T>) -> Result<T, Status> {
    let first = timeout(HELLO_TIMEOUT, inbound.message()).await;
    first.map_err(|_| no_hello())??.ok_or_else(no_hello)
}
