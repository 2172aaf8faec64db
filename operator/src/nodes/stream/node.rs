use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use dlf_wire::nodes::v1::{Failure, FromNode, Made, Need, PodRef, ToNode, from_node};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tonic::{Status, Streaming};

use super::{Credential, reason, stopped};
use crate::nodes::authorise::{share, vouched};
use crate::nodes::registry::{Outgoing, Peer, Share};
use crate::nodes::shared::Shared;
use crate::nodes::{limits, made};

/// How long a request for a dataset that is not ready is held. The kubelet gives a mount two
/// minutes, but a person who looks at the pod's events should find the reason within 30 s, also
/// where the kubelet takes as long again until it asks.
const NEED_PATIENCE: Duration = Duration::from_secs(10);
/// Requests of one node that are not answered yet: twenty datasets in each of ten pods at once.
const NEEDS_MAX: usize = 256;
/// Mounts of one node that are being vetted at once; most are found in the cache.
const VETS_MAX: usize = 8;

/// Directories that one stream may tell of: each becomes an event.
const MADE_MAX: usize = 1024;

/// Where messages to the node go.
type Outbound = mpsc::Sender<Result<ToNode, Status>>;

/// One node's stream.
pub(in crate::nodes) struct NodeStream {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    credential: Credential,
    /// Handle and pod of the directories that the node said it made.
    made: HashSet<(String, String)>,
}

impl NodeStream {
    pub(in crate::nodes) fn new(shared: Arc<Shared>, peer: Peer, credential: Credential) -> Self {
        Self {
            shared,
            peer: Arc::new(peer),
            credential,
            made: HashSet::new(),
        }
    }

    /// Runs until the node goes away, its token lapses, another stream replaces this one or this
    /// replica no longer leads; the node is told which.
    pub(in crate::nodes) async fn run(
        self,
        inbound: Streaming<FromNode>,
        outbound: Outbound,
        woken: watch::Receiver<()>,
        mut serving: watch::Receiver<bool>,
    ) {
        let (shared, peer) = (self.shared.clone(), self.peer.clone());
        let ended = tokio::select! {
            biased;
            status = stopped(&mut serving) => Some(status),
            status = self.receive(inbound) => status,
            status = send(&shared, &peer, &outbound, woken) => status,
        };
        shared.hub.update(|registry| registry.detach(&peer));
        tracing::info!(node = %peer.node, reason = reason(ended.as_ref()), "node detached");
        if let Some(status) = ended {
            // A full channel means that the node reads nothing; it will see the end by itself.
            drop(outbound.try_send(Err(status)));
        }
    }

    /// Takes messages in; none at the end means that the node ended the stream.
    async fn receive(mut self, mut inbound: Streaming<FromNode>) -> Option<Status> {
        let mut needs = JoinSet::new();
        loop {
            let message = tokio::select! {
                message = inbound.message() => message,
                status = self.credential.lapsed(self.shared.identify.as_ref()) => return Some(status),
                Some(_) = needs.join_next() => continue,
            };
            let message = match message {
                Ok(Some(FromNode {
                    message: Some(message),
                })) => message,
                // A message of a later version of the protocol.
                Ok(Some(FromNode { message: None })) => continue,
                Ok(None) | Err(_) => return None,
            };
            if let Err(status) = self.take(message, &mut needs).await {
                return Some(status);
            }
        }
    }

    async fn take(
        &mut self,
        message: from_node::Message,
        needs: &mut JoinSet<()>,
    ) -> Result<(), Status> {
        let hub = &self.shared.hub;
        match message {
            from_node::Message::Hello(_) => {
                return Err(Status::invalid_argument("a second hello on one stream"));
            }
            from_node::Message::Token(token) => {
                self.credential
                    .renew(token, self.shared.identify.as_ref())
                    .await?;
            }
            from_node::Message::Need(need) => {
                let waiting = hub.read(|registry| registry.unsent(&self.peer)) + needs.len();
                if waiting >= NEEDS_MAX {
                    return Err(Status::resource_exhausted(
                        "too many requests without an answer",
                    ));
                }
                needs.spawn(answer(self.shared.clone(), self.peer.clone(), need));
            }
            from_node::Message::Released(released) => {
                hub.update(|registry| registry.released(&self.peer, &released.volume_handle));
            }
            from_node::Message::Applied(applied) => {
                hub.update(|registry| registry.applied(&self.peer, applied));
            }
            from_node::Message::Report(report) => {
                hub.report(&self.peer, report);
            }
            from_node::Message::Made(made) => {
                // Of more than these, or of one again, nobody is told: a node may say anything.
                if needs.len() < NEEDS_MAX && self.is_new(&made) {
                    let (shared, peer) = (self.shared.clone(), self.peer.clone());
                    needs.spawn(async move { made::tell(&shared, &peer, made).await });
                }
            }
        }
        Ok(())
    }
}

impl NodeStream {
    fn is_new(&mut self, made: &Made) -> bool {
        let pod = made.pod.clone().unwrap_or_default();
        self.made.len() < MADE_MAX && self.made.insert((made.volume_handle.clone(), pod.uid))
    }
}

/// Decides one request.
async fn answer(shared: Arc<Shared>, peer: Arc<Peer>, need: Need) {
    let Need {
        request,
        volume_handle: handle,
        pod,
    } = need;
    // What can be no pod is not written into the log either.
    let pod = pod.filter(limits::is_pod).unwrap_or_default();
    let decided = if limits::is_pod(&pod) && limits::is_handle(&handle) {
        decide(&shared, &peer, &handle, &pod).await
    } else {
        Err(malformed())
    };
    shared.hub.update(|registry| match decided {
        Ok(share) => registry.grant(&peer, request, &handle, share),
        Err(why) => {
            tracing::info!(node = %peer.node, pod = %format_args!("{}/{}", pod.namespace, pod.name),
                reason = why.reason, cause = why.message, "a mount was refused");
            registry.deny(&peer, request, why);
        }
    });
}

async fn decide(
    shared: &Shared,
    peer: &Peer,
    handle: &str,
    pod: &PodRef,
) -> Result<Share, Failure> {
    let config = shared.hub.ready(handle, NEED_PATIENCE).await?;
    let shared = share(shared.pods.as_ref(), &peer.node, &config, pod).await;
    shared.map_err(Into::into)
}

fn malformed() -> Failure {
    Failure::new(
        "MalformedRequest",
        "the node driver asked for what can be no volume, or for what can be no pod; restart it, and see its log",
    )
}

/// Sends what there is whenever there is something; ends when the stream was replaced, or with
/// nothing to say when the node has gone.
async fn send(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    outbound: &Outbound,
    mut woken: watch::Receiver<()>,
) -> Option<Status> {
    let mut vets = JoinSet::new();
    while woken.changed().await.is_ok() {
        while let Some(outgoing) = shared.hub.update(|registry| registry.next(peer)) {
            match outgoing {
                Outgoing::Message(message) => {
                    let message = ToNode {
                        message: Some(*message),
                    };
                    if outbound.send(Ok(message)).await.is_err() {
                        return None;
                    }
                }
                Outgoing::Vet { config, pods } => {
                    if vets.len() >= VETS_MAX {
                        vets.join_next().await;
                    }
                    let (shared, peer) = (shared.clone(), peer.clone());
                    vets.spawn(async move {
                        if vouched(shared.pods.as_ref(), &peer.node, &config, &pods).await {
                            shared
                                .hub
                                .update(|all| all.clear(&peer, &config.volume_handle));
                        } else {
                            tracing::warn!(node = %peer.node, dataset = config.volume_handle,
                                "no pod there is known to use what the node has mounted");
                        }
                    });
                }
            }
        }
        while vets.try_join_next().is_some() {}
        if !shared.hub.read(|registry| registry.is_current(peer)) {
            break;
        }
    }
    Some(Status::aborted(
        "another stream of this node has taken over",
    ))
}
