//! What users' programs do to a mount, over and over, at the defaults of a Dataset: a byte that was
//! written is there, and a write that failed is said to have failed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

mod support;

#[path = "writes/conflicts.rs"]
mod conflicts;
#[path = "writes/failures.rs"]
mod failures;
#[path = "writes/killed.rs"]
mod killed;
#[path = "writes/losses.rs"]
mod losses;
#[path = "writes/many.rs"]
mod many;
#[path = "writes/mapped.rs"]
mod mapped;
#[path = "writes/names.rs"]
mod names;
#[path = "writes/programs.rs"]
mod programs;
#[path = "writes/shell.rs"]
mod shell;
#[path = "writes/staleness.rs"]
mod staleness;
#[path = "writes/two_mounts.rs"]
mod two_mounts;
