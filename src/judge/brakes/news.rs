//! What became of restarts, as people are told it: once for each restart, as far as this process knows.

use jiff::{SignedDuration, Timestamp};

use super::{Brakes, Reason, made::Told, reason::minutes};
use crate::model::{
    Index, SourceName, WorkloadKey,
    brake::{Verdict, later, look::Said, verdict::Failed},
    index::Tracked,
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
    /// It waits for its window, or for a lower wave that goes no further.
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
                    let words = self.why(&key, tracked, failed);
                    // Nobody waits for one that was not well before.
                    if opened.well {
                        let slowed = self.slowed(index, &key, opened, &words, now);
                        all.extend(slowed.into_iter().map(|news| (key.clone(), news)));
                    }
                    let (reason, remedy) = (failed.as_str(), self.remedy(&key, tracked, failed));
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
                    let words = self.waits_for(&key, tracked);
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

    fn why(&self, key: &WorkloadKey, tracked: &Tracked, failed: &Failed) -> String {
        match failed {
            Failed::Pod(_, said) => spoken(said),
            Failed::Aborted => "the Rollout aborted it".to_owned(),
            Failed::Deadline => format!(
                "no new pod was good by its deadline: {}",
                self.waits_for(key, tracked)
            ),
        }
    }

    fn waits_for(&self, key: &WorkloadKey, tracked: &Tracked) -> String {
        let look = self.made.look(key);
        let said = look.and_then(|look| look.waits.as_ref());
        let refused = tracked.workload.progress.refused.as_deref();
        match (said, refused) {
            (Some(said), _) => spoken(said),
            (None, Some(refused)) => refused.to_owned(),
            (None, None) if look.is_some_and(|look| look.new == 0) => {
                "no new pod was made".to_owned()
            }
            (None, None) => "its new pods are not available".to_owned(),
        }
    }

    /// Returns what only a person can do: a StatefulSet that replaces its pods in order never replaces one that is not ready.
    fn remedy(&self, key: &WorkloadKey, tracked: &Tracked, failed: &Failed) -> Option<String> {
        let waits = || self.made.look(key)?.waits.as_ref();
        let said = match failed {
            Failed::Pod(_, said) => Some(said),
            Failed::Deadline => waits(),
            Failed::Aborted => None,
        }?;
        let in_order = tracked.workload.progress.in_order;
        in_order.then(|| {
            format!(
                "once the value is right: kubectl delete pod {} -n {}",
                said.pod, key.namespace
            )
        })
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

fn spoken(said: &Said) -> String {
    format!("pod {}: {}", said.pod, said.words)
}
