//! Tells every replica that etcd went back, by [`HISTORY_LOST`] on the Lease.
//!
//! A replica sees it by what it reads. Another one may read nothing that is older than it was: what it knows of has not
//! changed since the backup, or etcd's numbers were not bumped and have caught up. It would remember what is lost, and restart for
//! that as soon as it leads.
//!
//! Invariants:
//! - only a replica that saw it itself writes the annotation, once each time, so that nobody answers it;
//! - a replica that reads news of a loss does not lead before its next try.

use std::{collections::BTreeMap, mem};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;

use super::Election;
use crate::model::annotation::HISTORY_LOST;

/// What this replica knows of the annotation.
#[derive(Debug, Default)]
pub(super) struct Loss {
    /// As last read.
    text: Option<String>,
    /// The Lease was read before. Until then nothing that stands there is news.
    knows: bool,
    /// How often this replica saw a loss itself.
    seen: u64,
    /// What it has to write for that.
    untold: Option<String>,
    /// Another replica saw one since the last try for the Lease.
    news: bool,
}

impl Loss {
    /// Takes in how often this replica has seen a loss itself.
    pub(super) fn saw(&mut self, times: u64, now: Timestamp) {
        if mem::replace(&mut self.seen, times) != times {
            self.untold = Some(now.to_string());
        }
    }

    /// Takes in the annotations of the Lease. Returns whether they tell of a loss that this replica was not told of.
    pub(super) fn heed(&mut self, annotations: Option<&BTreeMap<String, String>>) -> bool {
        let said = annotations.and_then(|all| all.get(HISTORY_LOST));
        let own = said.is_some() && said == self.untold.as_ref();
        let knew = mem::replace(&mut self.knows, true);
        let news = knew && !own && said.is_some() && said != self.text.as_ref();
        self.text = said.cloned();
        if own || news {
            // What another replica tells now is what this one saw.
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
        loss.saw(0, Timestamp::UNIX_EPOCH);
        assert!(!loss.is_untold());
        loss.saw(1, Timestamp::UNIX_EPOCH);
        let text = loss.annotation().unwrap().1;
        assert_ne!(text, "before");
        // It reads the old one until it has written its own.
        assert!(!loss.heed(Some(&says(Some("before")))));
        assert!(loss.is_untold());
        assert!(!loss.heed(Some(&says(Some(&text)))));
        assert!(!loss.is_untold());
        loss.saw(1, Timestamp::UNIX_EPOCH);
        assert!(!loss.is_untold(), "once");
        assert_eq!(loss.annotation().unwrap().1, text);
        assert!(!loss.take_news());
        assert!(loss.heed(Some(&says(Some("later")))));
    }

    #[test]
    fn what_two_saw_is_told_by_one() {
        let mut loss = Loss::default();
        assert!(!loss.heed(Some(&says(None))));
        loss.saw(1, Timestamp::UNIX_EPOCH);
        assert!(loss.heed(Some(&says(Some("of another")))));
        assert!(!loss.is_untold());
        assert_eq!(loss.annotation().unwrap().1, "of another");
    }
}
