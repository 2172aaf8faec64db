//! Who the driver says it is.

use dlf_wire::csi::identity_client::IdentityClient;
use dlf_wire::csi::{
    GetPluginCapabilitiesRequest, GetPluginInfoRequest, NodeGetCapabilitiesRequest,
    NodeGetInfoRequest, NodeStageVolumeRequest, ProbeRequest,
};
use dlf_wire::pluginregistration::registration_client::RegistrationClient;
use dlf_wire::pluginregistration::{InfoRequest, RegistrationStatus};
use tonic::Code;

use crate::node_or_skip;

#[tokio::test(flavor = "multi_thread")]
async fn the_kubelet_finds_the_driver_and_its_socket() {
    let node = node_or_skip!("the_kubelet_finds_the_driver_and_its_socket");
    let socket = node.connect("plugins_registry/csi.dlf.dev@reg.sock").await;
    let mut registration = RegistrationClient::new(socket);
    let info = registration
        .get_info(InfoRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (info.r#type.as_str(), info.name.as_str()),
        ("CSIPlugin", "csi.dlf.dev")
    );
    assert_eq!(
        info.endpoint,
        node.kubelet
            .join("plugins/csi.dlf.dev/csi.sock")
            .to_str()
            .unwrap()
    );
    assert_eq!(info.supported_versions, ["1.0.0"]);
    let status = RegistrationStatus {
        plugin_registered: true,
        error: String::new(),
    };
    registration
        .notify_registration_status(status)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_node_driver_without_stages_and_limits() {
    let node = node_or_skip!("it_is_a_node_driver_without_stages_and_limits");
    let mut identity = IdentityClient::new(node.connect("plugins/csi.dlf.dev/csi.sock").await);
    let info = identity
        .get_plugin_info(GetPluginInfoRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(info.name, "csi.dlf.dev");
    let request = GetPluginCapabilitiesRequest {};
    let capabilities = identity
        .get_plugin_capabilities(request)
        .await
        .unwrap()
        .into_inner();
    assert!(capabilities.capabilities.is_empty());
    let probe = identity.probe(ProbeRequest {}).await.unwrap().into_inner();
    assert!(probe.ready.unwrap().value);

    let mut csi = node.csi().await;
    let info = csi
        .node_get_info(NodeGetInfoRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (info.node_id.as_str(), info.max_volumes_per_node),
        ("node-1", 0)
    );
    let request = NodeGetCapabilitiesRequest {};
    let found = csi
        .node_get_capabilities(request)
        .await
        .unwrap()
        .into_inner()
        .capabilities;
    assert_eq!(found.len(), 1);
    let stage = csi
        .node_stage_volume(NodeStageVolumeRequest::default())
        .await
        .unwrap_err();
    assert_eq!(stage.code(), Code::Unimplemented);
}
