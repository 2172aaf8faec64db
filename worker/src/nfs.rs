//! NFS: is the export there?
//!
//! One connection, one `COMPOUND` of NFS version 4.0 (RFC 7530): from the server's root, look the
//! share up name by name. That needs no mount, no privilege, no state on the server and no port
//! mapper; it reads no data.

mod compound;
mod xdr;

use std::io;
use std::net::SocketAddr;

use dlf_core::network::AddressRules;
use dlf_wire::nodes::v1::{Done, Failure};
use tokio::net::TcpStream;

use crate::failure::{UNREACHABLE, failure, of_address};
use compound::{Answer, ProtocolError, look_up};

/// The port that NFS version 4 always has (RFC 7530, section 3.1).
const PORT: u16 = 2049;
/// Names of a share's path; longer paths are refused unasked.
const NAMES_MAX: usize = 64;

/// Whether `share` can be looked up on `server`.
///
/// A server that has it but does not show it to us (exports bound to privileged ports or Kerberos,
/// NFS version 3 only) is no failure: the kernel that mounts it may well be let in.
pub async fn probe(server: &str, share: &str, rules: &AddressRules) -> Result<Done, Failure> {
    let names: Vec<&str> = share.split('/').filter(|name| !name.is_empty()).collect();
    if names.len() > NAMES_MAX || names.contains(&"..") || names.contains(&".") {
        let message = format!("{share} is not a path that can be exported");
        return Err(failure("NoSuchExport", message));
    }
    let address = resolve(server, rules).await?;
    let unreachable = |error: io::Error| {
        failure(
            UNREACHABLE,
            format!(
                "NFS server {server}: it cannot be reached: {}",
                error.kind()
            ),
        )
    };
    let mut stream = TcpStream::connect(address).await.map_err(unreachable)?;
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
            let message = format!("NFS server {server} has no export {share}");
            Err(failure("NoSuchExport", message))
        }
        Ok(Answer::Refused(status)) => {
            let message = format!("NFS server {server} answers with status {status} for {share}");
            Err(failure("LookupFailed", message))
        }
        Err(ProtocolError::Io(error)) => Err(unreachable(error)),
        Err(error) => Err(failure(
            "NotNfs",
            format!("{server} does not speak NFS: {error}"),
        )),
    }
}

/// The first address of `server` that may be dialled.
async fn resolve(server: &str, rules: &AddressRules) -> Result<SocketAddr, Failure> {
    let host = server.trim_start_matches('[').trim_end_matches(']');
    let unknown = |_| {
        failure(
            UNREACHABLE,
            format!("NFS server {server}: there is no such name"),
        )
    };
    let addresses = tokio::net::lookup_host((host, PORT))
        .await
        .map_err(unknown)?;
    let mut refusal = None;
    for address in addresses {
        match rules.check(address) {
            Ok(()) => return Ok(address),
            Err(error) => refusal = Some(error),
        }
    }
    Err(match refusal {
        Some(refusal) => of_address(server, &refusal),
        None => failure(
            UNREACHABLE,
            format!("NFS server {server}: its name has no address"),
        ),
    })
}
