//! Looks after the digest key for as long as the process runs.
//!
//! It is checked every few seconds, and at once when something was observed under a key that is not known here: either
//! that key is out of use, or ours is. Until that is settled nothing is decided about such a workload.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{
    cluster::own::digest_key::{Checked, Replaced, Store, Unsound},
    judge::Judge,
};

/// How often is looked whether the key is still there.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How long after a check the next one may come, whoever doubts the key: annotations can name any.
const CHECK_AT_MOST_EVERY: Duration = Duration::from_millis(500);

/// Looks after the key.
#[derive(Clone)]
pub struct KeyWatch {
    /// Who is told of keys that are out of use.
    pub judge: Arc<Judge>,
    /// Where the key is.
    pub store: Store,
}

impl KeyWatch {
    /// Checks the key until it turns out to be replaced. A key that cannot be used, or read, is told and left.
    pub async fn run(self) -> Replaced {
        let mut told = false;
        loop {
            sleep(CHECK_AT_MOST_EVERY).await;
            // Whether doubted or only due.
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

    /// The first lists are complete and nothing is judged yet: settles which key is right before anything is adopted
    /// under it. What cannot be settled now is left to [`Self::run`].
    pub async fn settle(&self) {
        if !self.judge.state.index().unknown_keys().is_empty() {
            let _ = self.check().await;
        }
    }

    /// Returns whether keys that were doubted turned out to be out of use.
    async fn check(&self) -> Result<bool, Unsound> {
        // What is doubted is asked for before the answer: a key that is read later proves nothing about it.
        let state = &self.judge.state;
        let doubted = state.index().unknown_keys();
        let checked = self
            .store
            .check(&state.setup.key, self.judge.teller.leads());
        if checked.await? == Checked::Missing || doubted.is_empty() {
            return Ok(false);
        }
        tracing::warn!(
            keys = ?doubted,
            "workloads were observed under digest keys that are out of use: their digests are adopted again, uids are compared"
        );
        state.index_mut().retire_keys(doubted);
        Ok(true)
    }
}
