//! The operator and its webhooks against a real API server: what needs no running pod.

mod admission;
mod dataset;
