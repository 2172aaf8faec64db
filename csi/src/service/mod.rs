//! The Container Storage Interface as the kubelet calls it: identity and node, no controller.

#[cfg(test)]
mod fuzz;
mod identity;
mod node;
mod request;

pub use identity::IdentityService;
pub use node::NodeService;
