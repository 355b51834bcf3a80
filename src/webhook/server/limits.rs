//! What connections may take.

use std::time::Duration;

/// What connections may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many may be open at once. Three API servers open 600: each has 200 mutating requests in flight by default.
    pub connections: usize,
    /// How many requests may be in flight on all of them.
    pub requests: usize,
    /// How long a connection or a request is safe after it got on, when others wait for its place: the one that has not got on
    /// for longest gives way, and the next one soon after. To get on is to finish the handshake, to complete a request's
    /// header, to send 64 KiB of its body or a sixteenth of what came before, and to have it answered.
    pub fresh: Duration,
    /// How long the TLS handshake may take.
    pub handshake: Duration,
    /// How long a client may take to complete the header of its first request, and to close where it was asked to.
    pub header: Duration,
    /// How long a connection may be without a request. Longer than the client's own limit (90 s), see [`super`].
    pub idle: Duration,
    /// How long a request may take in all: as long as an API server waits at most.
    pub request: Duration,
    /// How often the server pings an HTTP/2 client, and how long that may take to answer.
    pub ping: (Duration, Duration),
    /// How long requests in flight may go on after the shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    /// Returns those of the webhook.
    fn default() -> Self {
        Self {
            connections: 1024,
            requests: 2048,
            fresh: Duration::from_millis(100),
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(5),
            idle: Duration::from_mins(2),
            request: Duration::from_secs(30),
            ping: (Duration::from_secs(20), Duration::from_secs(10)),
            drain: Duration::from_secs(15),
        }
    }
}

impl Limits {
    /// Returns those of the port for probes and metrics. Its clients send a short request at once, and are few.
    pub fn of_probes() -> Self {
        Self {
            connections: 256,
            requests: 256,
            fresh: Duration::from_millis(20),
            drain: Duration::from_secs(2),
            ..Self::default()
        }
    }
}
