//! What of a bucket's keys can be a file name, and what of a file name can be a key.

use std::ffi::OsStr;

use fuser::Errno;

/// Longest name of one entry, in bytes: Linux's `NAME_MAX`, which programs size their buffers by.
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// Longest key of an object, in bytes of UTF-8 (S3 user guide, "Creating object key names").
pub(crate) const KEY_BYTES_MAX: usize = 1024;

/// Checks a name the kernel asks about. It never has a slash and is never `.` or `..`.
///
/// `ENAMETOOLONG` and, for bytes that are no UTF-8 and so can be in no key, `EILSEQ`.
pub(crate) fn component(name: &OsStr) -> Result<&str, Errno> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    name.to_str().ok_or(Errno::EILSEQ)
}

/// Whether a part of a key between two slashes can be shown as a file name. What cannot is left
/// out of listings and cannot be reached; removing its directory is refused, so it is never lost.
pub(crate) fn presentable(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && part.len() <= NAME_BYTES_MAX && !part.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn names_that_fit_pass_and_others_say_why() {
        assert_eq!(component(OsStr::new("a b")), Ok("a b"));
        assert_eq!(
            component(OsStr::new(&"x".repeat(255))).map(str::len),
            Ok(255)
        );
        assert_eq!(
            component(OsStr::new(&"x".repeat(256))),
            Err(Errno::ENAMETOOLONG)
        );
        assert_eq!(component(OsStr::from_bytes(b"\xff")), Err(Errno::EILSEQ));
    }

    #[test]
    fn parts_of_keys_that_no_path_can_name_are_not_presentable() {
        for part in ["", ".", "..", "a\0b", &"x".repeat(256)] {
            assert!(!presentable(part), "{part:?}");
        }
        for part in ["a", "...", ".hidden", "ü", " "] {
            assert!(presentable(part), "{part:?}");
        }
    }
}
