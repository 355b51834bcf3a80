//! What connections may take.

use std::time::Duration;

/// What connections may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many may be open at once; more wait in the listener's backlog. Three API servers open 600: each has 200 mutating
    /// requests in flight by default.
    pub connections: usize,
    /// How long the TLS handshake may take.
    pub handshake: Duration,
    /// How long a client may take to complete the header of its first request, and to close where it was asked to.
    pub header: Duration,
    /// How long a connection may be without a request. Longer than the client's own limit (90 s), see [`super`].
    pub idle: Duration,
    /// The most that each of the three above is when fewer than an eighth of `connections` is left, so that silent
    /// connections cannot keep clients out. Also how often a connection is looked at.
    pub when_crowded: Duration,
    /// How long a request may take in all: as long as an API server waits at most.
    pub request: Duration,
    /// How often the server pings an HTTP/2 client, and how long that may take to answer.
    pub ping: (Duration, Duration),
    /// How long requests in flight may go on after the shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(5),
            idle: Duration::from_mins(2),
            when_crowded: Duration::from_secs(1),
            request: Duration::from_secs(30),
            ping: (Duration::from_secs(20), Duration::from_secs(10)),
            drain: Duration::from_secs(15),
        }
    }
}

impl Limits {
    /// Returns `limit`, or less where it is crowded.
    pub(super) fn in_a_crowd(&self, limit: Duration, crowded: bool) -> Duration {
        if crowded {
            limit.min(self.when_crowded)
        } else {
            limit
        }
    }
}
