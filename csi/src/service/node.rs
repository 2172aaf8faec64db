//! Volumes at the targets of pods.

use std::path::PathBuf;
use std::sync::Arc;

use dlf_wire::csi::node_server::Node;
use dlf_wire::csi::node_service_capability::{Rpc, Type, rpc};
use dlf_wire::csi::{
    NodeExpandVolumeRequest, NodeExpandVolumeResponse, NodeGetCapabilitiesRequest,
    NodeGetCapabilitiesResponse, NodeGetInfoRequest, NodeGetInfoResponse,
    NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, NodePublishVolumeRequest,
    NodePublishVolumeResponse, NodeServiceCapability, NodeStageVolumeRequest,
    NodeStageVolumeResponse, NodeUnpublishVolumeRequest, NodeUnpublishVolumeResponse,
    NodeUnstageVolumeRequest, NodeUnstageVolumeResponse,
};
use tonic::{Request, Response, Status};

use super::request;
use crate::operator::NeedError;
use crate::volumes::{PublishError, UnpublishError, Volumes};

/// The node service.
#[derive(Clone, Debug)]
pub struct NodeService {
    volumes: Arc<Volumes>,
    kubelet: PathBuf,
    node: String,
}

impl NodeService {
    /// Serves `volumes` on the node of this name, for the kubelet with this directory.
    #[must_use]
    pub fn new(volumes: Arc<Volumes>, kubelet: PathBuf, node: String) -> Self {
        Self {
            volumes,
            kubelet,
            node,
        }
    }
}

#[tonic::async_trait]
impl Node for NodeService {
    async fn node_publish_volume(
        &self,
        request: Request<NodePublishVolumeRequest>,
    ) -> Result<Response<NodePublishVolumeResponse>, Status> {
        let publish = request::publish(request.into_inner(), &self.kubelet)?;
        let (handle, target) = (publish.handle.clone(), publish.target.clone());
        match self.volumes.publish(publish).await {
            Ok(()) => Ok(Response::new(NodePublishVolumeResponse {})),
            Err(error) => {
                tracing::warn!(%handle, target, %error, "not published");
                Err(publish_status(&error))
            }
        }
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        let target = request::unpublish(request.get_ref(), &self.kubelet)?;
        match self.volumes.unpublish(target.clone()).await {
            Ok(()) => Ok(Response::new(NodeUnpublishVolumeResponse {})),
            Err(error) => {
                tracing::warn!(target, %error, "not unpublished");
                Err(unpublish_status(&error))
            }
        }
    }

    async fn node_get_capabilities(
        &self,
        _: Request<NodeGetCapabilitiesRequest>,
    ) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        // With this one the kubelet passes the pod's fsGroup on instead of changing the owner of
        // every file.
        let capability = NodeServiceCapability {
            r#type: Some(Type::Rpc(Rpc {
                r#type: rpc::Type::VolumeMountGroup.into(),
            })),
        };
        Ok(Response::new(NodeGetCapabilitiesResponse {
            capabilities: vec![capability],
        }))
    }

    async fn node_get_info(
        &self,
        _: Request<NodeGetInfoRequest>,
    ) -> Result<Response<NodeGetInfoResponse>, Status> {
        Ok(Response::new(NodeGetInfoResponse {
            node_id: self.node.clone(),
            // 0 means that there is no limit.
            max_volumes_per_node: 0,
            accessible_topology: None,
        }))
    }

    async fn node_stage_volume(
        &self,
        _: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        Err(Status::unimplemented("datasets are not staged"))
    }

    async fn node_unstage_volume(
        &self,
        _: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        Err(Status::unimplemented("datasets are not staged"))
    }

    /// A source's figures are the operator's to show; asking the mount could hang with it.
    async fn node_get_volume_stats(
        &self,
        _: Request<NodeGetVolumeStatsRequest>,
    ) -> Result<Response<NodeGetVolumeStatsResponse>, Status> {
        Err(Status::unimplemented(
            "a dataset has no capacity of its own",
        ))
    }

    async fn node_expand_volume(
        &self,
        _: Request<NodeExpandVolumeRequest>,
    ) -> Result<Response<NodeExpandVolumeResponse>, Status> {
        Err(Status::unimplemented(
            "a dataset has no capacity of its own",
        ))
    }
}

/// The kubelet takes some codes for final (it then expects nothing at the target) and tries again
/// after all of them; the message becomes an event of the pod.
fn publish_status(error: &PublishError) -> Status {
    let message = error.to_string();
    match error {
        PublishError::Busy => Status::aborted(message),
        PublishError::Conflict(_) => Status::already_exists(message),
        PublishError::Need(NeedError::Refused(_)) => Status::failed_precondition(message),
        PublishError::Need(_) | PublishError::Mount { .. } => Status::unavailable(message),
        PublishError::State(_) | PublishError::Internal => Status::internal(message),
    }
}

fn unpublish_status(error: &UnpublishError) -> Status {
    let message = error.to_string();
    match error {
        UnpublishError::Busy => Status::aborted(message),
        UnpublishError::TooSlow(_) => Status::unavailable(message),
        UnpublishError::Sys(_) | UnpublishError::State(_) => Status::internal(message),
    }
}
