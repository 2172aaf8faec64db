//! Where the worker finds the server, which the mount's options have a say in.

use std::net::Ipv6Addr;

use dlf_core::{
    plugin::{PlanError, Task},
    source::NfsSource,
};

/// What the root of every server is called.
const ROOT: &str = "/";

/// The port of NFS is an option of the mount, not a part of the server's name.
pub(crate) fn refuse_port(server: &str) -> Result<(), PlanError> {
    if is_address(server) || !server.contains(':') {
        return Ok(());
    }
    Err(PlanError::new(
        "InvalidSpec",
        format!(
            "spec.local.server: found {server:?}; expected a host name or an address, without a port: \
             that goes into spec.local.mountOptions, as \"port=12049\""
        ),
    ))
}

/// The look at the export. Version 3 has paths of its own, which version 4 does not know, and what
/// is to be made is not there yet: then it is asked only whether the server is there.
pub(crate) fn probe(source: &NfsSource) -> Task {
    let value = |names: &[&str]| {
        let options = source.mount_options.split(',');
        options
            .filter_map(|option| option.trim().split_once('='))
            .filter(|(name, _)| names.contains(name))
            .map(|(_, value)| value)
            .next_back()
    };
    let server = match value(&["port"]) {
        Some(port) if is_address(&source.server) => {
            let address = source.server.trim_matches(['[', ']']);
            format!("[{address}]:{port}")
        }
        Some(port) => format!("{}:{port}", source.server),
        None => source.server.clone(),
    };
    let share = match value(&["vers", "nfsvers"]) {
        Some("3") => ROOT.to_owned(),
        _ if source.create => ROOT.to_owned(),
        _ => source.share.clone(),
    };
    Task::ProbeNfs { server, share }
}

/// Whether the server is an address of IPv6, in brackets or not.
fn is_address(server: &str) -> bool {
    server
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<Ipv6Addr>()
        .is_ok()
}
