//! The node driver of the Dataset Lifecycle Framework: the only privileged program.
//!
//! It registers itself with the kubelet, asks the operator for every volume a pod wants, makes the
//! mount, has an unprivileged mounter serve it and binds it to the pod's target. It repairs what
//! dies and survives its own restart. It knows no plugin and no S3, and has no right at the API
//! server.

pub mod cli;
pub mod directories;
pub mod driver;
pub mod endings;
pub mod host_path;
pub mod http;
pub mod keyed_locks;
pub mod layout;
pub mod metrics;
pub mod mounters;
pub mod mountinfo;
pub mod network;
pub mod nfs;
pub mod operator;
pub mod registration;
pub mod service;
pub mod socket;
pub mod state;
pub mod sys;
pub mod volumes;
