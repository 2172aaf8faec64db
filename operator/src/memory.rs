//! Memory that is free goes back to the node.
//!
//! The C library's allocator keeps what it once had for as many objects as there were at once, among what is in
//! use: 2.5 of a leader's 13.5 MiB after an hour of churn. Another allocator (mimalloc 3) kept more: in ten
//! minutes a leader grew from 19.6 to 37.5 MiB (docs/performance.md).

use std::time::Duration;

use tokio::{task::spawn_blocking, time::sleep};

/// How often. It takes milliseconds for a leader of 500 MiB, and others wait for the allocator meanwhile.
const INTERVAL: Duration = Duration::from_mins(1);

/// Gives back what is free, again and again; never ends.
pub(crate) async fn keep_trimmed() {
    loop {
        sleep(INTERVAL).await;
        // It fails only when the runtime ends.
        let _ = spawn_blocking(dlf_allocator::trim).await;
    }
}
