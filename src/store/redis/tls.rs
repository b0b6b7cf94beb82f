//! Which certificate authorities connections by `rediss://` trust.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deadpool_redis::redis::TlsCertificates;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tracing::debug;

/// Certificates of authorities that are trusted in addition to the public ones.
#[derive(Clone, PartialEq, Eq)]
pub struct CaCertificates(Vec<CertificateDer<'static>>);

/// Why a file holds no certificates of authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCa {
    /// It contains no certificate in PEM.
    #[error("holds no certificate in PEM")]
    Empty,
    /// A certificate in it is damaged.
    #[error("holds a certificate that cannot be read")]
    Unreadable,
}

impl CaCertificates {
    /// Reads certificates in PEM.
    ///
    /// # Errors
    /// If there is none, or one cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidCa> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.map_err(|_| InvalidCa::Unreadable)?;
        if certificates.is_empty() {
            return Err(InvalidCa::Empty);
        }
        if certificates.iter().all(is_usable) { Ok(Self(certificates)) } else { Err(InvalidCa::Unreadable) }
    }
}

impl fmt::Debug for CaCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaCertificates({})", self.0.len())
    }
}

/// The public authorities, those of the system as far as they can be read, and `ca`.
///
/// redis-rs takes PEM and refuses all of it if one certificate is unusable, so that such ones are left out.
pub(super) fn trusted_certificates(ca: Option<&CaCertificates>) -> TlsCertificates {
    let system = rustls_native_certs::load_native_certs();
    for error in system.errors {
        debug!(%error, "root certificates of the system cannot be read; Redis connections trust the others");
    }
    let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
    let own = ca.into_iter().flat_map(|ca| ca.0.iter().cloned());
    let trusted = public.chain(system.certs).chain(own).filter(is_usable);
    let pem: String = trusted.map(|certificate| to_pem(&certificate)).collect();
    TlsCertificates { client_tls: None, root_cert: Some(pem.into_bytes()) }
}

fn is_usable(certificate: &CertificateDer<'static>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}

fn to_pem(certificate: &CertificateDer<'_>) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_usable_certificate_is_refused() {
        let damaged = to_pem(&CertificateDer::from(vec![1, 2, 3]));
        assert_eq!(CaCertificates::from_pem(b"not PEM").unwrap_err(), InvalidCa::Empty);
        assert_eq!(CaCertificates::from_pem(damaged.as_bytes()).unwrap_err(), InvalidCa::Unreadable);
    }

    #[test]
    fn the_public_authorities_are_trusted_beside_a_ca_of_ones_own() {
        let pem = to_pem(&webpki_root_certs::TLS_SERVER_ROOT_CERTS[0]);
        let ca = CaCertificates::from_pem(pem.as_bytes()).unwrap();
        let count = |certificates: TlsCertificates| {
            CertificateDer::pem_slice_iter(&certificates.root_cert.unwrap())
                .collect::<Result<Vec<_>, _>>()
                .unwrap()
                .len()
        };
        let without = count(trusted_certificates(None));
        assert!(without >= webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert_eq!(count(trusted_certificates(Some(&ca))), without + 1);
    }
}
