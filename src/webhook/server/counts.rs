//! What a server counts: each port has metrics of its own.

use std::sync::Arc;

use crate::ops::metrics::{
    Metrics, OpenConnection,
    labels::{Port, RequestFailure},
};

/// What a server counts.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) metrics: Arc<Metrics>,
    pub(super) port: Port,
}

impl Counts {
    pub(super) fn connection_open(&self) -> OpenConnection {
        self.metrics.connection_open(self.port)
    }

    pub(super) fn connection_cut(&self) {
        self.metrics.connection_cut(self.port);
    }

    pub(super) fn accept_failed(&self) {
        self.metrics.accept_failed(self.port);
    }

    pub(super) fn request_failed(&self, why: RequestFailure) {
        self.metrics.request_failed(self.port, why);
    }
}
