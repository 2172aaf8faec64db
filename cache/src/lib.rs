//! The object-store client: every byte DLF moves from or to an S3 store goes through here.
//!
//! [`ObjectStore`] is one dataset's view of its store: keys are relative to the dataset's prefix,
//! requests go to its ordered [`Origin`]s, and everything that can go wrong on the way is either
//! repaired within [`ClientOptions::source_timeout`] or comes back as a [`StoreError`] whose class
//! a condition can show. One store serves one mount, one task of the worker or one cache; it is
//! cheap to clone and all clones share connections, configuration and accounting.
//!
//! Read [`ObjectStore`] first, then:
//! - `attempt` and `retry`: what happens to a request between the caller and the wire;
//! - `transport`: name resolution, address rules, TCP and TLS;
//! - `sign`: Signature Version 4;
//! - `xml`: the messages.
//!
//! Architecture invariant: this crate knows neither Kubernetes nor FUSE, never logs a key and never
//! passes on what a source wrote into its answers: whoever chose the endpoint wrote that too.

mod body;
mod error;
mod object;
mod options;
mod origin;
mod store;
mod usage;

pub use body::ObjectBody;
pub use error::{ErrorKind, StoreError};
pub use object::{
    BucketCreation, DeleteFailure, ETag, ListPage, ListRequest, ObjectMeta, Part, Payload,
    PutCondition, Upload, UploadPage,
};
pub use options::ClientOptions;
pub use origin::{ConfigError, Endpoint, Keys, Origin};
pub use store::ObjectStore;
pub use usage::UsageSnapshot;
