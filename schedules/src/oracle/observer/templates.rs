//! Writes of templates: who rolls, and what is gained.

use std::sync::Arc;

use reroll_simulation::nodes::Need;
use serde_json::Value;

use super::{
    super::{
        reasons::{FOLDS, is_other},
        template::{OptIn, mark, needs_of, same_but_for_the_mark},
    },
    Observer, Watched, name,
};

impl Observer {
    pub(super) fn written(
        &mut self,
        revision: u64,
        watched: &mut Watched,
        before: &Arc<Value>,
        after: &Arc<Value>,
    ) {
        if before["spec"]["template"] == after["spec"]["template"] {
            return;
        }
        if OptIn::of(before) != OptIn::No
            && OptIn::of(after) == OptIn::No
            && same_but_for_the_mark(before, after)
        {
            self.wrongs.push(format!(
                "opting out changes the template of {}",
                name(after)
            ));
        }
        watched.templates = [revision, watched.templates[0]];
        (watched.first_pod, watched.first_pod_at) = (None, None);
        watched.restarted_last = !self.people.contains(&revision);
        // The webhook of an installation leaves alone what another one has.
        // Where there is no room it writes nothing.
        let unseen = self.unseen.contains(&revision) || watched.of_another || watched.full;
        let fresh = mark(after).is_some_and(|mark| watched.marks.insert(mark.to_owned()));
        if same_but_for_the_mark(before, after) {
            if unseen || !fresh {
                if unseen {
                    watched.allowed += 1;
                } else if self.people.contains(&revision)
                    && [before, after]
                        .iter()
                        .all(|object| OptIn::of(object) != OptIn::No)
                {
                    let name = name(after);
                    self.wrongs
                        .push(format!("a user's write takes back the mark of {name}"));
                } else if mark(before) != mark(after) && !self.people.contains(&revision) {
                    let name = name(after);
                    self.wrongs
                        .push(format!("a mark is used again to restart {name}"));
                }
                return;
            }
            watched.restarts += 1;
            self.count(&name(after), watched);
            if watched.lacks {
                let name = name(after);
                self.wrongs
                    .push(format!("{name} is restarted though its pods cannot start"));
            }
            return;
        }
        if unseen && mark(before) != mark(after) {
            // reroll cannot tell then which pods are new, and restarts once more.
            watched.allowed += 1;
        }
        watched.lacks = false;
        let old = needs_of(before);
        // There is no room to remember so much that is dropped. Known: what is dropped beside a fold is news, too.
        watched.drops_more |= old.len() > FOLDS || needs_of(after).len() > FOLDS;
        for need in &old {
            let version = self.sources.get(&need.source).cloned();
            watched.dropped.insert(need.source.clone(), version);
        }
        if self.calm.is_none() && [before, after].iter().any(|it| needs_of(it).len() > FOLDS) {
            // Known: a webhook that has missed a change, and can read nothing, folds other sources than before as it knows
            // them, and the leader restarts for what it has missed once more.
            watched.allowed += 1;
        }
        let unseen = if unseen {
            self.unseen_gains(watched, &name(after))
        } else {
            Unseen::Nothing
        };
        self.gained(watched, &old, after, unseen);
    }

    /// Returns what may be news of what a template gains that the webhook did not see.
    fn unseen_gains(&self, watched: &mut Watched, workload: &str) -> Unseen {
        // Where a template went unseen before, or history went back, nobody knows what older pods have.
        let doubtful =
            std::mem::replace(&mut watched.unseen, true) || watched.spare > 0 || watched.unnoticed;
        let own = self.pods.values().filter(|pod| pod.workload == workload);
        match own.map(|pod| pod.made).min() {
            Some(oldest) if !doubtful => Unseen::Since(oldest),
            _ => Unseen::Whole,
        }
    }

    /// What a template gains is a reason to restart where it changed since a template had it.
    pub(super) fn gained(
        &mut self,
        watched: &mut Watched,
        old: &[Need],
        after: &Arc<Value>,
        unseen: Unseen,
    ) {
        for need in needs_of(after) {
            if old.contains(&need) {
                continue;
            }
            let live = self.sources.get(&need.source);
            let changed = watched.dropped.get(&need.source).is_some_and(|dropped| {
                is_other(dropped.as_deref(), live.map(|it| &**it), need.keys.as_ref())
            });
            let unseen = match unseen {
                Unseen::Nothing => false,
                Unseen::Whole => true,
                Unseen::Since(oldest) => live.is_none_or(|live| revision_of(live) > oldest),
            };
            // Known: a webhook that has missed a change, and can read nothing, takes the source as it knows it, and the leader
            // restarts for what it has missed once more.
            let missed = live
                .zip(self.disturbed)
                .is_some_and(|(live, since)| revision_of(live) > since);
            if changed || unseen || missed || watched.drops_more {
                watched.allowed += 1;
            }
        }
    }
}

/// What of a template the webhook did not see.
#[derive(Clone, Copy)]
pub(super) enum Unseen {
    Nothing,
    /// What it gains is news where it was written since the oldest pod was made, which was at this revision.
    Since(u64),
    Whole,
}

fn revision_of(object: &Value) -> u64 {
    let revision = object["metadata"]["resourceVersion"].as_str();
    revision
        .and_then(|text| text.parse().ok())
        .unwrap_or(u64::MAX)
}
