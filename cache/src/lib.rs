//! The object-store client: every byte DLF moves from or to an S3 store goes through here.
//!
//! [`ObjectStore`] is one dataset's view of its store: keys are relative to the dataset's prefix,
//! requests go to its ordered [`Origin`]s, and everything that can go wrong on the way is either
//! repaired within [`ClientOptions::source_timeout`] or comes back as a [`StoreError`] whose class
//! a condition can show. One store serves one mount, one task of the worker or one cache; it is
//! cheap to clone and all clones share connections, configuration and accounting.
//!
//! Read [`ObjectStore`] first, then:
//! - `store`: the operations, and `store::dispatch`, which all of them go through: rounds over the
//!   origins, retries; `store::table`: which server of a cache has which bytes; `store::rotation`: waiting for new keys; `store::proof`: whether a write whose
//!   answer was lost took effect;
//! - `origin_client`: one exchange with one origin, and what its answers correct (region, clock,
//!   address);
//! - `answer` and `error`: what answers mean;
//! - `transport`: name resolution, address rules, TCP and TLS;
//! - `sign`, `url`, `xml`: Signature Version 4, URLs and messages;
//! - `read`: ranges and streams on top of it, and the memory of a mount.
//!
//! Architecture invariant: this crate knows neither Kubernetes nor FUSE, never logs a key and never
//! passes on what a source wrote into its answers: whoever chose the endpoint wrote that too.

mod answer;
mod body;
mod error;
mod object;
mod options;
mod origin;
mod origin_client;
mod read;
mod request;
mod retry;
mod sign;
mod store;
mod transport;
mod url;
mod usage;
mod xml;

pub use body::ObjectBody;
pub use error::{ErrorKind, StoreError};
pub use object::{
    BucketCreation, Copied, DeleteFailure, ETag, ListPage, ListRequest, ObjectMeta, ObjectVersion,
    Part, Payload, PutCondition, Upload, UploadPage, VersionMarker, VersionPage, VersionRequest,
};
pub use options::ClientOptions;
pub use origin::{ConfigError, Endpoint, Keys, Location, Origin, Shards};
pub use read::{Budget, BudgetUsage, Lease, Object, Reader, read_range};
pub use store::ObjectStore;
pub use usage::UsageSnapshot;
