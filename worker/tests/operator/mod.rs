use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dlf_listen::Listener;
use dlf_operator::nodes::authorise::FindPod;
use dlf_operator::nodes::identity::{Identify, Identity, IdentityError, Program};
use dlf_operator::nodes::{CONNECTIONS_MAX, Dependencies, Hub, TellPod, serve};
use dlf_operator::pods::SlimPod;
use dlf_operator::tasks::Tasks;
use dlf_operator::waker::Changes;
use dlf_wire::dial::Dialer;
use dlf_wire::nodes::v1::{PodRef, Token};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::sync::watch;

const NAME: &str = "dlf-nodes.dlf-system.svc";

/// What the API server would say: the token in the file is that of `worker-1`.
struct OneWorker;

#[async_trait]
impl Identify for OneWorker {
    async fn identify(&self, token: &Token) -> Result<Identity, IdentityError> {
        if token.value != "the token" {
            return Err(IdentityError::Invalid(String::new()));
        }
        let lifetime = Duration::from_hours(1);
        let (node, pod) = ("n1".to_owned(), "worker-1".to_owned());
        Ok(Identity {
            program: Program::Worker,
            node,
            pod,
            lifetime,
        })
    }
}

struct NoPods;

#[async_trait]
impl FindPod for NoPods {
    fn cached(&self, _: &str, _: &str) -> Option<SlimPod> {
        None
    }

    async fn live(&self, _: &str, _: &str) -> Result<Option<SlimPod>, String> {
        Ok(None)
    }
}

#[async_trait]
impl TellPod for NoPods {
    async fn subpath_made(&self, _: &PodRef, _: &str) {}
}

/// The operator's streams on a free port.
pub(crate) struct Operator {
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) changes: Changes,
    address: SocketAddr,
    files: tempfile::TempDir,
    leading: watch::Sender<bool>,
}

impl Operator {
    pub(crate) async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("token"), "the token\n").unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([NAME.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(files.path().join("ca.crt"), certificate.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(anywhere, CONNECTIONS_MAX).await.unwrap();
        let address = listener.local_addr().unwrap();
        let changes = Changes::default();
        let tasks = Arc::new(Tasks::new(changes.clone()));
        let (leading, followed) = watch::channel(true);
        let dependencies = Dependencies {
            hub: Arc::new(Hub::new(changes.clone())),
            tasks: tasks.clone(),
            identify: Arc::new(OneWorker),
            handshakes: Arc::default(),
            pods: Arc::new(NoPods),
            tell: Arc::new(NoPods),
            leading: followed,
        };
        tokio::spawn(serve(
            listener,
            Arc::new(tls),
            dependencies,
            std::future::pending(),
        ));
        Self {
            tasks,
            changes,
            address,
            files,
            leading,
        }
    }

    pub(crate) fn dialer(&self) -> Dialer {
        let file = |name: &str| self.files.path().join(name);
        let dialer = Dialer::new(&self.address.to_string(), file("ca.crt"), file("token"));
        dialer.unwrap().server_name(NAME)
    }

    /// Takes the lead or gives it up, and lets both sides notice.
    pub(crate) async fn lead(&self, leads: bool) {
        self.leading.send(leads).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
