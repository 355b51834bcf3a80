//! Whether etcd went back to an earlier state, as after the restore of a backup.
//!
//! No API call tells that. A watch from a revision that etcd has not reached yet is answered with 200 and stays silent.
//! A restore with `--bump-revision` makes the resourceVersion of lists newer and that of their objects older.
//!
//! What does tell is a GET without resourceVersion, which etcd answers by quorum: it never shows an object in an older
//! version than reroll knew when it sent the GET. If it does, etcd went back. The Lease shows it first, because every
//! replica reads or writes the Lease all the time. One such read may come from something in between that lags, such as
//! a caching proxy. Two of them are proof. An API server that itself lags gives no false proof: a GET without
//! resourceVersion does not come from its cache.
//!
//! Another replica's proof, which it writes on the Lease, counts as well.
//!
//! The consequence is that every watch lists again, at most once a minute. An API server that was not restarted with
//! its etcd serves the lost state from its memory, so the proof comes again until an administrator restarts it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

/// The number of reads of an older version that are proof.
pub const PROOF: u32 = 2;
/// The least time between two rounds of lists.
const LIST_AGAIN: Duration = Duration::from_mins(1);
/// The number of times in a row that a replica sees an object older than before until it accepts that version. So many
/// times that every other replica, which looks as often, sees the old version at least [`PROOF`] times before this one
/// writes the object.
pub const LOOKS: u32 = 3;

/// Counts what reads have shown, and tells the watches to list again when history is proved to have gone back.
#[derive(Debug, Default)]
pub struct History {
    shown: Mutex<Shown>,
    proved: Notify,
    lists: watch::Sender<()>,
}

impl History {
    /// Notes that a read of etcd showed an object older than it was known when the read was sent.
    pub fn shown_older(&self) {
        let mut shown = self.shown.lock();
        shown.older();
        if shown.proves() {
            self.proved.notify_one();
        }
    }

    /// Returns how often reads of this replica's own have proved that etcd went back.
    pub fn own_proofs(&self) -> u64 {
        self.shown.lock().proofs
    }

    /// Tells every watch to list again.
    pub fn list(&self) {
        self.lists.send_replace(());
    }

    /// Notes that etcd went back, as another replica or the lists say. [`Self::went_back`] returns once for it.
    pub fn proved_elsewhere(&self) {
        let mut shown = self.shown.lock();
        shown.older = PROOF;
        self.proved.notify_one();
    }

    /// Returns a receiver that changes each time that everything is to be listed again.
    pub fn lists(&self) -> watch::Receiver<()> {
        self.lists.subscribe()
    }

    /// Waits until history is proved to have gone back, and the last round of lists is long enough ago.
    pub async fn went_back(&self) {
        loop {
            let due = {
                let mut shown = self.shown.lock();
                match shown.due() {
                    Some(at) if at <= Instant::now() => {
                        shown.begin(Instant::now());
                        return;
                    }
                    due => due,
                }
            };
            match due {
                Some(at) => sleep_until(at).await,
                None => self.proved.notified().await,
            }
        }
    }
}

/// The number of reads that showed something older since the last round of lists, and when that round was.
#[derive(Debug, Default)]
struct Shown {
    older: u32,
    listed: Option<Instant>,
    /// How many of [`Self::older`] this replica read itself.
    own: u32,
    /// How often so many were proof.
    proofs: u64,
}

impl Shown {
    fn older(&mut self) {
        self.older = self.older.saturating_add(1);
        self.own = self.own.saturating_add(1);
        self.proofs += u64::from(self.own == PROOF);
    }

    fn proves(&self) -> bool {
        self.older >= PROOF
    }

    /// Returns when everything is to be listed again; `None` without proof.
    fn due(&self) -> Option<Instant> {
        let earliest = |listed: Instant| listed + LIST_AGAIN;
        self.proves()
            .then(|| self.listed.map_or_else(Instant::now, earliest))
    }

    fn begin(&mut self, now: Instant) {
        *self = Self {
            older: 0,
            own: 0,
            listed: Some(now),
            ..*self
        };
    }
}

/// The resourceVersions of one object, as reads of etcd show them one after the other.
#[derive(Debug, Default)]
pub struct Versions {
    newest: u64,
    older: u32,
}

impl Versions {
    /// Notes the version that a read showed. Returns how many times in a row it was older than before; 0 if it is not.
    /// From [`LOOKS`] times on the older version is accepted.
    pub fn show(&mut self, version: u64) -> u32 {
        if version >= self.newest {
            (self.newest, self.older) = (version, 0);
            return 0;
        }
        self.older += 1;
        let times = self.older;
        if times >= LOOKS {
            (self.newest, self.older) = (version, 0);
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_reads_prove_it_and_it_is_acted_on_once_a_minute() {
        let history = History::default();
        let acts = async || {
            let acted = timeout(Duration::from_millis(1), history.went_back()).await;
            acted.is_ok()
        };
        assert!(!acts().await);
        history.shown_older();
        assert!(
            !acts().await,
            "one read may have been answered by something that lags"
        );
        history.shown_older();
        assert!(acts().await);
        assert!(!acts().await, "once");
        assert_eq!(history.own_proofs(), 1);
        let began = Instant::now();
        // An API server with a lost state in memory goes on to give proof.
        for _ in 0..7 {
            history.shown_older();
        }
        assert!(!acts().await);
        history.went_back().await;
        let waited = began.elapsed();
        assert!(waited > LIST_AGAIN / 2 && waited <= LIST_AGAIN);
        assert!(!acts().await);
        assert_eq!(history.own_proofs(), 2);
        history.proved_elsewhere();
        tokio::time::sleep(LIST_AGAIN).await;
        assert!(acts().await);
        assert_eq!(history.own_proofs(), 2, "others saw that");
        tokio::time::sleep(LIST_AGAIN * 2).await;
        history.shown_older();
        assert!(!acts().await, "what was proof before is none any more");
        history.shown_older();
        assert!(acts().await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_of_it() {
        let history = Arc::new(History::default());
        let waits = Arc::clone(&history);
        let heard = tokio::spawn(async move { waits.went_back().await });
        tokio::task::yield_now().await;
        history.shown_older();
        history.shown_older();
        heard.await.unwrap();
    }

    #[test]
    fn an_object_that_stays_older_is_so_after_three_looks() {
        for (shown, times) in [
            (vec![5, 5, 6, 9], vec![0, 0, 0, 0]),
            // Restored: the old version is accepted at the third look.
            (vec![9, 4, 4, 4, 5, 6], vec![0, 1, 2, 3, 0, 0]),
            (vec![9, 4, 5, 6, 7], vec![0, 1, 2, 3, 0]),
            // Restored with a bumped revision, and another replica writes the object.
            (vec![9, 4, 1004, 1005], vec![0, 1, 0, 0]),
            // Behind something that lags.
            (vec![9, 8, 9, 8, 10], vec![0, 1, 0, 1, 0]),
            // Restored twice.
            (vec![9, 4, 4, 4, 8, 3, 3], vec![0, 1, 2, 3, 0, 1, 2]),
        ] {
            let mut versions = Versions::default();
            let found: Vec<_> = shown.iter().map(|it| versions.show(*it)).collect();
            assert_eq!(found, times, "{shown:?}");
        }
    }
}
