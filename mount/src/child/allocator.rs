//! What the C library keeps of memory that is free goes back to the node, so that a mount takes no more
//! than the mounter counts for it.
//!
//! Readers have many small buffers in the library's arenas. When writers take their share of the budget,
//! theirs are mappings of their own, and the arenas stay as large as they were: up to 110 MiB more than
//! a budget of 256.

use std::sync::Arc;
use std::time::Duration;

use dlf_cache::Budget;
use tokio::task::spawn_blocking;

/// How often it is looked whether anything is to be given back.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// So much may stay, in bytes: whoever reads on needs it again in a moment, and pages that have gone cost a
/// fault each.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Gives back what is free, again and again; never ends.
pub(super) async fn give_back(memory: Arc<Budget>) {
    let mut before = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let usage = memory.usage();
        // Where nobody reads or writes, nothing becomes free.
        if before.replace(usage) == Some(usage) {
            continue;
        }
        if dlf_allocator::anonymous().is_some_and(|bytes| bytes > usage.in_use() + KEPT_BYTES_MAX) {
            // It fails only when the runtime ends.
            let _ = spawn_blocking(dlf_allocator::trim).await;
        }
    }
}
