//! The kernel's list of mounts (proc(5), `/proc/self/mountinfo`).
//!
//! It is the only way to learn of a mount without touching it: `stat` on a dead mount fails and on
//! a hung one does not return.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One mount of this process's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `major:minor` of the file system: the same for all binds of one mount.
    pub device: String,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Type of the file system, for example `fuse.dlf`.
    pub fs_type: String,
    /// Whether what is mounted below it appears in other namespaces too.
    pub shared: bool,
}

/// All mounts, oldest first: of several at one point the last covers the others.
#[derive(Clone, Debug, Default)]
pub struct MountTable {
    mounts: Vec<Mount>,
}

impl MountTable {
    /// Reads the table of this process.
    pub fn read() -> io::Result<Self> {
        std::fs::read("/proc/self/mountinfo").map(|bytes| Self::parse(&bytes))
    }

    fn parse(bytes: &[u8]) -> Self {
        let mounts = bytes
            .split(|byte| *byte == b'\n')
            .filter_map(parse_line)
            .collect();
        Self { mounts }
    }

    /// The mount one sees at `point`.
    #[must_use]
    pub fn top(&self, point: &Path) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.point == point)
    }

    /// The mount that `path` lies in.
    #[must_use]
    pub fn holding(&self, path: &Path) -> Option<&Mount> {
        path.ancestors().find_map(|point| self.top(point))
    }

    /// How many mounts lie on top of each other at `point`.
    #[must_use]
    pub fn layers(&self, point: &Path) -> usize {
        self.mounts
            .iter()
            .filter(|mount| mount.point == point)
            .count()
    }

    /// Mount points strictly below `directory`, deepest last, each layer counted.
    pub fn below<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = &'a Path> {
        self.mounts
            .iter()
            .map(|mount| mount.point.as_path())
            .filter(move |point| *point != directory && point.starts_with(directory))
    }
}

/// `36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/root rw`
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = fields.nth(2)?;
    let point = fields.nth(1)?;
    let mut shared = false;
    let mut optional = fields.skip(1);
    for field in optional.by_ref().take_while(|field| *field != b"-") {
        shared |= field.starts_with(b"shared:");
    }
    let fs_type = optional.next()?;
    Some(Mount {
        device: String::from_utf8_lossy(device).into_owned(),
        point: PathBuf::from(OsString::from_vec(unescape(point))),
        fs_type: String::from_utf8_lossy(fs_type).into_owned(),
        shared,
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = octal(first, tail);
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    bytes
}

fn octal(first: u8, tail: &[u8]) -> Option<u8> {
    let digits = tail.get(..3).filter(|_| first == b'\\')?;
    let text = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = b"22 27 0:21 / /proc rw,relatime - proc proc rw\n\
        40 27 0:50 / /k/mounts/a rw,nosuid shared:7 master:2 - fuse.dlf dlf rw,user_id=0\n\
        41 27 0:50 /sub /k/pods/with\\040space/mount ro - fuse.dlf dlf rw\n\
        42 41 0:51 /sub /k/pods/with\\040space/mount ro - fuse.dlf dlf rw\n\
        garbage\n";

    #[test]
    fn the_last_mount_at_a_point_is_the_visible_one() {
        let table = MountTable::parse(SAMPLE);
        let point = Path::new("/k/pods/with space/mount");
        assert_eq!(table.layers(point), 2);
        assert_eq!(table.top(point).unwrap().device, "0:51");
        assert_eq!(
            table.top(Path::new("/k/mounts/a")).unwrap().fs_type,
            "fuse.dlf"
        );
        assert!(table.top(Path::new("/k")).is_none());
        let mount = table.holding(Path::new("/k/mounts/a/deeper")).unwrap();
        assert!(mount.shared);
        assert!(!table.holding(&point.join("x")).unwrap().shared);
    }

    #[test]
    fn below_leaves_the_directory_itself_out() {
        let table = MountTable::parse(SAMPLE);
        assert_eq!(table.below(Path::new("/k/mounts")).count(), 1);
        assert_eq!(table.below(Path::new("/k/mounts/a")).count(), 0);
        assert_eq!(table.below(Path::new("/k/m")).count(), 0);
    }

    #[test]
    fn our_own_table_is_readable() {
        assert!(
            MountTable::read()
                .unwrap()
                .top(Path::new("/proc"))
                .is_some()
        );
    }
}
