//! `Dataset` and `DatasetInternal`, served in two API groups with one shape.

#[cfg(feature = "kubernetes")]
mod dataset;
mod duration;
mod group;
#[cfg(feature = "kubernetes")]
mod internal;
#[cfg(feature = "kubernetes")]
mod object;
mod quantity;
#[cfg(feature = "kubernetes")]
pub mod schema;
mod spec;
#[cfg(feature = "kubernetes")]
mod status;

#[cfg(feature = "kubernetes")]
pub use dataset::Dataset;
pub use duration::duration_ms;
pub use group::{ApiGroup, VERSION};
#[cfg(feature = "kubernetes")]
pub use internal::DatasetInternal;
pub use quantity::{is_positive_quantity, quantity_bytes};
pub use spec::{
    CacheMode, CacheSpec, DatasetSpec, Locality, Medium, MountSpec, SchedulingSpec, Warmup,
    WarmupOn,
};
#[cfg(feature = "kubernetes")]
pub use status::{
    CacheStatus, CachingStatus, DatasetStatus, DecisionStatus, NodeLabel, Phase, PhaseStatus,
    Placements, UsageStatus, WarmupStatus,
};

/// Nodes that a status names at most: more would cost each write, and a scheduler needs a few.
pub const PLACEMENTS_MAX: usize = 64;
