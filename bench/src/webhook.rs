//! Admission reviews straight to one replica, as the API server sends them: HTTP/1.1 over TLS,
//! connections that stay open.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::json;
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;

use crate::{
    Outcome,
    cluster::{Cluster, Replica, dataset},
    figures::{Samples, mebibytes, milliseconds, rate},
    namespace::{self, within},
    process::Processes,
};

const SPACE: &str = "bench-webhook";
const PORT: u16 = 9443;
const REQUESTS: usize = 20_000;
const CONNECTIONS: [usize; 3] = [1, 16, 64];

pub(crate) async fn measure(cluster: &Cluster) -> Outcome<()> {
    within(&cluster.client, SPACE, async || measure_in(cluster).await).await
}

async fn measure_in(cluster: &Cluster) -> Outcome<()> {
    let dataset = dataset("books", &json!({}))?;
    namespace::create(&cluster.datasets(SPACE), vec![dataset]).await?;
    namespace::claims(&cluster.client, SPACE, 1).await?;
    let replica = &cluster.replicas[0];
    let processes = || Processes::of("dlf-operator", Some(&replica.pod_uid));
    if processes().is_empty() {
        return Err("the operator's process is not on this machine".into());
    }
    let tls = Arc::new(tls(cluster)?);
    let body = Bytes::from(review()?);
    println!(
        "\nwebhook: reviews of {} bytes to one replica, {REQUESTS} each",
        body.len()
    );
    println!("  connections      p50      p99    requests/s   CPU ms/request   RSS MiB");
    for connections in CONNECTIONS {
        let spending = processes();
        let began = Instant::now();
        let mut samples = send(replica, &tls, &body, connections).await?;
        let (took, spent) = (began.elapsed(), spending.spent());
        println!(
            "  {connections:>11} {:>5.2} ms {:>5.2} ms  {:>11.0}  {:>15.3}  {:>8}",
            milliseconds(samples.percentile(50)),
            milliseconds(samples.percentile(99)),
            rate(samples.len(), took),
            milliseconds(spent) / samples.len() as f64,
            mebibytes(spending.resident_max()),
        );
    }
    Ok(())
}

fn tls(cluster: &Cluster) -> Outcome<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(cluster.authority.as_bytes()) {
        roots.add(certificate?)?;
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// A pod as a Deployment makes it, in the envelope the API server puts around it.
fn review() -> Outcome<Vec<u8>> {
    let container = |name: &str| {
        json!({
            "name": name, "image": "registry.example.com/team/training:2026-11", "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-m", "training.main"], "args": ["--epochs", "30", "--batch", "256"],
            "env": [{ "name": "OMP_NUM_THREADS", "value": "8" }, { "name": "LOG_LEVEL", "value": "info" }],
            "resources": { "limits": { "cpu": "8", "memory": "32Gi" }, "requests": { "cpu": "8", "memory": "32Gi" } },
            "volumeMounts": [{ "name": "scratch", "mountPath": "/scratch" }],
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        })
    };
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "7f0b2bd4-9d6f-4a3a-9d0e-0d2f1a6a2c11",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "requestKind": { "group": "", "version": "v1", "kind": "Pod" },
            "requestResource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": SPACE, "operation": "CREATE", "dryRun": false,
            "userInfo": { "username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:serviceaccounts"] },
            "object": {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "generateName": "training-6f9d5b7c8-", "namespace": SPACE,
                    "labels": { "app": "training", "pod-template-hash": "6f9d5b7c8", "dataset.0.id": "books", "dataset.0.useas": "mount" } },
                "spec": { "restartPolicy": "Always", "serviceAccountName": "default", "dnsPolicy": "ClusterFirst",
                    "initContainers": [container("prepare")], "containers": [container("training"), container("sidecar")],
                    "volumes": [{ "name": "scratch", "emptyDir": {} }] },
            },
            "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" },
        },
    });
    Ok(serde_json::to_vec(&review)?)
}

async fn send(
    replica: &Replica,
    tls: &Arc<ClientConfig>,
    body: &Bytes,
    connections: usize,
) -> Outcome<Samples> {
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(replica, Arc::clone(tls)).await?);
    }
    let tasks: Vec<_> = senders
        .into_iter()
        .map(|sender| tokio::spawn(one_connection(sender, body.clone(), REQUESTS / connections)))
        .collect();
    let mut samples = Samples::default();
    for task in tasks {
        samples.extend(task.await??);
    }
    Ok(samples)
}

type Sender = SendRequest<Full<Bytes>>;

async fn connect(replica: &Replica, tls: Arc<ClientConfig>) -> Outcome<Sender> {
    let stream = TcpStream::connect((replica.address, PORT)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("dlf-webhook.dlf-system.svc")?;
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn one_connection(mut sender: Sender, body: Bytes, count: usize) -> Outcome<Samples> {
    let mut samples = Samples::default();
    for _ in 0..count {
        let request = Request::post("/mutate/pods?timeout=5s")
            .header("host", "dlf-webhook.dlf-system.svc")
            .header("content-type", "application/json")
            .body(Full::new(body.clone()))?;
        let began = Instant::now();
        let answer = sender
            .send_request(request)
            .await?
            .into_body()
            .collect()
            .await?
            .to_bytes();
        samples.push(Duration::from_nanos(began.elapsed().as_nanos() as u64));
        // Anything else would be quick for a bad reason.
        if !answer.windows(7).any(|part| part == b"\"patch\"") {
            return Err(format!("refused: {}", String::from_utf8_lossy(&answer)).into());
        }
        sender.ready().await?;
    }
    Ok(samples)
}
