//! What became of restarts, as people are told it: once for each restart, as far as this process knows.

use jiff::{SignedDuration, Timestamp};

use super::{Brakes, Reason, made::Told};
use crate::model::{
    Index, SourceName, WorkloadKey,
    brake::{Verdict, failed::waits_for, later},
    index::Tracked,
    text::minutes,
    version::key_of,
    workload::{Changed, Opened},
};

/// After so long without a good pod people are told what it waits for.
const TOLD_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// No new pod of it is good yet.
    Waits {
        /// What for.
        words: String,
    },
    /// It waits for its window, for what belongs together, or for a lower wave that goes no further.
    Gated {
        /// What for.
        words: String,
    },
    /// Its restart failed.
    Stuck {
        /// Why, in a word.
        reason: &'static str,
        /// Why.
        words: String,
        /// What only a person can do.
        remedy: Option<String>,
    },
    /// It is good, and goes no further.
    Hangs {
        /// How far it is.
        words: String,
    },
    /// Others wait because it failed.
    Slowed {
        /// For which source.
        source: Option<SourceName>,
        /// What is so.
        words: String,
    },
}

impl Brakes {
    /// Returns what there is to tell of the restarts of a namespace.
    pub fn news(
        &mut self,
        index: &Index,
        namespace: &str,
        now: Timestamp,
    ) -> Vec<(WorkloadKey, News)> {
        let here: Vec<_> = self.made.within(namespace).cloned().collect();
        let mut all = Vec::new();
        for key in here {
            let Some(tracked) = index.workload(&key) else {
                continue;
            };
            let Some(opened) = tracked.workload.last.as_ref().map(|last| &last.opened) else {
                continue;
            };
            let verdict = self.made.verdict(&key, tracked, now);
            let told = self.made.told(&key);
            let told = match &verdict {
                Some(Verdict::Failed(failed)) if told < Told::Stuck => {
                    let (look, progress) = (self.made.look(&key), &tracked.workload.progress);
                    let words = failed.words(look, progress);
                    // Nobody waits for one that was not well before.
                    if opened.well {
                        let slowed = self.slowed(index, &key, opened, &words, now);
                        all.extend(slowed.into_iter().map(|news| (key.clone(), news)));
                    }
                    let reason = failed.as_str();
                    let remedy = failed.remedy(look, progress, namespace);
                    all.push((
                        key.clone(),
                        News::Stuck {
                            reason,
                            words,
                            remedy,
                        },
                    ));
                    Told::Stuck
                }
                Some(Verdict::Rolling { .. }) if told < Told::Waits => {
                    // Nobody has looked yet: it may be good already.
                    let unsure = self.made.unsure_until(&key, tracked, now);
                    let ends = self.made.ends(&key, tracked);
                    if unsure.is_some() || ends.is_some_and(|ends| now >= ends) {
                        continue;
                    }
                    let at = later(opened.at, TOLD_AFTER);
                    if now < at {
                        self.look_at(namespace, at);
                        continue;
                    }
                    let words = waits_for(self.made.look(&key), &tracked.workload.progress);
                    all.push((key.clone(), News::Waits { words }));
                    Told::Waits
                }
                Some(Verdict::Good) if tracked.workload.progress.is_under_way() => {
                    let at = self.made.hangs_at(&key, tracked);
                    if now < at {
                        self.look_at(namespace, at);
                        Told::Nothing
                    } else if told == Told::Hangs {
                        continue;
                    } else {
                        all.push((key.clone(), self.hangs(tracked)));
                        Told::Hangs
                    }
                }
                Some(Verdict::Good) => Told::Nothing,
                _ => continue,
            };
            self.made.tell(&key, told);
        }
        all
    }

    /// Returns how a restart that is good goes no further.
    fn hangs(&self, tracked: &Tracked) -> News {
        let progress = &tracked.workload.progress;
        let wanted = progress.counts.unwrap_or_default().wanted;
        let new = progress.new_and_available();
        let within = self.made.patience(tracked).deadline;
        let why = progress.refused.as_deref();
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        let words = format!(
            "{new} of {wanted} pods are new and available, and for {within:#} there were never more{why}"
        );
        News::Hangs { words }
    }

    /// Returns who waits because a restart failed, for each source that it was for.
    fn slowed(
        &self,
        index: &Index,
        key: &WorkloadKey,
        opened: &Opened,
        why: &str,
        now: Timestamp,
    ) -> Vec<News> {
        let counting = self.counting(index, &key.namespace, now);
        let of = |changed: &Changed| {
            let id = opened.versions.get(changed)?;
            let counted = (changed.clone(), *id);
            let waits = counting.waits_for(&counted);
            let next = waits.iter().find_map(|(_, waiting)| match waiting.reason {
                Reason::SlowStart { next } => next,
                Reason::Window(_)
                | Reason::Together { .. }
                | Reason::Wave { .. }
                | Reason::Spread { .. }
                | Reason::Distance { .. } => None,
            });
            let waiting = waits.len();
            let made = counting.users(&counted).made;
            let source = match changed {
                Changed::Source(source) => Some(source.clone()),
                Changed::Namespace => None,
            };
            let users = source.as_ref().map_or(waiting + made, |source| {
                index.users(&key_of(&key.namespace, source)).len()
            });
            let what = source
                .as_ref()
                .map_or("restarts".to_owned(), SourceName::spoken);
            let next = next.map_or(String::new(), |next| {
                format!(", the next at {}", minutes(next))
            });
            let words = format!(
                "{what}: {made} of {users} restarted, and {} does not become available: {why}; {waiting} wait{next}. Pods that start for \
                 another reason take the new value",
                key.spoken(),
            );
            (waiting > 0).then_some(News::Slowed { source, words })
        };
        opened.versions.keys().filter_map(of).collect()
    }
}
