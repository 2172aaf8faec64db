//! What the C library keeps of memory that is free, and how much a process has in all.
//!
//! A crate of its own, so that no other part of a program has to allow `unsafe`.

/// Gives back to the node what is free between what is in use, and not only behind it.
///
/// It takes a millisecond or so for each hundred MiB, and others wait for the allocator meanwhile. C libraries
/// other than glibc give back by themselves: there it does nothing.
#[allow(unsafe_code, reason = "malloc_trim(3) has no safe name")]
pub fn trim() {
    // SAFETY: it takes no pointer, and any thread may call it at any time (MT-Safe in its manual).
    #[cfg(target_env = "gnu")]
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Anonymous memory of this process, in bytes (proc(5), `status`); none where the kernel does not tell.
#[must_use]
pub fn anonymous() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::{anonymous, trim};

    #[test]
    fn what_is_free_between_what_is_in_use_is_given_back() {
        const PIECES: usize = 1_000;
        let piece = || vec![1_u8; 64 * 1024];
        let mut all: Vec<_> = (0..PIECES).map(|_| piece()).collect();
        // The last piece stays, so that what is before it lies between.
        let last = all.pop();
        drop(all);
        let before = anonymous();
        trim();
        let after = anonymous().map(|bytes| bytes + 32 * 1024 * 1024);
        assert!(
            last.is_some() && after.is_some() && before > after,
            "{before:?} is not above {after:?}"
        );
    }
}
