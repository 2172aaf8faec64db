//! Where everything lies below the kubelet's directory, and the names that may become paths.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// The name the driver registers under; every `PersistentVolume` and the `CSIDriver` object carry it.
pub const DRIVER_NAME: &str = "csi.dlf.dev";

/// Longest volume handle, in bytes: the CSI specification's limit for any string field.
const HANDLE_BYTES_MAX: usize = 128;

/// The kubelet's directory as this node's driver uses it.
#[derive(Clone, Debug)]
pub struct Layout {
    kubelet: PathBuf,
}

impl Layout {
    /// `kubelet` has to be absolute: the kubelet hands out absolute paths below it.
    #[must_use]
    pub fn new(kubelet: PathBuf) -> Self {
        Self { kubelet }
    }

    /// The kubelet's own directory, in which every target has to lie.
    #[must_use]
    pub fn kubelet(&self) -> &Path {
        &self.kubelet
    }

    /// Our corner of it.
    #[must_use]
    pub fn plugin(&self) -> PathBuf {
        self.kubelet.join("plugins").join(DRIVER_NAME)
    }

    /// Where the kubelet calls us.
    #[must_use]
    pub fn csi_socket(&self) -> PathBuf {
        self.plugin().join("csi.sock")
    }

    /// Where the kubelet finds us.
    ///
    /// The kubelet sends the socket's path, percent-encoded, as HTTP/2 `:authority`, and a host name
    /// takes no percent sign (kubernetes/kubernetes#109081, hyperium/h2#487). Before an `@` it may
    /// stand: there it is the user's part.
    #[must_use]
    pub fn registration_socket(&self) -> PathBuf {
        self.kubelet
            .join("plugins_registry")
            .join(format!("{DRIVER_NAME}@reg.sock"))
    }

    /// The tmpfs that holds what the next driver has to know.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.plugin().join("state")
    }

    /// Directory of the mounts that pods' targets are binds of.
    #[must_use]
    pub fn mounts(&self) -> PathBuf {
        self.plugin().join("mounts")
    }

    /// Directory with one subdirectory for each dataset's files on the node's disk.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.plugin().join("staging")
    }

    /// Directory with one subdirectory for each mounter revision.
    #[must_use]
    pub fn mounters(&self) -> PathBuf {
        self.plugin().join("mounters")
    }
}

/// A volume handle that is safe as a part of a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VolumeHandle(String);

impl VolumeHandle {
    /// Accepts ASCII letters, digits, `-`, `_` and `.`, not beginning with a dot.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits = (1..=HANDLE_BYTES_MAX).contains(&text.len());
        (fits && !text.starts_with('.') && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The handle's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VolumeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `path` relative to `base`, if it lies below it and has no `.`, `..` or repeated slash: text that
/// the kernel and a prefix check read the same way.
#[must_use]
pub fn below<'a>(base: &Path, path: &'a Path) -> Option<&'a Path> {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let rebuilt: PathBuf = path.components().collect();
    if !plain || rebuilt.as_os_str() != path.as_os_str() {
        return None;
    }
    path.strip_prefix(base)
        .ok()
        .filter(|relative| !relative.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_a_plain_file_name() {
        for good in ["dlf-0b1c", "a", "A_b.c"] {
            assert!(VolumeHandle::parse(good).is_some(), "{good}");
        }
        let long = "x".repeat(HANDLE_BYTES_MAX + 1);
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "a b",
            "ä",
            "a\0",
            long.as_str(),
        ] {
            assert!(VolumeHandle::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_target_lies_below_the_kubelets_directory() {
        let base = Path::new("/var/lib/kubelet");
        assert_eq!(
            below(base, Path::new("/var/lib/kubelet/pods/u/mount")),
            Some(Path::new("pods/u/mount"))
        );
        for bad in [
            "/var/lib/kubelet",
            "/var/lib/kubelet/",
            "/var/lib/kubelet/../etc",
            "/var/lib/kubelet/a/./b",
            "/var/lib/kubelet//a",
            "/var/lib/kubelet2/a",
            "/etc",
            "pods/u",
            "",
        ] {
            assert_eq!(below(base, Path::new(bad)), None, "{bad}");
        }
    }
}
