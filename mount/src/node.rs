//! What a mount has of the node it is on: a place on its disk, memory, and somebody who sees its
//! processes.

pub(crate) mod endings;
pub(crate) mod staging;

use std::sync::Arc;

use dlf_cache::Budget;

use self::endings::Endings;
use self::staging::Staging;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its place on the disk; none where there is no disk for it.
    pub(crate) staging: Option<Staging>,
    /// Its part of the mounter's memory.
    pub(crate) memory: Arc<Budget>,
    /// Who tells how the thread ends that closes a file.
    pub(crate) endings: Endings,
}
