//! The worker: touches sources on behalf of the operator, which never does so itself.
//!
//! It dials the operator like a node driver, takes tasks and answers each once. A task brings all
//! it needs: one dataset's origin and keys, the address rules and a deadline. Nothing outlives it,
//! nothing is written down, and what breaks off is simply done again, here or elsewhere.
//!
//! - [`session`]: from one stream to the next, and what is under way on it;
//! - [`task`]: one task, from message to answer;
//! - [`bucket`] and [`nfs`]: the sources; [`warm`] and [`replicas`]: the caches before them.

pub mod bucket;
pub mod failure;
pub mod http;
pub mod metrics;
pub mod nfs;
pub mod progress;
pub mod replicas;
pub mod session;
pub mod settings;
pub mod task;
pub mod warm;
