//! Tells every replica that etcd went back, by [`HISTORY_LOST`] on the Lease.
//!
//! A replica proves it by its own reads. Another replica's reads may show nothing older than it knows: nothing of what it knows
//! was written since the backup, or etcd's numbers were not bumped and have caught up. It would remember what is lost, and restart
//! for that as soon as it leads.
//!
//! Invariants:
//! - a replica writes the annotation only for what its own reads proved, and never because it read of it, so replicas do not answer
//!   each other;
//! - it writes it at most every [`TELLS_AGAIN`]: where an API server outlived its etcd, the proof comes again each minute;
//! - a replica that does not hold the Lease, and reads news, does not take it before its next try. Losses within a minute of each
//!   other count as one ([`crate::cluster::history`]).

use std::{collections::BTreeMap, mem};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;

use super::Election;
use crate::model::annotation::HISTORY_LOST;

/// How long a replica does not tell again what it told.
const TELLS_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// What this replica knows of the annotation.
#[derive(Debug, Default)]
pub(super) struct Loss {
    /// As last read.
    text: Option<String>,
    /// The Lease was read before. Until then nothing that stands there is news.
    knows: bool,
    /// How often this replica's own reads proved a loss.
    proofs: u64,
    /// When it last had one to tell.
    told: Option<Timestamp>,
    /// What it has to write for that.
    untold: Option<String>,
    /// Another replica saw one since the last try for the Lease.
    news: bool,
}

impl Loss {
    /// Takes in how often this replica's own reads have proved a loss.
    pub(super) fn proved(&mut self, times: u64, now: Timestamp) {
        let lately = |told: Timestamp| now.duration_since(told).abs() < TELLS_AGAIN;
        if mem::replace(&mut self.proofs, times) == times || self.told.is_some_and(lately) {
            return;
        }
        self.told = Some(now);
        self.untold = Some(now.to_string());
    }

    /// Takes in the annotations of the Lease. Returns whether they tell of a loss that this replica did not know.
    pub(super) fn heed(&mut self, annotations: Option<&BTreeMap<String, String>>) -> bool {
        let said = annotations.and_then(|all| all.get(HISTORY_LOST));
        let knew = mem::replace(&mut self.knows, true);
        let is_other = knew && said.is_some() && said != self.text.as_ref();
        self.text = said.cloned();
        // What another replica tells while this one has the same to tell is what this one proved.
        let news = is_other && self.untold.is_none();
        if is_other {
            self.untold = None;
        }
        self.news |= news;
        news
    }

    /// Whether another replica saw a loss since this was asked last.
    pub(super) fn take_news(&mut self) -> bool {
        mem::take(&mut self.news)
    }

    /// Whether this replica has a loss to tell.
    fn is_untold(&self) -> bool {
        self.untold.is_some()
    }

    /// Returns the annotation that the Lease is to have.
    pub(super) fn annotation(&self) -> Option<(String, String)> {
        let text = self.untold.as_ref().or(self.text.as_ref())?;
        Some((HISTORY_LOST.to_owned(), text.clone()))
    }
}

impl Election {
    /// Writes on the Lease of another replica that this one saw a loss. Where that fails, the next try tells it.
    pub(super) async fn tell_loss(&mut self, mut lease: Lease) {
        if !self.loss.is_untold() {
            return;
        }
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.extend(self.loss.annotation());
        let told = self.cluster.replace(&self.api, &self.settings.name, &lease);
        if let Ok(lease) = told.await {
            self.note(&lease);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: Option<&str>) -> BTreeMap<String, String> {
        let pair = |text: &str| (HISTORY_LOST.to_owned(), text.to_owned());
        text.into_iter().map(pair).collect()
    }

    #[test]
    fn only_what_another_replica_saw_since_is_news() {
        for (name, read, news) in [
            ("never", vec![None, None], vec![false, false]),
            ("before", vec![Some("1"), Some("1")], vec![false, false]),
            (
                "meanwhile",
                vec![None, Some("1"), Some("1")],
                vec![false, true, false],
            ),
            ("twice", vec![Some("1"), Some("2")], vec![false, true]),
            // The Lease was made anew, or somebody took the annotation off.
            ("removed", vec![Some("1"), None], vec![false, false]),
        ] {
            let mut loss = Loss::default();
            let heeded: Vec<_> = read
                .iter()
                .map(|text| loss.heed(Some(&says(*text))))
                .collect();
            assert_eq!(heeded, news, "{name}");
            assert_eq!(loss.take_news(), news.contains(&true), "{name}");
            assert!(!loss.take_news());
        }
    }

    #[test]
    fn what_this_replica_saw_itself_is_no_news_to_it() {
        let mut loss = Loss::default();
        assert!(!loss.heed(Some(&says(Some("before")))));
        loss.proved(0, Timestamp::UNIX_EPOCH);
        assert!(!loss.is_untold());
        loss.proved(1, Timestamp::UNIX_EPOCH);
        let text = loss.annotation().unwrap().1;
        assert_ne!(text, "before");
        // It reads the old one until it has written its own.
        assert!(!loss.heed(Some(&says(Some("before")))));
        assert!(loss.is_untold());
        assert!(!loss.heed(Some(&says(Some(&text)))));
        assert!(!loss.is_untold());
        loss.proved(1, Timestamp::UNIX_EPOCH);
        assert!(!loss.is_untold(), "once");
        assert_eq!(loss.annotation().unwrap().1, text);
        assert!(!loss.take_news());
        assert!(loss.heed(Some(&says(Some("later")))));
    }

    #[test]
    fn what_two_proved_is_told_by_one() {
        let mut loss = Loss::default();
        assert!(!loss.heed(Some(&says(None))));
        loss.proved(1, Timestamp::UNIX_EPOCH);
        assert!(!loss.heed(Some(&says(Some("of another")))));
        assert!(!loss.is_untold() && !loss.take_news());
        assert_eq!(loss.annotation().unwrap().1, "of another");
        assert!(loss.heed(Some(&says(Some("another")))));
    }

    #[test]
    fn the_same_proof_again_and_again_is_told_every_ten_minutes() {
        let mut loss = Loss::default();
        let mut told = 0;
        for minute in 0..30 {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
            loss.proved(u64::try_from(minute).unwrap() + 1, now);
            told += usize::from(mem::take(&mut loss.untold).is_some());
        }
        assert_eq!(told, 3);
    }
}
