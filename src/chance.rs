//! Chance that nobody may guess. It is injected, as the clock is: a simulation draws it from its seed.
//!
//! The jitter of retries needs no secret. backon draws it from `fastrand`'s generator of the thread, which a simulation
//! seeds.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;

/// Fills bytes at random.
pub type Chance = Arc<dyn Fn(&mut [u8]) -> Result<(), NoChance> + Send + Sync>;

/// The error that there are no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoChance;

/// Returns the system's chance.
pub fn system_chance() -> Chance {
    let random = aws_lc_rs::default_provider().secure_random;
    Arc::new(move |bytes| random.fill(bytes).map_err(|_| NoChance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_come_twice() {
        let chance = system_chance();
        let [mut one, mut other] = [[0; 32]; 2];
        chance(&mut one).unwrap();
        chance(&mut other).unwrap();
        assert!(one != [0; 32] && one != other);
    }
}
