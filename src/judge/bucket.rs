//! A token bucket. After a quiet time it allows a burst at once, and then a number per second, of restarts or of
//! writes.

use std::time::Duration;

use tokio::time::Instant;

/// How fast restarts, or writes of `observed`, may be made.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// The number per second; `None` means no limit.
    pub rate: Option<f64>,
    /// The most at once, after a quiet time; less than 1 counts as 1.
    pub burst: u32,
}

/// The limits for restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The pace of all workloads together.
    pub all: Pacing,
    /// The most workloads that may be rolling at the same time; `None` means no limit.
    pub rolling: Option<usize>,
}

impl Bounds {
    /// Returns limits that have only a pace for all workloads.
    #[cfg(test)]
    pub fn paced(all: Pacing) -> Self {
        Self { all, rolling: None }
    }
}

/// A token bucket: one token for each restart or write.
#[derive(Debug)]
pub struct Bucket {
    pacing: Pacing,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// Makes a full bucket.
    pub fn full(pacing: Pacing, now: Instant) -> Self {
        Self {
            pacing,
            tokens: f64::from(pacing.burst.max(1)),
            at: now,
        }
    }

    /// Takes a token. Returns whether there was one.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.pacing.rate.is_none() {
            return true;
        }
        self.tokens = self.tokens_at(now);
        self.at = now.max(self.at);
        // A token counts that is missing only by the rounding of clocks.
        let there = self.tokens >= 1.0 - 1e-6;
        if there {
            self.tokens -= 1.0;
        }
        there
    }

    /// Returns when there is a token: `now` if there is one already.
    pub fn ready(&self, now: Instant) -> Instant {
        match self.pacing.rate {
            Some(rate) if self.tokens_at(now) < 1.0 - 1e-6 => {
                self.at + Duration::from_secs_f64((1.0 - self.tokens) / rate)
            }
            _ => now,
        }
    }

    /// Returns a token that was taken to the bucket.
    pub fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(f64::from(self.pacing.burst.max(1)));
    }

    /// Whether the bucket is full.
    pub fn is_full(&self, now: Instant) -> bool {
        self.tokens_at(now) >= f64::from(self.pacing.burst.max(1))
    }

    fn tokens_at(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        let grown = self.tokens + since * self.pacing.rate.unwrap_or(f64::INFINITY);
        // 0 × ∞ is not a number.
        if grown.is_nan() {
            self.tokens
        } else {
            grown.min(f64::from(self.pacing.burst.max(1)))
        }
    }
}
