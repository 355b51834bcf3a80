//! Connections that are open, or were cut.

use prometheus_client::metrics::gauge::Gauge;

use super::{Metrics, labels::Port};

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
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
