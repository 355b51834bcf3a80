//! The certificate that is served now.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::ServingCertificate;

/// Hands the current certificate to each handshake. A replacement reaches new connections only: those that are open
/// keep the certificate they were opened with.
#[derive(Debug)]
pub struct CertificateResolver {
    served: RwLock<Arc<ServingCertificate>>,
}

impl CertificateResolver {
    /// Serves `certificate` until it is replaced.
    pub fn new(certificate: ServingCertificate) -> Self {
        Self {
            served: RwLock::new(Arc::new(certificate)),
        }
    }

    /// Serves `certificate` from the next handshake on.
    pub fn replace(&self, certificate: ServingCertificate) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }

    /// The certificate in service.
    pub fn served(&self) -> Arc<ServingCertificate> {
        Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Until when the certificate in service is valid, in seconds since 1970: a metric.
    pub fn not_after(&self) -> i64 {
        self.served().not_after()
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.served().certified_key())
    }
}
