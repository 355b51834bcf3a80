//! The observer: which changes there were, and which restarts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use reroll_simulation::{
    api_server::{ApiServer, Written},
    nodes::{Need, Source, SourceKind, Started, Version, needs},
};
use serde_json::Value;

use super::{
    reasons::{Change, FOLDS, is_other},
    recorded::{advances, changes_of_others, key_id, recorded, spoken, wrong},
    template::{OptIn, mark, mark_of, needs_of, same_but_for_the_mark},
};
use crate::world::{IGNORE, KEY, NAMESPACE, NOTES, OPT_IN};

/// The starts of the containers of pods, by the pod's uid.
pub(crate) type Starts = BTreeMap<String, Vec<Started>>;

const OBSERVED: &str = "reroll.dev/observed";
const SUSPEND: &str = "reroll.dev/suspend";

/// What the observer knows of a workload.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "what it knows, one by one")]
struct Watched {
    live: Option<Arc<Value>>,
    /// As it was last, also where it is gone.
    last: Option<Arc<Value>>,
    /// When everybody was at rest, nothing held it up.
    done: bool,
    /// How often something changed for which it may be restarted.
    allowed: usize,
    /// How often something changed for which it would be restarted if it had opted in for it.
    unheard: usize,
    /// What was recorded when its opt-in last changed.
    recorded: Option<Value>,
    /// What reroll recorded last.
    by_reroll: Option<String>,
    /// How often it was restarted.
    restarts: usize,
    /// How often it may be restarted because etcd was restored, and reroll did not know yet.
    spare: usize,
    /// That was without another revision. Then watches may go on, and reroll finds what is lost when it reads it.
    unnoticed: bool,
    /// Something that its pods cannot start without is away, and everybody had the time to know.
    lacks: bool,
    /// Its template dropped more than can be remembered, since everybody was at rest.
    drops_more: bool,
    /// The webhook did not see one of its templates, since everybody was at rest.
    unseen: bool,
    /// It has had no room for what reroll writes, since everybody was at rest.
    full: bool,
    /// The revisions of the last write of its template, and of the one before.
    templates: [u64; 2],
    /// That was a restart.
    restarted_last: bool,
    /// The first pod that was made since.
    first_pod: Option<String>,
    /// The marks that its template has had.
    marks: BTreeSet<String>,
    /// It has opted in, and nothing is recorded for that yet.
    awaits: bool,
    /// What its template dropped, as it was then.
    dropped: BTreeMap<Source, Option<Arc<Value>>>,
    /// It goes, and its pods stay.
    leaves_pods: bool,
    /// There may be pods that it can adopt, since everybody was at rest.
    orphans: bool,
    /// Another installation than the first wrote what was last recorded.
    of_another: bool,
}

/// What the observer knows of a pod.
struct Pod {
    /// The revision of its creation.
    made: u64,
    workload: String,
    needs: Vec<Need>,
    mark: Option<String>,
}

/// Reads all writes in their order.
#[derive(Default)]
pub(crate) struct Observer {
    revision: u64,
    sources: BTreeMap<Source, Arc<Value>>,
    /// As they were last, of those that are away.
    away: BTreeMap<Source, Arc<Value>>,
    workloads: BTreeMap<String, Watched>,
    pods: BTreeMap<String, Pod>,
    /// Pods that need not have what is there now: it changed before their workload was adopted.
    excused: BTreeSet<(String, Source)>,
    /// Values that were there for a moment.
    brief: BTreeSet<String>,
    /// The revisions of people's writes.
    people: BTreeSet<u64>,
    /// Those that the webhook did not see.
    unseen: BTreeSet<u64>,
    /// The revisions of the deletions of sources, by their uid.
    gone: BTreeMap<String, u64>,
    /// The sources that a machine has made.
    machine_made: BTreeSet<Source>,
    /// The sources that were ignored once, as `observed` has their names.
    once_ignored: BTreeSet<String>,
    /// The id of the first digest key that `observed` was written with.
    first_key: Option<String>,
    /// The revision at which everybody was at rest, if nothing was wrong since.
    calm: Option<u64>,
    wrongs: Vec<String>,
}

impl Observer {
    /// Takes note that something goes wrong from now on.
    pub(crate) fn is_disturbed(&mut self) {
        self.calm = None;
    }

    /// Whether a pod was made when the source of this uid was deleted already.
    pub(crate) fn is_later(&self, pod: &str, uid: &str) -> bool {
        let made = self.pods.get(pod).map(|pod| pod.made);
        self.gone.get(uid).is_some_and(|gone| made > Some(*gone))
    }

    /// Whether reroll has to tell that a pod has the old data of this immutable object: it restarted the workload for what
    /// came after it, and could see all that.
    pub(crate) fn must_tell(&self, uid: &str, source: &str) -> bool {
        let (Some(calm), Some(gone)) = (self.calm, self.gone.get(source)) else {
            return false;
        };
        let Some(pod) = self.pods.get(uid) else {
            return false;
        };
        let Some(watched) = self.workloads.get(&pod.workload) else {
            return false;
        };
        let [last, before] = watched.templates;
        let in_turn = [calm, *gone, last, pod.made].is_sorted() && before < *gone;
        // One that was made after the rollout is not told of.
        watched.restarted_last && watched.first_pod.as_deref() == Some(uid) && in_turn
    }

    /// Whether a machine has made a source.
    pub(crate) fn is_machine_made(&self, source: &Source) -> bool {
        self.machine_made.contains(source)
    }

    /// Returns a source as it is, if it is there.
    pub(crate) fn live(&self, source: &Source) -> Option<&Arc<Value>> {
        self.sources.get(source)
    }

    pub(crate) fn take_wrongs(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wrongs)
    }

    /// Whether a pod need not have what a source is now.
    pub(crate) fn excuses(&self, pod: &str, source: &Source) -> bool {
        self.excused.contains(&(pod.to_owned(), source.clone()))
    }

    /// Takes note of an old `observed` that somebody wrote around the webhook. A process that was not there when it was
    /// replaced believes it.
    pub(crate) fn forged(&mut self, workload: &str) {
        if self.calm.is_none()
            && let Some(watched) = self.workloads.get_mut(workload)
        {
            watched.allowed += 1;
        }
    }

    /// Takes note that a workload is deleted without its pods.
    pub(crate) fn leaves_pods(&mut self, workload: &str) {
        if let Some(watched) = self.workloads.get_mut(workload) {
            watched.leaves_pods = true;
            watched.orphans = true;
        }
    }

    /// Takes note that `observed` went before reroll had read it.
    pub(crate) fn adopts_again(&mut self, workload: &str) {
        if let Some(watched) = self.workloads.get_mut(workload) {
            watched.awaits = true;
        }
    }

    /// Takes note of a value that is taken back soon: a container that starts meanwhile may keep it.
    pub(crate) fn is_brief(&mut self, value: String) {
        self.brief.insert(value);
    }

    /// Whether what a pod has was there for a moment only.
    pub(crate) fn was_brief(&self, version: &Version) -> bool {
        let data = version.data();
        data.get(KEY)
            .is_some_and(|value| self.brief.contains(*value))
    }

    /// Takes note of a write of a person, and of whether the webhook was asked about it.
    pub(crate) fn person_wrote(&mut self, revision: u64, seen: bool) {
        self.people.insert(revision);
        if !seen {
            self.unseen.insert(revision);
        }
    }

    /// Reads what was written since the last time.
    pub(crate) fn catch_up(&mut self, server: &ApiServer, starts: &Starts) {
        let written = server.written_since(self.revision);
        let Some(written) = written else {
            return self.begin_anew(server, true);
        };
        for one in written {
            self.revision = one.revision;
            self.read(&one, starts);
        }
    }

    /// Everything is done that can be: what changed until now is no reason for a restart any more, unless something holds it.
    /// `calm`: nothing goes wrong from now on, as far as anybody knows.
    pub(crate) fn rested(&mut self, calm: bool) {
        self.calm = calm.then_some(self.revision);
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
            let lost = |need: &Need| self.away.contains_key(&need.source);
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

    /// Whether nothing held a workload up when everybody was at rest.
    pub(crate) fn is_done(&self, workload: &str) -> bool {
        let watched = self.workloads.get(workload);
        watched.is_some_and(|watched| watched.done)
    }

    /// Reads all that is there, where history went back. What is another thing now counts as changed.
    pub(crate) fn begin_anew(&mut self, server: &ApiServer, bumped: bool) {
        self.revision = server.revision();
        self.calm = None;
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
        self.pods.clear();
        for (resource, object) in &all {
            match *resource {
                "pods" => self.pod(self.revision, None, Some(object)),
                "secrets" | "configmaps" => {
                    self.source(resource, None, Some(object));
                }
                _ => {
                    let watched = self.workloads.entry(name(object)).or_default();
                    watched.live = Some(Arc::clone(object));
                    watched.allowed += 1;
                    watched.spare = 1;
                    watched.unnoticed = !bumped;
                    watched.lacks = false;
                    watched.by_reroll = None;
                    watched.marks = mark(object).map(ToOwned::to_owned).into_iter().collect();
                }
            }
        }
    }

    fn read(&mut self, one: &Written, starts: &Starts) {
        let (before, after) = (one.before.as_ref(), one.after.as_ref());
        let object = after.or(before);
        if object.is_none_or(|object| object["metadata"]["namespace"] != NAMESPACE) {
            return;
        }
        match one.resource.as_str() {
            "secrets" | "configmaps" => {
                let was =
                    object.and_then(|object| self.away.get(&source_of(&one.resource, object)));
                let was = before.or(was).cloned();
                self.source(&one.resource, before, after);
                self.counts_again(&one.resource, was.as_ref(), after, starts);
            }
            "deployments.apps" | "statefulsets.apps" | "daemonsets.apps" => {
                self.workload(one.revision, before, after, starts);
            }
            "pods" => self.pod(one.revision, before, after),
            _ => {}
        }
    }

    fn source(&mut self, resource: &str, before: Option<&Arc<Value>>, after: Option<&Arc<Value>>) {
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
                    self.gone
                        .insert(text(&gone["metadata"]["uid"]), self.revision);
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
                    way: reroll_simulation::nodes::Way::Environment,
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
                } else if workload.is_some_and(|it| OptIn::of(it).has(&source)) {
                    watched.allowed += 1;
                } else {
                    watched.unheard += 1;
                }
                if !watched.awaits && after.is_some() {
                    for (uid, _) in pods {
                        self.excused.remove(&(uid.clone(), source.clone()));
                    }
                }
            }
        }
    }

    /// A source that counts again, and is as it was or made again, is adopted as it is.
    fn counts_again(
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

    fn pod(&mut self, revision: u64, before: Option<&Arc<Value>>, after: Option<&Arc<Value>>) {
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
            && watched.first_pod.is_none()
            && watched
                .live
                .as_ref()
                .is_some_and(|live| mark(live) == mark_of(object))
        {
            watched.first_pod = Some(uid.clone());
        }
        self.pods.entry(uid).or_insert_with(|| Pod {
            made: revision,
            workload,
            needs: needs(&object["spec"]),
            mark: mark_of(object).map(ToOwned::to_owned),
        });
    }

    fn workload(
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
        watched.full |= object["metadata"]["annotations"][NOTES].is_string();
        match (before, after) {
            (Some(before), Some(after)) => {
                self.written(revision, &mut watched, before, after);
                if !self.people.contains(&revision) {
                    self.wrongs.extend(changes_of_others(before, after));
                }
            }
            (None, Some(after)) => {
                // What it lacks by its new template, everybody has yet to see.
                watched.lacks = false;
                let unheard = std::mem::take(&mut watched.unheard);
                let adopts = watched.orphans || watched.spare > 0 || watched.unnoticed;
                if adopts {
                    // What the pods have that it may adopt counts, whatever it had opted in for before.
                    watched.allowed += unheard;
                }
                self.remade(revision, &mut watched, after, &name);
                watched.marks.extend(mark(after).map(ToOwned::to_owned));
                if adopts {
                    self.gained(&mut watched, &[], after, Unseen::Whole);
                }
            }
            _ => {}
        }
        let words = |object: Option<&Arc<Value>>| {
            object.map(|it| it["metadata"]["annotations"][OPT_IN].clone())
        };
        let opts_in = after.is_some_and(|after| OptIn::of(after) != OptIn::No);
        let made_unseen = before.is_none() && self.unseen.contains(&revision);
        if made_unseen && opts_in {
            watched.awaits = true;
        }
        if before.is_some() && opts_in && words(before) != words(after) {
            watched.awaits = true;
            // What it has not opted in for, reroll does not look at.
            watched.lacks = false;
            if before.is_some_and(|before| OptIn::of(before) == OptIn::No) {
                // What changed before is no reason to restart.
                watched.allowed = watched.allowed.min(watched.restarts + watched.spare);
            }
            // reroll need not have seen that it had opted out, where what it recorded stayed.
            let stayed = watched.recorded.is_some()
                && watched.recorded == before.map(|before| recorded(before).clone());
            if stayed {
                watched.allowed += watched.unheard;
            }
            if after.is_some_and(|after| needs_of(after).len() > FOLDS) {
                watched.allowed += 1;
            }
        }
        if let Some(after) = after
            && words(before) != words(Some(after))
        {
            watched.unheard = 0;
            let unseen = self.calm.is_none() || self.unseen.contains(&revision);
            let stays = Some(recorded(after)).filter(|it| unseen && it.is_string());
            watched.recorded = stays.cloned();
        }
        if let Some(after) = after
            && before.is_none_or(|before| recorded(before) != recorded(after))
        {
            self.wrongs.extend(wrong(after, &self.sources));
        }
        self.advanced(revision, &mut watched, before, after);
        watched.live = after.cloned();
        if after.is_some() {
            watched.last = after.cloned();
        }
        if watched.awaits
            && !made_unseen
            && let Some(after) = after
            && after["metadata"]["annotations"][OBSERVED].is_string()
            && (before.is_none_or(|before| {
                before["metadata"]["annotations"][OBSERVED]
                    != after["metadata"]["annotations"][OBSERVED]
            }))
        {
            watched.awaits = false;
            self.excuse(&mut watched, &name, starts);
        }
        let keys = [before, after].map(|object| object.and_then(|object| key_id(object)));
        if let [Some(old), Some(new)] = &keys
            && old != new
        {
            // Nobody can compare what was digested with another key.
            self.excuse(&mut watched, &name, starts);
        }
        if let [_, Some(key)] = keys {
            watched.of_another = *self.first_key.get_or_insert_with(|| key.clone()) != key;
        }
        self.workloads.insert(name, watched);
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
            return;
        };
        if before.is_some_and(|before| recorded(before) == recorded(after)) {
            return;
        }
        // What people write through the status is none of reroll's.
        let by_a_person = self.people.contains(&revision)
            && before.is_some_and(|before| before["spec"] == after["spec"]);
        if by_a_person {
            return;
        }
        let doubtful = watched.awaits || watched.spare > 0 || watched.unnoticed;
        if !doubtful && let Some(old) = &watched.by_reroll {
            let wrong = advances(old, after, &self.once_ignored);
            self.wrongs.extend(wrong);
        }
        watched.by_reroll = Some(text.to_owned());
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

    fn count(&mut self, name: &str, watched: &Watched) {
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
        for (uid, _) in own {
            let Some(started) = starts.get(uid).and_then(|all| all.last()) else {
                continue;
            };
            for ((source, _), version) in &started.versions {
                let live = self.sources.get(source);
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

    fn written(
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
        watched.first_pod = None;
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
    fn gained(&mut self, watched: &mut Watched, old: &[Need], after: &Arc<Value>, unseen: Unseen) {
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
            if changed || unseen || watched.drops_more {
                watched.allowed += 1;
            }
        }
    }
}

/// What of a template the webhook did not see.
#[derive(Clone, Copy)]
enum Unseen {
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

pub(super) fn is_ignored(object: &Value) -> bool {
    object["metadata"]["annotations"][IGNORE] == "true"
}

fn source_of(resource: &str, object: &Value) -> Source {
    let kind = if resource == "secrets" {
        SourceKind::Secret
    } else {
        SourceKind::ConfigMap
    };
    let name = name(object);
    Source { kind, name }
}

fn name(object: &Value) -> String {
    text(&object["metadata"]["name"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
