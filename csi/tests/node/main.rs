//! The driver as a process of its own, in a mount namespace of its own like a container's, between
//! a kubelet's calls over its socket, the operator's side of the node stream and a mounter whose
//! children serve real FUSE mounts. Needs root.
//!
//! What is played here is only the other end of our own protocols.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests may panic like a test"
)]

mod child;
mod churn;
mod consumer;
mod csi;
mod directories;
mod endings;
mod host;
mod http;
mod identity;
mod mounter;
mod node;
mod operator;
mod publish;
mod real_mounter;
mod repair;
mod restart;
mod sanity;
mod stream;
