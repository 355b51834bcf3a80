//! The certificate that is served now.

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::certificate::ServingCertificate;

/// Gives the current certificate to each handshake. A replacement reaches new connections only: open ones keep the
/// certificate that they were opened with.
#[derive(Debug)]
pub struct CertificateResolver {
    served: RwLock<Arc<ServingCertificate>>,
}

impl CertificateResolver {
    /// Returns a resolver that serves `certificate` until it is replaced.
    pub fn new(certificate: ServingCertificate) -> Self {
        Self {
            served: RwLock::new(Arc::new(certificate)),
        }
    }

    /// Serves `certificate` from the next handshake on.
    pub fn replace(&self, certificate: ServingCertificate) {
        *self.served.write() = Arc::new(certificate);
    }

    /// Returns the certificate in service.
    pub fn served(&self) -> Arc<ServingCertificate> {
        Arc::clone(&self.served.read())
    }

    /// Returns until when the certificate in service is valid, in seconds since 1970: a metric.
    pub fn not_after(&self) -> i64 {
        self.served().not_after()
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.served().certified_key())
    }
}
