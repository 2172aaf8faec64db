use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{crypto::ring::sign::any_supported_type, sign::CertifiedKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An authority lives this long.
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(24 * 365);
/// A replica's certificate lives this long; it is made anew far more often.
const LEAF_LIFETIME: Duration = Duration::from_hours(24 * 7);
/// Certificates begin in the past, so that clocks that jump or differ by hours do no harm.
const BACKDATED: Duration = Duration::from_hours(24);
/// Every authority's name: chains are told apart by their keys.
const COMMON_NAME: &str = "dlf-ca";

/// Why a certificate was not made.
#[derive(Debug, Error)]
pub(super) enum CertificateError {
    /// The key or the parameters do not fit.
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The TLS library does not take what was made.
    #[error("using a certificate: {0}")]
    Use(#[from] rustls::Error),
}

/// A certificate that signs others, with its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authority {
    pub(super) cert_pem: String,
    key_pem: String,
    /// Seconds since 1970.
    pub(super) not_after: u64,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl Authority {
    pub(super) fn generate(now: SystemTime) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let not_after = now + AUTHORITY_LIFETIME;
        let mut params = authority_params()?;
        params.not_before = (now - BACKDATED).into();
        params.not_after = not_after.into();
        let cert_pem = params.self_signed(&key)?.pem();
        let not_after = not_after
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        Ok(Self {
            cert_pem,
            key_pem: key.serialize_pem(),
            not_after,
        })
    }

    /// A certificate of these DNS names for this process: it answers under them, and shows it where it
    /// asks a plugin.
    pub(super) fn issue(
        &self,
        names: &[String],
        now: SystemTime,
    ) -> Result<CertifiedKey, CertificateError> {
        let usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let (certificate, key) = self.sign("dlf-operator", names, usages, now)?;
        let signer = any_supported_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], signer))
    }

    /// Certificate and key, as PEM, for a plugin that answers under these names. It is good for
    /// answering only: no plugin can pass for the operator.
    pub(super) fn issue_pem(
        &self,
        name: &str,
        names: &[String],
        now: SystemTime,
    ) -> Result<(String, String), CertificateError> {
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (certificate, key) = self.sign(name, names, usages, now)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn sign(
        &self,
        common_name: &str,
        names: &[String],
        usages: Vec<ExtendedKeyUsagePurpose>,
        now: SystemTime,
    ) -> Result<(Certificate, KeyPair), CertificateError> {
        let issuer = Issuer::new(authority_params()?, KeyPair::from_pem(&self.key_pem)?);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.extended_key_usages = usages;
        // All authorities have one name: this says which of them signed.
        params.use_authority_key_identifier_extension = true;
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + LEAF_LIFETIME).into();
        Ok((params.signed_by(&key, &issuer)?, key))
    }
}

fn authority_params() -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, COMMON_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}
