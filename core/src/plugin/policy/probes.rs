//! Probes and hooks: whom the kubelet asks.

use serde_json::Value;

use super::refused;
use crate::plugin::PlanError;

/// Where a container says what the kubelet asks, as pointers.
const ASKED: [&str; 5] = [
    "/livenessProbe",
    "/readinessProbe",
    "/startupProbe",
    "/lifecycle/postStart",
    "/lifecycle/preStop",
];

/// Refuses a `host`: with one the kubelet asks any address from the node's network, where a cache's pods
/// are not. Pod Security refuses it as well, from Kubernetes 1.34 on.
pub(super) fn check(container: &Value, of: &str) -> Result<(), PlanError> {
    for at in ASKED {
        for action in ["httpGet", "tcpSocket"] {
            let host = container
                .pointer(at)
                .and_then(|asked| asked[action].get("host"));
            if let Some(host) = host {
                return Err(refused(format!(
                    "{of} has {}.{action}.host {host}, which the kubelet would ask from the node's network; leave it \
                     out, and the pod itself is asked",
                    at[1..].replace('/', ".")
                )));
            }
        }
    }
    Ok(())
}
