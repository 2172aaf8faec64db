//! `Dataset` and `DatasetInternal`, served in two API groups with one shape.

mod dataset;
mod group;
mod internal;
mod object;
mod quantity;
pub mod schema;
mod spec;
mod status;

pub use dataset::Dataset;
pub use group::{ApiGroup, VERSION};
pub use internal::DatasetInternal;
pub use quantity::is_positive_quantity;
pub use spec::{
    CacheMode, CacheSpec, DatasetSpec, Locality, Medium, MountSpec, SchedulingSpec, Warmup,
    WarmupOn,
};
pub use status::{DatasetStatus, Phase, PhaseStatus, UsageStatus};
