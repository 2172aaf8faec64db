//! The validating webhook: what the CRD's own rules cannot see.

mod datasets;
mod inert;

pub(super) use datasets::datasets;
