//! `mountOptions` as mount(8) takes them, read into flags and the kernel's text.
//!
//! What is not listed here is refused: the kernel takes addresses, ports and security labels in the
//! same text, and the text comes from a tenant.

use std::net::IpAddr;
use std::str::FromStr;

use rustix::mount::MountFlags;

/// Where an NFS server listens unless the options say otherwise.
const NFS_PORT: u16 = 2049;

/// Longest text: the kernel reads one page of it.
const BYTES_MAX: usize = 2048;

/// Options with a number, each within what the kernel accepts.
const NUMBERS: [&str; 13] = [
    "rsize",
    "wsize",
    "timeo",
    "retrans",
    "acregmin",
    "acregmax",
    "acdirmin",
    "acdirmax",
    "actimeo",
    "nconnect",
    "max_connect",
    "namlen",
    "bsize",
];

/// Options without a value that concern nobody but the mount itself.
const WORDS: [&str; 15] = [
    "soft",
    "softerr",
    "softreval",
    "hard",
    "ac",
    "noac",
    "cto",
    "nocto",
    "rdirplus",
    "nordirplus",
    "sharecache",
    "nosharecache",
    "resvport",
    "noresvport",
    "lock",
];

/// Options of mount(8), mount.nfs(8) or fstab that mean nothing to a mount that is made once, here.
const IGNORED: [&str; 10] = [
    "defaults", "auto", "noauto", "_netdev", "nofail", "fg", "bg", "intr", "nointr", "nolock",
];

/// Why the options are refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Not in the tables above.
    #[error("the mount option {0:?} is unknown or not allowed")]
    NotAllowed(String),
    /// A known option with a value it cannot have.
    #[error("the mount option {option:?} has the value {found:?}; expected {expected}")]
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// More than the kernel reads.
    #[error("the mount options have more than {BYTES_MAX} bytes")]
    TooLong,
    /// A NUL cannot be passed to the kernel.
    #[error("the mount options hold a NUL")]
    Nul,
}

/// Options that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    flags: MountFlags,
    version: Version,
    port: u16,
    words: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Any of version 4, newest first.
    Four,
    Exactly(&'static str),
}

impl FromStr for Options {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Self, OptionsError> {
        if text.len() > BYTES_MAX {
            return Err(OptionsError::TooLong);
        }
        let mut options = Self {
            // No program of a share may become somebody else, no file of it is a device.
            flags: MountFlags::NOSUID | MountFlags::NODEV,
            version: Version::Four,
            port: NFS_PORT,
            words: Vec::new(),
        };
        for option in text
            .split(',')
            .map(str::trim)
            .filter(|option| !option.is_empty())
        {
            options.add(option)?;
        }
        Ok(options)
    }
}

impl Options {
    fn add(&mut self, option: &str) -> Result<(), OptionsError> {
        match option.split_once('=') {
            None => self.add_word(option),
            Some((name, value)) => self.add_value(name, value, option),
        }
    }

    fn add_word(&mut self, word: &str) -> Result<(), OptionsError> {
        match word {
            "ro" => self.flags |= MountFlags::RDONLY,
            "rw" => self.flags -= MountFlags::RDONLY,
            "noexec" => self.flags |= MountFlags::NOEXEC,
            "exec" => self.flags -= MountFlags::NOEXEC,
            "sync" => self.flags |= MountFlags::SYNCHRONOUS,
            "async" => self.flags -= MountFlags::SYNCHRONOUS,
            "noatime" => self.flags |= MountFlags::NOATIME,
            "nodiratime" => self.flags |= MountFlags::NODIRATIME,
            "relatime" => self.flags |= MountFlags::RELATIME,
            "nosuid" | "nodev" | "tcp" => {}
            word if IGNORED.contains(&word) => {}
            word if WORDS.contains(&word) => self.words.push(word.to_owned()),
            word => return Err(OptionsError::NotAllowed(word.to_owned())),
        }
        Ok(())
    }

    fn add_value(&mut self, name: &str, value: &str, option: &str) -> Result<(), OptionsError> {
        let bad = |option, expected| OptionsError::Value {
            option,
            found: value.to_owned(),
            expected,
        };
        match name {
            "vers" | "nfsvers" => {
                self.version = match value {
                    "4" => Version::Four,
                    "4.2" => Version::Exactly("4.2"),
                    "4.1" => Version::Exactly("4.1"),
                    "4.0" => Version::Exactly("4.0"),
                    "3" => Version::Exactly("3"),
                    _ => return Err(bad("vers", "3, 4, 4.0, 4.1 or 4.2")),
                }
            }
            "minorversion" => {
                self.version = match value {
                    "0" => Version::Exactly("4.0"),
                    "1" => Version::Exactly("4.1"),
                    "2" => Version::Exactly("4.2"),
                    _ => return Err(bad("minorversion", "0, 1 or 2")),
                }
            }
            "port" => {
                let port = value.parse().ok().filter(|port| *port != 0);
                self.port = port.ok_or_else(|| bad("port", "a port number"))?;
            }
            // UDP has left the kernel and RDMA is a device of the node.
            "proto" if matches!(value, "tcp" | "tcp6") => {}
            "proto" => return Err(bad("proto", "tcp")),
            // Kerberos needs a daemon on the node that we do not bring.
            "sec" if matches!(value, "sys" | "none") => self.words.push(option.to_owned()),
            "sec" => return Err(bad("sec", "sys or none")),
            "lookupcache" | "local_lock" if value.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                self.words.push(option.to_owned());
            }
            "retry" => {}
            name if NUMBERS.contains(&name) && value.parse::<u32>().is_ok() => {
                self.words.push(option.to_owned());
            }
            _ => return Err(OptionsError::NotAllowed(option.to_owned())),
        }
        Ok(())
    }

    /// Flags of the mount.
    #[must_use]
    pub fn flags(&self) -> MountFlags {
        self.flags
    }

    /// Flags that a bind of the mount has to have as well.
    #[must_use]
    pub fn bind_flags(&self) -> MountFlags {
        self.flags & (MountFlags::RDONLY | MountFlags::NOEXEC)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Protocol versions to try in turn.
    pub(super) fn versions(&self) -> Vec<&'static str> {
        match self.version {
            Version::Four => vec!["4.2", "4.1", "4.0"],
            Version::Exactly(version) => vec![version],
        }
    }

    /// The kernel's text, which needs what mount.nfs(8) would have found out.
    pub(super) fn data(&self, version: &str, server: IpAddr, client: Option<IpAddr>) -> String {
        let proto = if server.is_ipv6() { "tcp6" } else { "tcp" };
        let mut words = vec![format!("vers={version},proto={proto},addr={server}")];
        // Version 3 asks the portmapper unless it is told; version 4 always has its one port.
        if self.port != NFS_PORT || version != "3" {
            words.push(format!("port={}", self.port));
        }
        if version == "3" {
            // Version 3 locks through rpc.statd on the node, which we do not bring.
            words.push("nolock,mountproto=tcp".to_owned());
        } else if let Some(client) = client {
            words.push(format!("clientaddr={client}"));
        }
        words.extend(self.words.iter().filter(|word| *word != "lock").cloned());
        words.join(",")
    }
}

#[cfg(test)]
mod tests;
