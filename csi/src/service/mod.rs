//! The Container Storage Interface as the kubelet calls it: identity and node, no controller.

mod identity;
mod node;
mod request;

pub use identity::IdentityService;
pub use node::NodeService;
