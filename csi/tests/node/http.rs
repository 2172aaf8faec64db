//! What the driver tells of itself.

use std::io::{Read, Write};
use std::net::TcpStream;

use dlf_wire::pluginregistration::RegistrationStatus;
use dlf_wire::pluginregistration::registration_client::RegistrationClient;

use crate::csi::request;
use crate::node::Node;
use crate::node_or_skip;

fn get(node: &Node, path: &str) -> String {
    let mut stream = TcpStream::connect(node.http).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_counted_by_reason_and_readiness_is_registration() {
    let node = node_or_skip!("failures_are_counted_by_reason_and_readiness_is_registration");
    node.operator
        .refuse("dlf-1", "NotReady", "dataset ns/data is not ready");
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap_err();
    let metrics = get(&node, "/metrics");
    let failures = "dlf_csi_publish_failures_total{reason=\"Refused\"} 1";
    assert!(metrics.contains(failures), "{metrics}");

    assert!(get(&node, "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(&node, "/readyz").starts_with("HTTP/1.1 503"));
    let socket = node.connect("plugins_registry/csi.dlf.dev@reg.sock").await;
    let status = RegistrationStatus {
        plugin_registered: true,
        error: String::new(),
    };
    let mut registration = RegistrationClient::new(socket);
    registration
        .notify_registration_status(status)
        .await
        .unwrap();
    assert!(get(&node, "/readyz").starts_with("HTTP/1.1 200"));
}
