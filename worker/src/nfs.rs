//! NFS: is the export there?
//!
//! One connection, one `COMPOUND` of NFS version 4.0 (RFC 7530): from the server's root, look the
//! share up name by name. That needs no mount, no privilege, no state on the server and no port
//! mapper; it reads no data.

mod compound;
mod place;
mod xdr;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use dlf_core::network::AddressRules;
use dlf_wire::nodes::v1::{Done, Failure};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::of_address;
use compound::{Answer, ProtocolError, look_up};
use place::Place;

/// Names of a share's path; longer paths are refused unasked.
const NAMES_MAX: usize = 64;

/// How many addresses of a name are tried: two stacks of a small cluster.
const ADDRESSES_MAX: usize = 4;

/// How long all addresses together may take to connect: less than a probe's time, so that the cause
/// is heard.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

/// What a person can do where nobody answers.
const CHECK_SERVER: &str =
    "check spec.local.server, and that the server runs and lets pods of this cluster in";

/// Whether `share` can be looked up on `server`, which may name a port.
///
/// A server that has it but does not show it to us (exports bound to privileged ports or Kerberos,
/// NFS version 3 only) is no failure: the kernel that mounts it may well be let in.
pub async fn probe(server: &str, share: &str, rules: &AddressRules) -> Result<Done, Failure> {
    let names: Vec<&str> = share.split('/').filter(|name| !name.is_empty()).collect();
    if names.len() > NAMES_MAX || names.contains(&"..") || names.contains(&".") {
        let message =
            format!("{share} is not a path that can be exported: correct spec.local.share");
        return Err(Failure::new("NoSuchShare", message));
    }
    let mut stream = connect(server, &resolve(server, rules).await?).await?;
    match look_up(&mut stream, &names).await {
        Ok(Answer::Found) => Ok(Done::default()),
        Ok(Answer::Guarded(why)) => {
            tracing::info!(
                server,
                share,
                why,
                "the export cannot be looked up from here"
            );
            Ok(Done::default())
        }
        Ok(Answer::Missing) => {
            let message = format!(
                "NFS server {server} has no export {share}: export it, correct spec.local.share, or \
                 have the directory made with createDirPVC: \"true\""
            );
            Err(Failure::new("NoSuchShare", message))
        }
        Ok(Answer::Refused(status)) => {
            let message = format!(
                "NFS server {server} answers with status {status} for {share}; its log tells more"
            );
            Err(Failure::new("LookupFailed", message))
        }
        Err(ProtocolError::Io(error)) => Err(unreachable(server, &error.kind())),
        Err(error) => {
            let message = format!(
                "{server} does not speak NFS: {error}; correct spec.local.server, or the port in \
                 mountOptions"
            );
            Err(Failure::new("NotNfs", message))
        }
    }
}

fn unreachable(server: &str, why: &dyn std::fmt::Display) -> Failure {
    let place = format!("NFS server {server}");
    crate::failure::unreachable(
        place,
        format!("it cannot be reached: {why}; {CHECK_SERVER}"),
    )
}

/// A connection to the first of `addresses` that takes one.
async fn connect(server: &str, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let each = CONNECT_WITHIN / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut failed = io::ErrorKind::TimedOut;
    for address in addresses {
        failed = match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.kind(),
            Err(_) => io::ErrorKind::TimedOut,
        };
    }
    Err(unreachable(server, &failed))
}

/// The addresses of `server` that may be dialled; at least one.
async fn resolve(server: &str, rules: &AddressRules) -> Result<Vec<SocketAddr>, Failure> {
    let Place { host, port } = Place::of(server);
    let addresses = tokio::net::lookup_host((host, port)).await;
    let addresses = addresses.map_err(|_| unreachable(server, &"there is no such name"))?;
    let mut allowed = Vec::new();
    let mut refusal = None;
    for address in addresses {
        match rules.check(address) {
            Ok(()) => allowed.push(address),
            Err(error) => refusal = Some(error),
        }
    }
    allowed.truncate(ADDRESSES_MAX);
    match refusal {
        _ if !allowed.is_empty() => Ok(allowed),
        Some(refusal) => Err(of_address(server, &refusal)),
        None => Err(unreachable(server, &"its name has no address")),
    }
}
