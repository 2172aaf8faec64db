//! Tests that cannot run here.

use std::thread;

/// Says that this test is skipped, and why. To be called on the test's own thread, which has the test's name.
pub fn skip(reason: &str) {
    let thread = thread::current();
    let path = thread.name().unwrap_or_default();
    let name = path.rsplit("::").next().unwrap_or_default();
    println!("SKIPPED {name}: {reason}");
}
