//! Writes of workloads, as wholes.

use std::{collections::BTreeSet, sync::Arc};

use reroll_simulation::nodes::Source;
use serde_json::Value;

use super::{
    super::{
        reasons::FOLDS,
        recorded::{Room, advances, changes_of_others, key_id, recorded, spoken, wrong},
        template::{OptIn, mark, needs_of, same_but_for_the_mark},
    },
    Observer, Starts, Watched, Widened, name,
    templates::Unseen,
};
use crate::world::{NOTES, ON_DELETE, OPT_IN};

impl Observer {
    pub(super) fn workload(
        &mut self,
        revision: u64,
        before: Option<&Arc<Value>>,
        after: Option<&Arc<Value>>,
        starts: &Starts,
    ) {
        let Some(object) = after.or(before) else {
            return;
        };
        let name = name(object);
        let mut watched = self.workloads.remove(&name).unwrap_or_default();
        watched.full |= is_full(object);
        watched.filled |=
            after.is_some_and(|it| is_full(it)) && !before.is_some_and(|it| is_full(it));
        match (before, after) {
            (Some(before), Some(after)) => {
                self.written(revision, &mut watched, before, after);
                if !self.people.contains(&revision) {
                    self.wrongs.extend(changes_of_others(before, after));
                }
            }
            (None, Some(after)) => self.created(revision, &mut watched, after, &name),
            _ => {}
        }
        self.opts_in(revision, &mut watched, before, after);
        self.asks(&mut watched, before, after);
        if let Some(after) = after
            && before.is_none_or(|before| recorded(before) != recorded(after))
        {
            let by_reroll = !self.people.contains(&revision);
            let filled = by_reroll && std::mem::take(&mut watched.filled);
            // Its first write since then may rest on what it read before, or arrive late. What a person brings back while the
            // webhook is away is not reroll's.
            let brought_back = !by_reroll && self.unseen.contains(&revision);
            let length = |object: &Value| recorded(object).as_str().map_or(0, str::len);
            let shrinks = before.is_some_and(|before| length(after) <= length(before));
            let room = if brought_back || shrinks || filled && self.calm.is_none() {
                Room::MayBeGone
            } else {
                Room::Is
            };
            self.wrongs.extend(wrong(after, &self.sources, room));
        }
        self.advanced(revision, &mut watched, before, after);
        watched.live = after.cloned();
        if let Some(after) = after {
            watched.last = Some(Arc::clone(after));
            self.refers(&mut watched, after);
            self.adopted(revision, &mut watched, before, after, starts);
        }
        self.workloads.insert(name, watched);
    }

    fn created(&mut self, revision: u64, watched: &mut Watched, after: &Arc<Value>, name: &str) {
        // What it lacks by its new template, everybody has yet to see.
        watched.lacks = false;
        let unheard = std::mem::take(&mut watched.unheard);
        if std::mem::take(&mut watched.made_anew) && mark(after).is_some() {
            let what = format!("{name} is made with the mark of pods that are not its own");
            self.wrongs.push(what);
        }
        let adopts = watched.orphans || watched.spare > 0 || watched.unnoticed;
        if adopts {
            // What the pods have that it may adopt counts, whatever it had opted in for before.
            watched.allowed += unheard;
        }
        self.remade(revision, watched, after, name);
        watched.marks.extend(mark(after).map(ToOwned::to_owned));
        if adopts {
            self.gained(watched, &[], after, Unseen::Whole);
        }
    }

    /// What a change of the opt-in makes of the changes of before.
    fn opts_in(
        &self,
        revision: u64,
        watched: &mut Watched,
        before: Option<&Arc<Value>>,
        after: Option<&Arc<Value>>,
    ) {
        let words = |object: &Arc<Value>| object["metadata"]["annotations"][OPT_IN].clone();
        let Some(after) = after.filter(|after| before.map(words) != Some(words(after))) else {
            return;
        };
        let opts_in = OptIn::of(after) != OptIn::No;
        match before {
            None => {
                let unseen = opts_in && self.unseen.contains(&revision);
                watched.awaits |= unseen;
                watched.made_over_pods = unseen && watched.orphans;
            }
            Some(before) if opts_in => {
                watched.awaits = true;
                watched.made_over_pods = false;
                // What it has not opted in for, reroll does not look at.
                watched.lacks = false;
                if OptIn::of(before) == OptIn::No {
                    // What changed before is no reason to restart.
                    watched.allowed = watched.allowed.min(watched.restarts + watched.spare);
                }
                // reroll need not have seen that it had opted out, where what it recorded stayed. Nor does a process know that
                // begins later, and finds only what the revisions say.
                let stayed = watched.recorded.as_ref() == Some(recorded(before));
                if stayed || self.unseen.contains(&revision) {
                    watched.allowed += watched.unheard;
                    self.widened(watched, before, after);
                }
                watched.allowed += usize::from(needs_of(after).len() > FOLDS);
            }
            Some(_) => {}
        }
        watched.unheard = 0;
        let unseen = self.calm.is_none() || self.unseen.contains(&revision);
        let stays = Some(recorded(after)).filter(|it| unseen && it.is_string());
        watched.recorded = stays.cloned();
    }

    /// Which key of a source was written nobody can tell later: only when it was. So what a process finds that begins then counts
    /// as changed where it was written, whatever the key, since the oldest pod was made.
    fn widened(&self, watched: &mut Watched, before: &Value, after: &Value) {
        let (before, now) = (OptIn::of(before), OptIn::of(after));
        let name = name(after);
        let own = self.pods.values().filter(|pod| pod.workload == name);
        let oldest = own.map(|pod| pod.made).min();
        let is_news = |(source, at): &(&Source, &u64)| {
            now.has(source) && !before.has(source) && oldest.is_some_and(|oldest| oldest < **at)
        };
        let news = watched.elsewhere.iter().filter(is_news);
        let counted: BTreeSet<_> = news.map(|(source, _)| source.clone()).collect();
        watched.allowed += counted.len();
        watched.widened = Some(Widened { before, counted });
    }

    /// What is away may restart it from now on, where it asks for that.
    fn asks(&self, watched: &mut Watched, before: Option<&Arc<Value>>, after: Option<&Arc<Value>>) {
        let asks = |object: &Arc<Value>| object["metadata"]["annotations"][ON_DELETE] == "restart";
        let Some(after) = after.filter(|after| asks(after)) else {
            return;
        };
        if before.is_some_and(|before| !asks(before)) {
            let needs = needs_of(after);
            let away = needs
                .iter()
                .filter(|need| self.away.contains_key(&need.source));
            watched.allowed += away.count();
        }
    }

    /// What is recorded anew, or with another key, is taken as it is.
    fn adopted(
        &mut self,
        revision: u64,
        watched: &mut Watched,
        before: Option<&Arc<Value>>,
        after: &Arc<Value>,
        starts: &Starts,
    ) {
        let name = name(after);
        let text = recorded(after);
        let is_new = text.is_string() && before.is_none_or(|before| recorded(before) != text);
        let made_unseen = before.is_none() && self.unseen.contains(&revision);
        if watched.awaits && is_new && !made_unseen {
            watched.awaits = false;
            watched.widened = None;
            self.excuse(watched, &name, starts);
            // What is adopted later has other pods.
            watched.made_over_pods = false;
        }
        let Some(key) = key_id(after).filter(|_| !self.is_rotating) else {
            return;
        };
        if before.is_some_and(|before| key_id(before).is_some_and(|old| old != key)) {
            // Nobody can compare what was digested with another key.
            self.excuse(watched, &name, starts);
        }
        watched.of_another = *self.first_key.get_or_insert_with(|| key.clone()) != key;
    }

    /// Looks whether what reroll records advances without a restart.
    fn advanced(
        &mut self,
        revision: u64,
        watched: &mut Watched,
        before: Option<&Arc<Value>>,
        after: Option<&Arc<Value>>,
    ) {
        let Some(after) = after.filter(|after| OptIn::of(after) != OptIn::No) else {
            watched.by_reroll = None;
            return;
        };
        let Some(text) = recorded(after).as_str() else {
            let rolls = before.is_some_and(|before| !same_but_for_the_mark(before, after));
            if rolls && self.unseen.contains(&revision) {
                // It is adopted with the pods of its new template.
                watched.by_reroll = None;
            }
            return;
        };
        if before.is_some_and(|before| recorded(before) == recorded(after)) {
            return;
        }
        // What people write through the status, or around the webhook, is none of reroll's.
        let by_status = before.is_some_and(|before| {
            before["spec"] == after["spec"] && OptIn::of(before) == OptIn::of(after)
        });
        let by_a_person =
            self.people.contains(&revision) && (by_status || self.unseen.contains(&revision));
        if by_a_person {
            return;
        }
        let doubtful = watched.awaits || watched.spare > 0 || watched.unnoticed;
        if !doubtful && let Some(old) = &watched.by_reroll {
            let mut excused = &self.once_ignored | &watched.without;
            if before.is_some_and(|before| !recorded(before).is_string()) {
                // Times tell what its pods have, and within a second nothing is later.
                excused.extend(self.written_in(watched.first_pod_at.as_deref()));
            }
            self.wrongs.extend(advances(old, after, &excused));
        }
        watched.by_reroll = Some(text.to_owned());
        watched.without.clear();
    }

    /// Returns the sources that were written in this second, as `observed` has their names.
    fn written_in(&self, second: Option<&str>) -> impl Iterator<Item = String> {
        let sources = self.sources.iter();
        let sources = sources.filter(move |(_, live)| second == Some(written_at(live)));
        sources.map(|(source, _)| spoken(source))
    }

    /// Takes note of what a template does not refer to.
    fn refers(&self, watched: &mut Watched, after: &Value) {
        let needs = needs_of(after);
        let known = self.sources.keys().chain(self.away.keys());
        let others = known.filter(|source| needs.iter().all(|need| need.source != **source));
        watched.without.extend(others.map(spoken));
    }

    /// Over the pods of before, a workload that is made again as it was rolls nothing.
    fn remade(&mut self, revision: u64, watched: &mut Watched, after: &Arc<Value>, name: &str) {
        let left = std::mem::take(&mut watched.leaves_pods);
        let Some(last) = &watched.last else { return };
        let mut pods = self.pods.values().filter(|pod| pod.workload == name);
        let has_pods = left && pods.clone().next().is_some();
        // A rollout that did not end goes on with another mark: which pods are of which template nobody knows any more.
        let all_have_it = pods.all(|pod| pod.mark.as_deref() == mark(last));
        if has_pods
            && all_have_it
            && same_but_for_the_mark(last, after)
            && mark(last) != mark(after)
        {
            if self.unseen.contains(&revision) {
                watched.allowed += 1;
            }
            watched.restarts += 1;
            self.count(name, watched);
        }
    }

    pub(super) fn count(&mut self, name: &str, watched: &Watched) {
        let (restarts, allowed) = (watched.restarts, watched.allowed);
        if restarts > allowed && !watched.full {
            let what = format!("{name} is restarted {restarts} times for {allowed} changes");
            self.wrongs.push(what);
        }
    }

    /// Pods of a workload that is adopted need not have what is there now.
    ///
    /// What is away then, nobody knows: when it comes, it restarts.
    fn excuse(&mut self, watched: &mut Watched, workload: &str, starts: &Starts) {
        let own = self.pods.iter().filter(|(_, pod)| pod.workload == workload);
        for (uid, pod) in own {
            let Some(started) = starts.get(uid).and_then(|all| all.last()) else {
                continue;
            };
            for ((source, _), version) in &started.versions {
                let live = self.sources.get(source);
                if watched.made_over_pods && live.is_some_and(|it| written_at(it) > &*pod.made_at) {
                    // Times tell that it has something else.
                    continue;
                }
                if live.is_none() {
                    watched.allowed += 1;
                }
                let same = match (version, live) {
                    (Some(version), Some(live)) => {
                        version.uid() == live["metadata"]["uid"] && version.is_as(live)
                    }
                    (None, None) => true,
                    _ => false,
                };
                if !same {
                    self.excused.insert((uid.clone(), source.clone()));
                }
            }
        }
    }
}

/// Whether people left no room for what reroll writes.
fn is_full(workload: &Value) -> bool {
    workload["metadata"]["annotations"][NOTES].is_string()
}

/// Returns the second in which the data of a source was last written.
fn written_at(source: &Value) -> &str {
    let fields = source["metadata"]["managedFields"].as_array();
    let fields = fields.into_iter().flatten();
    let of_data = fields.filter(|one| one["fieldsV1"]["f:data"].is_object());
    let times = of_data.filter_map(|one| one["time"].as_str());
    times.max().unwrap_or_default()
}
