//! What happened to connections, counted where it happens and read when metrics are scraped.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one server. All of them only grow, but for the number of connections that are open.
#[derive(Debug, Default)]
pub struct ConnectionStats {
    accepted: AtomicU64,
    accept_failed: AtomicU64,
    closed: AtomicU64,
    handshake_failed: AtomicU64,
    handshake_timeout: AtomicU64,
    no_request: AtomicU64,
    idle_closed: AtomicU64,
    request_timeout: AtomicU64,
    handler_panicked: AtomicU64,
}

/// [`ConnectionStats`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Connections that were accepted.
    pub accepted: u64,
    /// How often the system would not accept, for lack of file descriptors or memory.
    pub accept_failed: u64,
    /// Connections that are open now, their handshake included.
    pub active: u64,
    /// Handshakes that failed: plain HTTP, a TLS version or an authority which one side does not have.
    pub handshake_failed: u64,
    /// Handshakes that took too long.
    pub handshake_timeout: u64,
    /// Connections cut because no complete request came.
    pub no_request: u64,
    /// Connections closed because they were idle.
    pub idle_closed: u64,
    /// Requests that took too long in all.
    pub request_timeout: u64,
    /// Requests whose handler panicked.
    pub handler_panicked: u64,
}

impl ConnectionStats {
    /// The counts now.
    pub fn counts(&self) -> ConnectionCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // `closed` first: a connection that comes between the two reads must not make `active` negative.
        let closed = read(&self.closed);
        let accepted = read(&self.accepted);
        ConnectionCounts {
            accepted,
            accept_failed: read(&self.accept_failed),
            active: accepted.saturating_sub(closed),
            handshake_failed: read(&self.handshake_failed),
            handshake_timeout: read(&self.handshake_timeout),
            no_request: read(&self.no_request),
            idle_closed: read(&self.idle_closed),
            request_timeout: read(&self.request_timeout),
            handler_panicked: read(&self.handler_panicked),
        }
    }

    /// Counts a connection as open until the answer is dropped.
    pub(super) fn open(&self) -> Open<'_> {
        increment(&self.accepted);
        Open(self)
    }

    pub(super) fn accept_failed(&self) {
        increment(&self.accept_failed);
    }

    pub(super) fn handshake_failed(&self) {
        increment(&self.handshake_failed);
    }

    pub(super) fn handshake_timeout(&self) {
        increment(&self.handshake_timeout);
    }

    pub(super) fn no_request(&self) {
        increment(&self.no_request);
    }

    pub(super) fn idle_closed(&self) {
        increment(&self.idle_closed);
    }

    pub(super) fn request_timeout(&self) {
        increment(&self.request_timeout);
    }

    pub(super) fn handler_panicked(&self) {
        increment(&self.handler_panicked);
    }
}

/// One connection that is open.
pub(super) struct Open<'a>(&'a ConnectionStats);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        increment(&self.0.closed);
    }
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
