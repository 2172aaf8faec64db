//! Two mounts of one bucket, somebody else who changes it, and a source that fails: whatever is done
//! in whatever order, what is seen is what `docs/semantics.md` allows.
//!
//! - `step`: what is done; a case is a list of steps, made of a seed
//! - `world`, `body`, `rules`, `paths`: what the document allows, as states and what follows from them
//! - `real`, `bytes`: the same on mounts
//! - `check`: one case; `search`: many cases, and the smallest that is wrong
//!
//! proptest makes and shrinks the cases. Its state machines know one state before each step, and
//! here there are as many as the document leaves open until an answer tells.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

mod support;

#[path = "model/body.rs"]
mod body;
#[path = "model/bytes.rs"]
mod bytes;
#[path = "model/check.rs"]
mod check;
#[path = "model/opens.rs"]
mod opens;
#[path = "model/paths.rs"]
mod paths;
#[path = "model/real.rs"]
mod real;
#[path = "model/rules.rs"]
mod rules;
#[path = "model/search.rs"]
mod search;
#[path = "model/step.rs"]
mod step;
#[path = "model/world.rs"]
mod world;

use support::place::REVALIDATE_DEFAULT_MS;

#[test]
fn what_two_mounts_show_is_allowed_when_every_answer_is_fresh() {
    let test = "what_two_mounts_show_is_allowed_when_every_answer_is_fresh";
    search::run(test, Some(0));
}

#[test]
fn what_two_mounts_show_is_allowed_when_answers_may_be_a_minute_old() {
    let test = "what_two_mounts_show_is_allowed_when_answers_may_be_a_minute_old";
    search::run(test, Some(REVALIDATE_DEFAULT_MS));
}

#[test]
fn what_two_mounts_show_is_allowed_when_answers_never_get_old() {
    let test = "what_two_mounts_show_is_allowed_when_answers_never_get_old";
    search::run(test, None);
}
