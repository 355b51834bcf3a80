//! A token bucket: so many at once after a quiet time, then so many per second.

use std::time::Duration;

use tokio::time::Instant;

/// How fast restarts may be made.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// Per second; `None` is no limit.
    pub rate: Option<f64>,
    /// At once, after a quiet time.
    pub burst: u32,
}

/// What bounds restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All workloads together.
    pub all: Pacing,
    /// Each workload.
    pub each: Pacing,
    /// How many workloads may be rolling at the same time; `None` is no limit.
    pub rolling: Option<usize>,
}

impl Bounds {
    /// Only a pace.
    #[cfg(test)]
    pub fn paced(all: Pacing) -> Self {
        Self {
            all,
            each: Pacing {
                rate: None,
                burst: 1,
            },
            rolling: None,
        }
    }
}

/// A token bucket.
#[derive(Debug)]
pub struct Bucket {
    pacing: Pacing,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// Nothing was taken for long.
    pub fn full(pacing: Pacing, now: Instant) -> Self {
        Self {
            pacing,
            tokens: f64::from(pacing.burst.max(1)),
            at: now,
        }
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.pacing.rate.is_none() {
            return true;
        }
        self.tokens = self.tokens_at(now);
        self.at = now.max(self.at);
        // A token that is there but for the rounding of clocks counts.
        let there = self.tokens >= 1.0 - 1e-6;
        if there {
            self.tokens -= 1.0;
        }
        there
    }

    /// When there is one.
    pub fn ready(&self, now: Instant) -> Instant {
        match self.pacing.rate {
            Some(rate) if self.tokens_at(now) < 1.0 - 1e-6 => {
                self.at + Duration::from_secs_f64((1.0 - self.tokens) / rate)
            }
            _ => now,
        }
    }

    /// Puts one back.
    pub fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(f64::from(self.pacing.burst.max(1)));
    }

    /// Whether nothing was taken for long.
    pub fn is_full(&self, now: Instant) -> bool {
        self.tokens_at(now) >= f64::from(self.pacing.burst.max(1))
    }

    fn tokens_at(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        let grown = self.tokens + since * self.pacing.rate.unwrap_or(f64::INFINITY);
        // 0 × ∞ is no number.
        if grown.is_nan() {
            self.tokens
        } else {
            grown.min(f64::from(self.pacing.burst.max(1)))
        }
    }
}
