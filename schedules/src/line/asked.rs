//! What a request of reroll's is.

use http::{Method, Request};
use kube::client::Body;

use crate::faults::{Requests, Write};

/// What one request is.
#[allow(
    clippy::struct_excessive_bools,
    reason = "requests are of many kinds at once"
)]
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) resource: String,
    method: Method,
    /// It is a list, or a watch.
    many: bool,
    pub(super) watches: bool,
    /// It is a watch that brings first what there is.
    pub(super) streams: bool,
    tries: bool,
}

impl Asked {
    pub(super) fn of(request: &Request<Body>) -> Self {
        let mut parts = request.uri().path().trim_matches('/').split('/').skip(1);
        if request.uri().path().starts_with("/apis") {
            parts.next();
        }
        let mut parts: Vec<_> = parts.skip(1).collect();
        if parts.first() == Some(&"namespaces") && parts.len() > 2 {
            parts.drain(..2);
        }
        let query = request.uri().query().unwrap_or_default();
        Self {
            resource: parts.first().copied().unwrap_or_default().to_owned(),
            method: request.method().clone(),
            many: request.method() == Method::GET && parts.len() == 1,
            watches: query.contains("watch="),
            streams: query.contains("sendInitialEvents="),
            tries: query.contains("dryRun="),
        }
    }

    /// Returns which of reroll's writes it is.
    pub(super) fn write(&self) -> Option<Write> {
        if self.method == Method::GET || self.tries {
            return None;
        }
        match self.resource.as_str() {
            "leases" => Some(Write::Lease),
            "secrets" => Some(Write::DigestKey),
            "events" => Some(Write::Event),
            "jobs" if self.method == Method::POST => Some(Write::Job),
            "deployments" | "statefulsets" | "daemonsets" | "cronjobs" | "jobs" => {
                Some(Write::Workload)
            }
            _ => None,
        }
    }

    pub(super) fn is(&self, requests: Requests) -> bool {
        match requests {
            Requests::All => true,
            Requests::Writes => self.write().is_some(),
            Requests::Write(write) => self.write() == Some(write),
            Requests::Reads => self.method == Method::GET && !self.many,
            Requests::Lists => self.many,
        }
    }
}
