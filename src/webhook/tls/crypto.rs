//! The cryptography.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// Returns the cryptography that all TLS of the webhook uses.
pub(in crate::webhook) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
