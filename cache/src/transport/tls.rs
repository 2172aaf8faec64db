//! TLS: whom we trust, and what a failed handshake means to a person.

use std::io;
use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::ErrorKind;
use crate::origin::ConfigError;

/// Trust in the public authorities and in every certificate of `ca_pem`.
///
/// The provider is named here, so the client works whatever the program installed.
pub(super) fn config(ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, ConfigError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(pem) = ca_pem {
        add(pem, &mut roots)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Ca(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add(pem: &str, roots: &mut RootCertStore) -> Result<(), ConfigError> {
    let public = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| ConfigError::Ca(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| ConfigError::Ca(error.to_string()))?;
    }
    if roots.len() == public {
        return Err(ConfigError::Ca(
            "there is no PEM certificate in it".to_owned(),
        ));
    }
    Ok(())
}

/// What a handshake's failure is: TLS itself, or the connection beneath it.
pub(super) fn failure(error: &io::Error) -> ErrorKind {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(error) => ErrorKind::TlsFailed(explain(error)),
        None => ErrorKind::Unreachable(format!("{} in the TLS handshake", error.kind())),
    }
}

/// What webpki calls a server's certificate that says `CA:TRUE`, as `openssl req -x509` makes it;
/// rustls has no case of its own for it.
const AUTHORITY_AS_SERVER: &str = "CaUsedAsEndEntity";

/// In our words: rustls quotes what the server sent.
fn explain(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(reason) => match reason {
            CertificateError::UnknownIssuer => {
                "its certificate is signed by an authority that is not trusted here"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "its certificate is not one for servers"
            }
            CertificateError::Other(error) if error.to_string() == AUTHORITY_AS_SERVER => {
                "its certificate is marked as an authority's own (CA:TRUE): the server needs one that this authority signed"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            _ => "its certificate is not valid",
        },
        Error::InvalidMessage(_) => "it does not speak TLS on this port",
        Error::AlertReceived(_) => "it refused the handshake",
        Error::PeerIncompatible(_) => "it knows no version or cipher that is safe",
        _ => "the handshake failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_that_is_none_is_named() {
        for pem in [
            "",
            "not PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(
                matches!(config(Some(pem)), Err(ConfigError::Ca(_))),
                "{pem:?}"
            );
        }
        assert!(config(None).is_ok());
    }
}
