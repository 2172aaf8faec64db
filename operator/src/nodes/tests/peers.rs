use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dlf_listen::Listener;
use dlf_wire::dial::Dialer;
use dlf_wire::nodes::v1::{
    FromNode, FromWorker, Held, NodeHello, PodRef, ToNode, ToWorker, Token, WorkerHello, from_node,
    from_worker, to_node, to_worker,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::nodes::authorise::FindPod;
use crate::nodes::identity::{Identify, Identity, IdentityError, Program};
use crate::nodes::{CONNECTIONS_MAX, Dependencies, Hub, TellPod, serve};
use crate::pods::SlimPod;
use crate::tasks::Tasks;
use crate::waker::Changes;

const NAME: &str = "dlf-nodes.dlf-system.svc";
/// Longer than anything here takes, shorter than a person's timeout.
const PATIENCE: Duration = Duration::from_secs(10);

/// Believes a token that says `PROGRAM NODE [LIFETIME_MS]`, and, if it ends with `once`, not again.
#[derive(Default)]
struct Trusting {
    seen: Mutex<HashSet<String>>,
}

#[async_trait]
impl Identify for Trusting {
    async fn identify(&self, token: &Token) -> Result<Identity, IdentityError> {
        let mut words = token.value.split(' ');
        let program = match words.next() {
            Some("driver") => Program::Driver,
            Some("worker") => Program::Worker,
            _ => return Err(IdentityError::Invalid(String::new())),
        };
        let node = words.next().unwrap_or_default().to_owned();
        let lifetime = words.next().map_or(60_000, |ms| ms.parse().unwrap());
        let is_new = self.seen.lock().unwrap().insert(token.value.clone());
        if words.next() == Some("once") && !is_new {
            return Err(IdentityError::Invalid("it has expired".into()));
        }
        let lifetime = Duration::from_millis(lifetime);
        Ok(Identity {
            program,
            pod: format!("pod-on-{node}"),
            node,
            lifetime,
        })
    }
}

/// What pods were told.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<(PodRef, String)>>);

impl Told {
    pub(super) fn all(&self) -> Vec<(PodRef, String)> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl TellPod for Told {
    async fn subpath_made(&self, pod: &PodRef, note: &str) {
        self.0.lock().unwrap().push((pod.clone(), note.to_owned()));
    }
}

/// Knows two pods on node `n1` that mount the claim `books`: `reader`, and `deep`, which asked for a subpath.
struct TwoPods;

#[async_trait]
impl FindPod for TwoPods {
    fn cached(&self, _: &str, _: &str) -> Option<SlimPod> {
        None
    }

    async fn live(&self, namespace: &str, name: &str) -> Result<Option<SlimPod>, String> {
        let found = namespace == "ns" && ["reader", "deep"].contains(&name);
        let (mut labels, mut annotations) = (json!({}), json!({}));
        if name == "deep" {
            labels = json!({ "dataset.0.id": "books" });
            annotations = json!({ "dataset.0.subpath": "in/deep" });
        }
        Ok(found.then(|| {
            serde_json::from_value(json!({
                "metadata": {
                    "namespace": "ns", "name": name, "uid": format!("uid-{name}"),
                    "labels": labels, "annotations": annotations,
                },
                "spec": {
                    "nodeName": "n1",
                    "volumes": [{ "persistentVolumeClaim": { "claimName": "books" } }],
                },
            }))
            .unwrap()
        }))
    }
}

pub(super) fn pod(name: &str) -> PodRef {
    PodRef {
        namespace: "ns".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
    }
}

/// A replica that serves on a free port.
pub(super) struct Operator {
    pub(super) hub: Arc<Hub>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) changes: Changes,
    pub(super) told: Arc<Told>,
    address: SocketAddr,
    files: tempfile::TempDir,
    leading: watch::Sender<bool>,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Operator {
    pub(super) async fn start(leads: bool) -> Self {
        let files = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([NAME.to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        fs::write(files.path().join("ca.crt"), certificate.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(anywhere, CONNECTIONS_MAX).await.unwrap();
        let address = listener.local_addr().unwrap();
        let changes = Changes::default();
        let (hub, tasks) = (
            Arc::new(Hub::new(changes.clone())),
            Arc::new(Tasks::new(changes.clone())),
        );
        let told = Arc::<Told>::default();
        let (leading, followed) = watch::channel(leads);
        let dependencies = Dependencies {
            hub: hub.clone(),
            tasks: tasks.clone(),
            identify: Arc::<Trusting>::default(),
            handshakes: Arc::default(),
            pods: Arc::new(TwoPods),
            tell: told.clone(),
            leading: followed,
        };
        let (shutdown, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let server = tokio::spawn(async move {
            serve(listener, Arc::new(tls), dependencies, stopped)
                .await
                .unwrap();
        });
        let shutdown = Some(shutdown);
        let operator = Self {
            hub,
            tasks,
            changes,
            told,
            address,
            files,
            leading,
            shutdown,
            server,
        };
        operator.settle().await;
        operator
    }

    /// The next dataset of which a node or a worker has something to report.
    pub(super) async fn reported(&self) -> Arc<str> {
        self.changes.reports.next().await.unwrap()
    }

    /// The next dataset whose users changed.
    pub(super) async fn used(&self) -> Arc<str> {
        self.changes.usage.next().await.unwrap()
    }

    /// Takes the lead or gives it up.
    pub(super) async fn lead(&self, leads: bool) {
        self.leading.send(leads).unwrap();
        self.settle().await;
    }

    pub(super) async fn stop(&mut self) {
        drop(self.shutdown.take());
        timeout(PATIENCE, &mut self.server).await.unwrap().unwrap();
    }

    pub(super) async fn attach(&self, node: &str, held: Vec<Held>) -> Result<Node, Status> {
        self.attach_with(&format!("driver {node}"), node, held)
            .await
    }

    pub(super) async fn attach_with(
        &self,
        token: &str,
        node: &str,
        held: Vec<Held>,
    ) -> Result<Node, Status> {
        let token = Some(Token {
            value: token.into(),
        });
        let hello = NodeHello {
            node: node.into(),
            token,
            held,
            ..NodeHello::default()
        };
        let hello = FromNode {
            message: Some(from_node::Message::Hello(hello)),
        };
        let (outbound, inbound) = self
            .open(hello, |mut client, queue| async move {
                client.attach(queue).await
            })
            .await?;
        Ok(Node { outbound, inbound })
    }

    pub(super) async fn work_with(&self, token: &str) -> Result<Worker, Status> {
        let token = Some(Token {
            value: token.into(),
        });
        let hello = WorkerHello {
            worker: "pod-on-n1".into(),
            token,
            capacity: 4,
        };
        let hello = FromWorker {
            message: Some(from_worker::Message::Hello(hello)),
        };
        let (outbound, inbound) = self
            .open(hello, |mut client, queue| async move {
                client.work(queue).await
            })
            .await?;
        Ok(Worker { outbound, inbound })
    }

    async fn open<Up, Down, Call, Calling>(
        &self,
        hello: Up,
        call: Call,
    ) -> Result<(mpsc::Sender<Up>, Streaming<Down>), Status>
    where
        Up: Clone,
        Call: Fn(Client, ReceiverStream<Up>) -> Calling,
        Calling: Future<Output = Result<tonic::Response<Streaming<Down>>, Status>>,
    {
        let target = self.address.to_string();
        let dialer = Dialer::new(&target, self.files.path().join("ca.crt"), "unused").unwrap();
        let dialer = dialer.server_name(NAME);
        let (outbound, queue) = mpsc::channel(8);
        outbound.send(hello).await.unwrap();
        let queue = std::sync::Mutex::new(Some(queue));
        let opened = dialer
            .open(|client| {
                let queue = queue.lock().unwrap().take().unwrap();
                let calling = call(client, ReceiverStream::new(queue));
                async { Ok(calling.await?.into_inner()) }
            })
            .await;
        match opened {
            Ok(inbound) => Ok((outbound, inbound)),
            Err(dlf_wire::dial::DialError::Refused { status, .. }) => Err(*status),
            Err(error) => panic!("{error}"),
        }
    }

    /// The server follows the lead in a task of its own.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

type Client = dlf_wire::nodes::v1::nodes_client::NodesClient<tonic::transport::Channel>;

/// A driver's end of a stream.
pub(super) struct Node {
    outbound: mpsc::Sender<FromNode>,
    inbound: Streaming<ToNode>,
}

impl Node {
    pub(super) async fn send(&self, message: from_node::Message) {
        self.outbound
            .send(FromNode {
                message: Some(message),
            })
            .await
            .unwrap();
    }

    pub(super) async fn next(&mut self) -> to_node::Message {
        let next = timeout(PATIENCE, self.inbound.message()).await;
        next.unwrap().unwrap().unwrap().message.unwrap()
    }

    /// How the stream ends, which it must do next.
    pub(super) async fn end(&mut self) -> Status {
        timeout(PATIENCE, self.inbound.message())
            .await
            .unwrap()
            .unwrap_err()
    }
}

/// A worker's end of a stream.
pub(super) struct Worker {
    outbound: mpsc::Sender<FromWorker>,
    inbound: Streaming<ToWorker>,
}

impl Worker {
    pub(super) async fn send(&self, message: from_worker::Message) {
        self.outbound
            .send(FromWorker {
                message: Some(message),
            })
            .await
            .unwrap();
    }

    pub(super) async fn next(&mut self) -> to_worker::Message {
        let next = timeout(PATIENCE, self.inbound.message()).await;
        next.unwrap().unwrap().unwrap().message.unwrap()
    }
}
