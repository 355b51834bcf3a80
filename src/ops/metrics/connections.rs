//! Connections that are open, failed or were cut, and requests that came to nothing.

use prometheus_client::metrics::gauge::Gauge;

use super::{
    Metrics,
    labels::{Port, RequestFailure},
};

/// A connection that is open.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Metrics {
    /// Counts a connection as open until the answer is dropped.
    pub fn connection_open(&self, port: Port) -> OpenConnection {
        let open = match port {
            Port::Webhook => &self.webhook_connections,
            Port::Probes => &self.probe_connections,
        };
        open.inc();
        OpenConnection(open.clone())
    }

    /// Counts a connection that was cut because others waited.
    pub fn connection_cut(&self, port: Port) {
        self.connections_cut
            .get_or_create(&[("port", port.as_str())])
            .inc();
    }

    /// Counts that the system would not accept a connection to the webhook.
    pub fn accept_failed(&self, port: Port) {
        if port == Port::Webhook {
            self.webhook_accept_failures.inc();
        }
    }

    /// Counts a TLS handshake that failed or took too long.
    pub fn handshake_failed(&self) {
        self.tls_handshake_failures.inc();
    }

    /// Counts a request to the webhook that got an error for an answer.
    pub fn request_failed(&self, port: Port, why: RequestFailure) {
        if port == Port::Webhook {
            self.webhook_request_failures
                .get_or_create(&[("reason", why.as_str())])
                .inc();
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
