//! What everybody at rest, and a history that went back, mean for what is known.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use reroll_simulation::{api_server::ApiServer, nodes::Need};

use super::{
    super::{
        reasons::FOLDS,
        recorded::recorded,
        template::{OptIn, mark, needs_of},
    },
    Calm, Observer, SUSPEND, is_ignored, name, source_of, text,
};
use crate::world::{KEY, NOTES, ON_DELETE};

impl Observer {
    /// Everything is done that can be: what changed until now is no reason for a restart any more, unless something holds it.
    /// `calm`: nothing goes wrong from now on, as far as anybody knows.
    pub(crate) fn rested(&mut self, calm: bool) {
        let to = self.revision;
        let over = self.calm.map(|from| Calm { from, to });
        self.calm_before = over;
        self.calm = calm.then_some(to);
        self.disturbed = (!calm).then_some(to);
        for watched in self.workloads.values_mut() {
            let Some(live) = &watched.live else { continue };
            let opted_in = OptIn::of(live);
            // reroll does not look at what is ignored or not opted in for, and does not know that it is away.
            let lacks = |need: &Need| {
                let away = self.away.get(&need.source);
                let counts = opted_in.has(&need.source) && !need.optional;
                counts && away.is_some_and(|away| !is_ignored(away))
            };
            let is_away = |need: &Need| !need.optional && self.away.contains_key(&need.source);
            watched.lacks = needs_of(live).iter().any(lacks);
            // The first installation waits for the other one, which may be gone.
            let restarts = live["metadata"]["annotations"][ON_DELETE] == "restart";
            let lost =
                |need: &Need| self.away.contains_key(&need.source) && !(restarts && need.optional);
            let folds = needs_of(live).len() > FOLDS;
            let is_held = watched.of_another
                || needs_of(live).iter().any(is_away)
                // A process that begins anew takes what a fold lacks for a change.
                || folds && needs_of(live).iter().any(lost)
                || live["spec"]["paused"] == true
                || live["metadata"]["annotations"][SUSPEND] == "true";
            if !watched.unnoticed {
                watched.spare = 0;
            }
            watched.unless_disturbed = 0;
            watched.filled = false;
            watched.full &= live["metadata"]["annotations"][NOTES].is_string();
            watched.done = !is_held && !watched.full && !watched.unnoticed;
            if !is_held && !watched.full {
                watched.unseen = false;
                watched.drops_more = false;
                watched.orphans = false;
                watched.allowed = watched.restarts + watched.spare;
            }
        }
    }

    /// Reads all that is there, where history went back. What is another thing now counts as changed.
    pub(crate) fn begin_anew(&mut self, server: &ApiServer, bumped: bool) {
        self.revision = server.revision();
        (self.calm, self.calm_before) = (None, None);
        self.disturbed = Some(0);
        // What was adopted by then is adopted again, whatever came after it.
        let excused = self.excused_then.iter().cloned();
        self.excused.extend(excused);
        // Pods may run with what is lost, and nobody can tell.
        let lost = self
            .sources
            .values()
            .filter_map(|object| object["data"][KEY].as_str());
        let lost: Vec<_> = lost.map(ToOwned::to_owned).collect();
        let mut all = Vec::new();
        for resource in [
            "secrets",
            "configmaps",
            "deployments.apps",
            "statefulsets.apps",
            "daemonsets.apps",
            "pods",
        ] {
            let objects = server.objects(resource);
            all.extend(objects.into_iter().map(|object| (resource, object)));
        }
        let live = all
            .iter()
            .filter_map(|(_, object)| object["data"][KEY].as_str());
        let live: BTreeSet<_> = live.collect();
        let lost = lost
            .into_iter()
            .filter(|value| !live.contains(value.as_str()));
        self.brief.extend(lost);
        let there: BTreeSet<_> = all
            .iter()
            .filter(|(resource, _)| ["secrets", "configmaps"].contains(resource))
            .map(|(resource, object)| source_of(resource, object))
            .collect();
        for (source, gone) in self.sources.clone() {
            if !there.contains(&source) {
                self.sources.remove(&source);
                self.away.insert(source, gone);
            }
        }
        let marks = marks_of_history(server);
        self.pods.clear();
        for (resource, object) in &all {
            match *resource {
                "pods" => self.pod(self.revision, None, Some(object)),
                "secrets" | "configmaps" => {
                    self.source(resource, None, Some(object));
                }
                _ => {
                    let name = name(object);
                    // What a person goes back to is no restart.
                    let marks = marks.get(&name).into_iter().flatten();
                    let marks = marks.cloned().chain(mark(object).map(ToOwned::to_owned));
                    let marks = marks.collect();
                    let watched = self.workloads.entry(name).or_default();
                    watched.live = Some(Arc::clone(object));
                    watched.allowed += 1;
                    watched.spare = 1;
                    watched.unnoticed = !bumped;
                    watched.lacks = false;
                    // What is not recorded then is adopted.
                    watched.awaits |= !recorded(object).is_string();
                    watched.by_reroll = None;
                    watched.marks = marks;
                }
            }
        }
    }
}

/// Returns the marks of the templates that workloads had before, as far as these are still there, by the workload's name.
fn marks_of_history(server: &ApiServer) -> BTreeMap<String, BTreeSet<String>> {
    let sets = server.objects("replicasets.apps");
    let sets = sets.iter().map(|set| (set, mark(set)));
    let revisions = server.objects("controllerrevisions.apps");
    let revisions = revisions.iter().map(|one| (one, mark(&one["data"])));
    let mut marks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (object, mark) in sets.chain(revisions) {
        let workload = text(&object["metadata"]["labels"]["app"]);
        if let Some(mark) = mark {
            let own = marks.entry(workload).or_default();
            own.insert(mark.to_owned());
        }
    }
    marks
}
