//! Whether etcd's history went back, as it does when a backup is restored.
//!
//! Nothing else tells. A watch from a revision that etcd has not reached yet is answered by 200 and silence; a restore with
//! `--bump-revision` makes lists newer and their objects older. But a read that goes to etcd's quorum never shows an object
//! in an older version than it was known in when that read was sent. The Lease shows it first: every replica reads or writes
//! it all the time. Two such reads are proof; one may have been answered by something that stands between and lags, such as
//! a caching proxy. An API server that merely lags answers none: a read without a resourceVersion goes to etcd.
//!
//! What follows is that everything is listed again, at most once a minute: an API server that outlived its etcd serves what
//! is lost from its memory, so that the proof comes again until somebody restarts it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

/// How many reads that show something older are proof.
pub const PROOF: u32 = 2;
/// How much time is between two times that everything is listed again, at least.
const LIST_AGAIN: Duration = Duration::from_mins(1);
/// How often in a row an object is looked at that is older than before, until that is how it is: so often that another
/// replica, which looks as often, sees it at least [`PROOF`] times before this one writes it.
pub const LOOKS: u32 = 3;

/// What reads have shown, and who is to list everything again when they prove that history went back.
#[derive(Debug, Default)]
pub struct History {
    shown: Mutex<Shown>,
    proved: Notify,
    lists: watch::Sender<()>,
}

impl History {
    /// A read of etcd showed something older than it was known to be when that was asked for.
    pub fn shown_older(&self) {
        let mut shown = self.shown.lock();
        shown.older();
        if shown.proves() {
            self.proved.notify_one();
        }
    }

    /// Has everything listed.
    pub fn list(&self) {
        self.lists.send_replace(());
    }

    /// What was listed is not what etcd has: everything is to be listed once more.
    pub fn list_once_more(&self) {
        let mut shown = self.shown.lock();
        shown.older = PROOF;
        self.proved.notify_one();
    }

    /// Tells each time that everything is to be listed again.
    pub fn lists(&self) -> watch::Receiver<()> {
        self.lists.subscribe()
    }

    /// Waits until history is proved to have gone back, and everything may be listed again.
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

/// Reads that showed something older since everything was last listed again, and when that was.
#[derive(Debug, Default)]
struct Shown {
    older: u32,
    listed: Option<Instant>,
}

impl Shown {
    fn older(&mut self) {
        self.older = self.older.saturating_add(1);
    }

    fn proves(&self) -> bool {
        self.older >= PROOF
    }

    /// When everything is to be listed again, if it is.
    fn due(&self) -> Option<Instant> {
        let earliest = |listed: Instant| listed + LIST_AGAIN;
        self.proves()
            .then(|| self.listed.map_or_else(Instant::now, earliest))
    }

    fn begin(&mut self, now: Instant) {
        *self = Self {
            older: 0,
            listed: Some(now),
        };
    }
}

/// The versions of one object, as reads of etcd show them one after the other.
#[derive(Debug, Default)]
pub struct Versions {
    newest: u64,
    older: u32,
}

impl Versions {
    /// It is shown in this version. Returns how often in a row it was older than before; from [`LOOKS`] times on that is how
    /// it is.
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
        let began = Instant::now();
        // The proof comes again all the time.
        for _ in 0..7 {
            history.shown_older();
        }
        assert!(!acts().await);
        history.went_back().await;
        let waited = began.elapsed();
        assert!(waited > LIST_AGAIN / 2 && waited <= LIST_AGAIN);
        assert!(!acts().await);
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
            // Restored: it is looked at until that is how it is.
            (vec![9, 4, 4, 4, 5, 6], vec![0, 1, 2, 3, 0, 0]),
            (vec![9, 4, 5, 6, 7], vec![0, 1, 2, 3, 0]),
            // With a bumped revision, when somebody else writes it.
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
