//! The operator's side of the node stream.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::nodes::v1::from_node::Message as Up;
use dlf_wire::nodes::v1::nodes_server::{Nodes, NodesServer};
use dlf_wire::nodes::v1::to_node::Message as Down;
use dlf_wire::nodes::v1::{
    Failure, FromNode, FromWorker, Grant, MounterWanted, NodeWelcome, Refusal, ToNode, ToWorker,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::node::free_address;

/// What a test says to a driver, and what the driver said.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    identity: Identity,
}

#[derive(Default)]
struct Shared {
    answers: HashMap<String, Result<Grant, Failure>>,
    heard: Vec<Up>,
    streams: Vec<mpsc::UnboundedSender<Result<ToNode, Status>>>,
    serving: Option<JoinHandle<()>>,
    wanted: String,
    follower: bool,
    silent: bool,
}

impl Operator {
    /// Makes an authority, writes its certificate to `ca` and takes a port; not serving yet.
    pub(crate) fn prepare(ca: &Path) -> Self {
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&authority_key).unwrap();
        std::fs::write(ca, certificate.pem()).unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        Self {
            address: free_address(),
            shared: Arc::default(),
            identity: Identity::from_pem(leaf.pem(), key.serialize_pem()),
        }
    }

    /// Begins to serve.
    pub(crate) async fn start(&self) {
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                // The listener that was stopped may not have gone yet.
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let tls = ServerTlsConfig::new().identity(self.identity.clone());
        let server = Server::builder()
            .tls_config(tls)
            .unwrap()
            .add_service(NodesServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let serving = tokio::spawn(async move { server.await.unwrap() });
        self.shared.lock().unwrap().serving = Some(serving);
    }

    /// Goes away, streams and all.
    pub(crate) fn stop(&self) {
        let mut shared = self.shared.lock().unwrap();
        if let Some(serving) = shared.serving.take() {
            serving.abort();
        }
        for stream in shared.streams.drain(..) {
            let _ = stream.send(Err(Status::unavailable("going away")));
        }
    }

    pub(crate) fn set_follower(&self, follower: bool) {
        self.shared.lock().unwrap().follower = follower;
    }

    /// Accepts streams and does not welcome their drivers, or does.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.shared.lock().unwrap().silent = silent;
    }

    pub(crate) fn grant(&self, dataset: DatasetConfig) {
        self.grant_as(Grant {
            dataset: Some(dataset),
            ..Grant::default()
        });
    }

    pub(crate) fn grant_as(&self, grant: Grant) {
        let handle = grant.dataset.as_ref().unwrap().volume_handle.clone();
        self.shared
            .lock()
            .unwrap()
            .answers
            .insert(handle, Ok(grant));
    }

    pub(crate) fn refuse(&self, handle: &str, reason: &str, message: &str) {
        let failure = Failure::new(reason, message);
        self.shared
            .lock()
            .unwrap()
            .answers
            .insert(handle.into(), Err(failure));
    }

    /// Sends to every driver that is connected.
    pub(crate) fn tell(&self, message: &Down) {
        for stream in &self.shared.lock().unwrap().streams {
            let message = ToNode {
                message: Some(message.clone()),
            };
            let _ = stream.send(Ok(message));
        }
    }

    pub(crate) fn want_mounter(&self, revision: &str) {
        self.shared.lock().unwrap().wanted = revision.into();
        self.tell(&Down::Mounter(MounterWanted {
            revision: revision.into(),
        }));
    }

    /// Waits until the driver has said something that `matches`.
    pub(crate) async fn hear<T>(&self, what: &str, matches: impl Fn(&Up) -> Option<T>) -> T {
        for _ in 0..300 {
            if let Some(found) = self.shared.lock().unwrap().heard.iter().find_map(&matches) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "not heard: {what}: {:#?}",
            self.shared.lock().unwrap().heard
        );
    }

    pub(crate) fn forget_heard(&self) {
        self.shared.lock().unwrap().heard.clear();
    }

    pub(crate) fn heard(&self) -> Vec<Up> {
        self.shared.lock().unwrap().heard.clone()
    }

    fn answer(&self, up: &Up) -> Option<Down> {
        let shared = self.shared.lock().unwrap();
        match up {
            Up::Hello(_) => Some(Down::Welcome(NodeWelcome {
                network: None,
                mounter: Some(MounterWanted {
                    revision: shared.wanted.clone(),
                }),
            })),
            Up::Need(need) => match shared.answers.get(&need.volume_handle)?.clone() {
                Ok(grant) => Some(Down::Grant(Grant {
                    request: need.request,
                    ..grant
                })),
                Err(failure) => Some(Down::Refusal(Refusal {
                    request: need.request,
                    failure: Some(failure),
                })),
            },
            _ => None,
        }
    }
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Nodes for Operator {
    type AttachStream = Replies<ToNode>;
    type WorkStream = Replies<ToWorker>;

    async fn attach(
        &self,
        request: Request<Streaming<FromNode>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        if self.shared.lock().unwrap().follower {
            return Err(Status::unavailable("not the leader"));
        }
        let (down, stream) = mpsc::unbounded_channel();
        self.shared.lock().unwrap().streams.push(down.clone());
        let operator = self.clone();
        let mut inbound = request.into_inner();
        tokio::spawn(async move {
            while let Some(Ok(message)) = inbound.next().await {
                let up = message.message.unwrap();
                operator.shared.lock().unwrap().heard.push(up.clone());
                while operator.shared.lock().unwrap().silent {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                if let Some(answer) = operator.answer(&up) {
                    let message = Some(answer);
                    let _ = down.send(Ok(ToNode { message }));
                }
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(
            stream,
        ))))
    }

    async fn work(
        &self,
        _: Request<Streaming<FromWorker>>,
    ) -> Result<Response<Self::WorkStream>, Status> {
        Err(Status::unimplemented("no workers here"))
    }
}
