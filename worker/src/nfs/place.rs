//! Where an NFS server is: `HOST`, `HOST:PORT`, an address of either family, in brackets or not.

use std::net::Ipv6Addr;

/// The port that NFS version 4 has unless the mount's options say otherwise (RFC 7530, section 3.1).
const PORT: u16 = 2049;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
}

impl<'a> Place<'a> {
    /// What is no port stays with the name, which nobody will have.
    pub(super) fn of(server: &'a str) -> Self {
        let bare = |host: &'a str| host.trim_start_matches('[').trim_end_matches(']');
        let whole = Self {
            host: bare(server),
            port: PORT,
        };
        if server.parse::<Ipv6Addr>().is_ok() {
            return whole;
        }
        let Some((host, port)) = server.rsplit_once(':') else {
            return whole;
        };
        match port.parse() {
            Ok(port) => Self {
                host: bare(host),
                port,
            },
            Err(_) => whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_told_from_an_address() {
        for (server, host, port) in [
            ("nfs.example.com", "nfs.example.com", PORT),
            ("nfs.example.com:12049", "nfs.example.com", 12049),
            ("10.0.0.1:12049", "10.0.0.1", 12049),
            ("fd00::2", "fd00::2", PORT),
            ("[fd00::2]", "fd00::2", PORT),
            ("[fd00::2]:12049", "fd00::2", 12049),
            ("nfs:port", "nfs:port", PORT),
            ("nfs:1:2", "nfs:1", 2),
            ("", "", PORT),
        ] {
            assert_eq!(Place::of(server), Place { host, port }, "{server}");
        }
    }
}
