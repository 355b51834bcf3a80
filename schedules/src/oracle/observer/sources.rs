//! Writes of sources and of pods.

use std::sync::Arc;

use reroll_simulation::nodes::{Need, Way, needs};
use serde_json::Value;

use super::{
    super::{
        reasons::{Change, FOLDS, is_other},
        recorded::spoken,
        template::{OptIn, mark, mark_of, needs_of},
    },
    Observer, Pod, Starts, is_ignored, source_of, text,
};

impl Observer {
    pub(super) fn source(
        &mut self,
        resource: &str,
        before: Option<&Arc<Value>>,
        after: Option<&Arc<Value>>,
    ) {
        let Some(object) = after.or(before) else {
            return;
        };
        let source = source_of(resource, object);
        if object["metadata"]["ownerReferences"].is_array() {
            self.machine_made.insert(source.clone());
        }
        if is_ignored(object) {
            self.once_ignored.insert(spoken(&source));
        }
        let old = self
            .sources
            .get(&source)
            .or(self.away.get(&source))
            .cloned();
        match after {
            Some(after) => {
                if !self.sources.contains_key(&source) {
                    for watched in self.workloads.values_mut() {
                        watched.lacks = false;
                    }
                }
                self.away.remove(&source);
                self.sources.insert(source.clone(), Arc::clone(after));
            }
            None => {
                if let Some(gone) = self.sources.remove(&source) {
                    let uid = text(&gone["metadata"]["uid"]);
                    for (name, watched) in &self.workloads {
                        let live = watched.live.as_deref();
                        if !live.is_some_and(|it| OptIn::of(it).has(&source)) {
                            self.gone_unheard.insert((name.clone(), uid.clone()));
                        }
                    }
                    self.gone.insert(uid, self.revision);
                    self.away.insert(source.clone(), gone);
                }
            }
        }
        let change = Change {
            old: old.as_ref(),
            new: after,
            calm: self.calm.is_some(),
        };
        for (name, watched) in &mut self.workloads {
            let pods = self.pods.iter().filter(|(_, pod)| pod.workload == *name);
            let own = pods.clone().flat_map(|(_, pod)| &pod.needs).cloned();
            let workload = watched.live.as_deref().or(watched.last.as_deref());
            let template = workload.map(needs_of).unwrap_or_default();
            let mut all: Vec<_> = own
                .chain(template)
                .filter(|need| need.source == source)
                .collect();
            if let Some(OptIn::One(one)) = workload.map(OptIn::of)
                && one == source
            {
                // It counts as a whole where nothing of it is read.
                all.push(Need {
                    source: one,
                    keys: None,
                    optional: true,
                    way: Way::Environment,
                });
            }
            let differs =
                |need: &Need| is_other(old.as_deref(), after.map(|it| &**it), need.keys.as_ref());
            // A fold of other sources than before is compared by when each was written, and any write counts.
            let folds = workload.is_some_and(|it| needs_of(it).len() > FOLDS);
            let counted = [old.as_ref(), after].map(|it| it.is_some_and(|it| is_ignored(it)));
            if folds && !all.is_empty() && counted[0] != counted[1] {
                watched.allowed += 1;
            }
            if all.iter().any(differs) {
                let is_reason = workload.is_some_and(|it| change.is_reason(&all, it));
                if !is_reason {
                    // Its pods may go on as they are.
                    let unknown = Change {
                        calm: false,
                        ..change
                    };
                    let counts = workload.is_some_and(|it| unknown.is_reason(&all, it));
                    watched.unless_disturbed += usize::from(counts);
                } else if workload.is_some_and(|it| OptIn::of(it).has(&source)) {
                    watched.allowed += 1;
                } else {
                    watched.unheard += 1;
                }
                // Where content decides, and is the same, pods that need not have it go on as they are.
                if is_reason && !watched.awaits && after.is_some() {
                    for (uid, _) in pods {
                        self.excused.remove(&(uid.clone(), source.clone()));
                    }
                }
            } else if !all.is_empty() && is_other(old.as_deref(), after.map(|it| &**it), None) {
                watched.elsewhere.insert(source.clone(), self.revision);
                let counts = workload.is_some_and(|it| OptIn::of(it).has(&source));
                if let Some(widened) = watched.widened.as_mut().filter(|_| counts)
                    && !widened.before.has(&source)
                {
                    watched.allowed += usize::from(widened.counted.insert(source.clone()));
                }
            }
        }
    }

    /// A source that counts again, and is as it was or made again, is adopted as it is.
    pub(super) fn counts_again(
        &mut self,
        resource: &str,
        before: Option<&Arc<Value>>,
        after: Option<&Arc<Value>>,
        starts: &Starts,
    ) {
        let (Some(before), Some(after)) = (before, after) else {
            return;
        };
        let same = before["metadata"]["uid"] == after["metadata"]["uid"];
        let changed = same && before["data"] != after["data"];
        if !is_ignored(before) || is_ignored(after) || changed {
            return;
        }
        let source = source_of(resource, after);
        for (uid, started) in starts {
            let Some(started) = started.last() else {
                continue;
            };
            let mut own = started.versions.iter();
            let has_it = own.all(|((one, _), version)| {
                *one != source || version.as_ref().is_some_and(|version| version.is_as(after))
            });
            if !has_it {
                self.excused.insert((uid.clone(), source.clone()));
            }
        }
    }

    pub(super) fn pod(
        &mut self,
        revision: u64,
        before: Option<&Arc<Value>>,
        after: Option<&Arc<Value>>,
    ) {
        let Some(object) = after.or(before) else {
            return;
        };
        let uid = text(&object["metadata"]["uid"]);
        if after.is_none() {
            self.pods.remove(&uid);
            return;
        }
        let workload = text(&object["metadata"]["labels"]["app"]);
        if let Some(watched) = self.workloads.get_mut(&workload)
            && before.is_none()
            && watched.first_pod.is_none()
            && watched
                .live
                .as_ref()
                .is_some_and(|live| mark(live) == mark_of(object))
        {
            watched.first_pod = Some(uid.clone());
            watched.first_pod_at = Some(text(&object["metadata"]["creationTimestamp"]));
        }
        self.pods.entry(uid).or_insert_with(|| Pod {
            made: revision,
            made_at: text(&object["metadata"]["creationTimestamp"]),
            workload,
            needs: needs(&object["spec"]),
            mark: mark_of(object).map(ToOwned::to_owned),
        });
    }
}
