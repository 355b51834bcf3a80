//! Checks the digest key for as long as the process runs.
//!
//! It checks every few seconds, and at once when a workload was observed under a key that this process does not know.
//! Then either that key is out of use, or ours is. Until that is settled nothing is decided about the workload.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{
    cluster::own::digest_key::{Checked, Replaced, Store, Unsound},
    judge::Judge,
    model::digest::told_id,
};

/// How often the key is checked, at the least.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// The least time between two checks. Annotations can name any key, so anything that writes them can make a key
/// doubted.
const CHECK_AT_MOST_EVERY: Duration = Duration::from_millis(500);
/// The most keys that are told of at once.
const MOST_TOLD: usize = 16;

/// Checks the digest key.
#[derive(Clone)]
pub struct KeyWatch {
    /// The judge, which is told of keys that are out of use.
    pub judge: Arc<Judge>,
    /// The Secret that holds the key.
    pub store: Store,
}

impl KeyWatch {
    /// Checks the key until it was replaced. Logs a key that cannot be used or read, once, and goes on with the one in
    /// memory.
    pub async fn run(self) -> Replaced {
        let mut told = false;
        loop {
            sleep(CHECK_AT_MOST_EVERY).await;
            // It checks either way: because the key is doubted, or because it is time.
            let _ = timeout(CHECK_EVERY, self.judge.state.key_doubted.notified()).await;
            match self.check().await {
                Ok(retired) => {
                    told = false;
                    if retired {
                        self.judge.judge_all();
                    }
                }
                Err(Unsound::Replaced(replaced)) => return replaced,
                Err(Unsound::Unusable(error)) if !told => {
                    told = true;
                    tracing::error!(%error, "the digest key cannot be checked; the one in memory is used on");
                }
                Err(Unsound::Unusable(_)) => {}
            }
        }
    }

    /// Settles which key is right, before anything is adopted under it. Call it when the first lists are complete and
    /// nothing is judged yet. What cannot be settled now is left to [`Self::run`].
    pub async fn settle(&self) {
        if !self.judge.state.index().unknown_keys().is_empty() {
            let _ = self.check().await;
        }
    }

    /// Checks the key. Returns whether keys that were doubted are not ours.
    async fn check(&self) -> Result<bool, Unsound> {
        // Reads which keys are doubted before it reads the Secret: a Secret read before a key was doubted proves
        // nothing about that key.
        let state = &self.judge.state;
        let doubted = state.index().unknown_keys();
        let checked = self
            .store
            .check(&state.setup.key, self.judge.teller.leads());
        if checked.await? == Checked::Missing || doubted.is_empty() {
            return Ok(false);
        }
        tracing::warn!(
            keys = told(&doubted),
            "workloads were observed under digest keys that are not ours, of another installation or lost: one workload of each namespace \
             is tried, and what nobody undoes is adopted again (uids are compared)"
        );
        state.index_mut().retire_keys(doubted);
        Ok(true)
    }
}

/// Names keys, not more than a few: anybody who may write an annotation can name any.
fn told(ids: &BTreeSet<String>) -> String {
    let named: BTreeSet<_> = ids.iter().take(MOST_TOLD).map(|id| told_id(id)).collect();
    let named = named.into_iter().collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(MOST_TOLD) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_keys_are_told_and_of_each_no_more_than_an_id_has() {
        let ids = |count: usize| (0..count).map(|key| format!("{key:08}{}", "x".repeat(20_000)));
        assert_eq!(told(&ids(2).collect()), "00000000…, 00000001…");
        let many = told(&ids(1000).collect());
        assert!(many.ends_with("00000015… and 984 more"), "{many}");
    }
}
