//! The validating webhooks: what the CRD's own rules cannot see.

mod datasets;
mod internal;
mod pods;

pub(super) use datasets::datasets;
pub(super) use internal::{Internal, internal};
pub(super) use pods::pods;
