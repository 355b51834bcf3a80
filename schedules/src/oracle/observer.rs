//! The observer: which changes there were, and which restarts.

mod history;
mod sources;
mod templates;
mod workloads;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use reroll_simulation::{
    api_server::{ApiServer, Written},
    nodes::{Need, Source, SourceKind, Started, Version},
};
use serde_json::Value;

use super::{
    reasons::FOLDS,
    recorded::recorded,
    template::{OptIn, mark},
};
use crate::world::{IGNORE, KEY, NAMESPACE};

/// The starts of the containers of pods, by the pod's uid.
pub(crate) type Starts = BTreeMap<String, Vec<Started>>;

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
    /// When each source was last written in keys that it does not read only.
    elsewhere: BTreeMap<Source, u64>,
    /// It opted in for more, unseen by the webhook, and that is not adopted yet.
    widened: Option<Widened>,
    /// What was recorded when its opt-in last changed.
    recorded: Option<Value>,
    /// What reroll recorded last.
    by_reroll: Option<String>,
    /// What a template did not refer to since then: it may be adopted again when no older pod is left.
    without: BTreeSet<String>,
    /// How often something was made again since everybody was at rest that counts only for who does not know what went.
    unless_disturbed: usize,
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
    /// Somebody took that room since everybody was at rest, and reroll has not written since.
    filled: bool,
    /// The revisions of the last write of its template, and of the one before.
    templates: [u64; 2],
    /// That was a restart.
    restarted_last: bool,
    /// The first pod that was made since.
    first_pod: Option<String>,
    /// The second in which that was.
    first_pod_at: Option<String>,
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
    /// It was made over pods since it opted in, and the webhook did not see it.
    made_over_pods: bool,
    /// It is made again next, with no mark, and adopts no pods.
    made_anew: bool,
    /// Another installation than the first wrote what was last recorded.
    of_another: bool,
}

/// An opt-in for more than before.
struct Widened {
    before: OptIn,
    /// What was written in keys that the workload does not read, and counts once even so.
    counted: BTreeSet<Source>,
}

/// What the observer knows of a pod.
struct Pod {
    /// The revision of its creation.
    made: u64,
    /// The second of its creation.
    made_at: String,
    workload: String,
    needs: Vec<Need>,
    mark: Option<String>,
}

/// A time in which nothing was wrong, by the revisions of its two rests.
#[derive(Clone, Copy)]
struct Calm {
    from: u64,
    to: u64,
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
    /// The same when etcd was last backed up.
    excused_then: BTreeSet<(String, Source)>,
    /// Values that were there for a moment.
    brief: BTreeSet<String>,
    /// The revisions of people's writes.
    people: BTreeSet<u64>,
    /// Those that the webhook did not see.
    unseen: BTreeSet<u64>,
    /// The revisions of the deletions of sources, by their uid.
    gone: BTreeMap<String, u64>,
    /// Workloads that had not opted in for a source when it went, with its uid.
    gone_unheard: BTreeSet<(String, String)>,
    /// The sources that a machine has made.
    machine_made: BTreeSet<Source>,
    /// The sources that were ignored once, as `observed` has their names.
    once_ignored: BTreeSet<String>,
    /// The id of the first digest key that `observed` was written with.
    first_key: Option<String>,
    /// Somebody rotates the digest key. What was digested with the one before can be compared.
    is_rotating: bool,
    /// The revision at which everybody was at rest, if nothing was wrong since.
    calm: Option<u64>,
    /// The revision at which something went wrong first since everybody was at rest.
    disturbed: Option<u64>,
    /// From one rest to the next, if nothing was wrong in between: the last such time that is over.
    calm_before: Option<Calm>,
    wrongs: Vec<String>,
}

impl Observer {
    /// Makes one that has seen nothing yet.
    pub(crate) fn new(is_rotating: bool) -> Self {
        Self {
            is_rotating,
            ..Self::default()
        }
    }

    /// Takes note that something goes wrong from now on.
    pub(crate) fn is_disturbed(&mut self) {
        self.calm = None;
        self.disturbed.get_or_insert(self.revision);
        for watched in self.workloads.values_mut() {
            // What went is known only to who saw it.
            watched.allowed += std::mem::take(&mut watched.unless_disturbed);
        }
    }

    /// Whether a pod was made when the source of this uid was deleted already.
    pub(crate) fn is_later(&self, pod: &str, uid: &str) -> bool {
        let made = self.pods.get(pod).map(|pod| pod.made);
        self.gone.get(uid).is_some_and(|gone| made > Some(*gone))
    }

    /// Whether reroll has to tell that a pod has the old data of this immutable object: it restarted the workload for what
    /// came after it, and could see all that.
    pub(crate) fn must_tell(&self, uid: &str, source: &str) -> bool {
        let Some(gone) = self.gone.get(source) else {
            return false;
        };
        let Some(pod) = self.pods.get(uid) else {
            return false;
        };
        let Some(watched) = self.workloads.get(&pod.workload) else {
            return false;
        };
        let unheard = (pod.workload.clone(), source.to_owned());
        if self.gone_unheard.contains(&unheard) {
            // What came after it is all that the workload was adopted with.
            return false;
        }
        if pod.needs.len() > FOLDS {
            // Which of its many sources changed, nobody knows.
            return false;
        }
        let [last, before] = watched.templates;
        let is_calm = self.calm.is_some_and(|calm| calm <= *gone);
        // What was restarted in such a time was told in it. What came later was, if nothing was wrong since.
        let was_calm = self.calm_before.is_some_and(|before| {
            let goes_on = self.calm == Some(before.to);
            before.from <= *gone && (goes_on || pod.made <= before.to)
        });
        let calm = is_calm || was_calm;
        let in_turn = calm && [*gone, last, pod.made].is_sorted() && before < *gone;
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

    /// Whether a source is ignored, or was when it went.
    pub(crate) fn ignores(&self, source: &Source) -> bool {
        let last = self.sources.get(source).or(self.away.get(source));
        last.is_some_and(|last| is_ignored(last))
    }

    pub(crate) fn take_wrongs(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wrongs)
    }

    /// Whether a pod need not have what a source is now.
    pub(crate) fn excuses(&self, pod: &str, source: &Source) -> bool {
        self.excused.contains(&(pod.to_owned(), source.clone()))
    }

    /// Takes note that a backup of etcd is made.
    pub(crate) fn backed_up(&mut self) {
        self.excused_then.clone_from(&self.excused);
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

    /// Takes note that a workload is made next whose template has no mark, and which adopts no pods.
    pub(crate) fn is_made_anew(&mut self, workload: &str) {
        if let Some(watched) = self.workloads.get_mut(workload) {
            let may_adopt = watched.orphans || watched.spare > 0 || watched.unnoticed;
            watched.made_anew = !may_adopt;
        }
    }

    /// Takes note that `observed` went before reroll had read it.
    pub(crate) fn adopts_again(&mut self, workload: &str) {
        if let Some(watched) = self.workloads.get_mut(workload) {
            watched.awaits = true;
        }
    }

    /// Takes note that a process began after `observed` went. Where the template has its mark, that looks to it as if a user
    /// had opted out and in again.
    pub(crate) fn may_be_adopted_again(&mut self, workload: &str) {
        if let Some(watched) = self.workloads.get_mut(workload)
            && watched.live.as_ref().is_some_and(|it| mark(it).is_some())
        {
            watched.awaits = true;
        }
    }

    /// Whether etcd went back since everybody was at rest. What reroll remembers may be of another workload of that name.
    pub(crate) fn is_restored(&self, workload: &str) -> bool {
        let watched = self.workloads.get(workload);
        watched.is_some_and(|watched| watched.spare > 0)
    }

    /// Whether this is recorded of a workload; null for nothing.
    pub(crate) fn is_recorded(&self, workload: &str, text: &Value) -> bool {
        let live = self.workloads.get(workload).and_then(|it| it.live.as_ref());
        live.is_some_and(|live| recorded(live) == text)
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

    /// Whether nothing held a workload up when everybody was at rest.
    pub(crate) fn is_done(&self, workload: &str) -> bool {
        let watched = self.workloads.get(workload);
        watched.is_some_and(|watched| watched.done)
    }

    fn read(&mut self, one: &Written, starts: &Starts) {
        let (before, after) = (one.before.as_ref(), one.after.as_ref());
        let object = after.or(before);
        if object.is_none_or(|object| object["metadata"]["namespace"] != NAMESPACE) {
            return;
        }
        match one.resource {
            "secrets" | "configmaps" => {
                let was = object.and_then(|object| self.away.get(&source_of(one.resource, object)));
                let was = before.or(was).cloned();
                self.source(one.resource, before, after);
                self.counts_again(one.resource, was.as_ref(), after, starts);
            }
            "deployments.apps" | "statefulsets.apps" | "daemonsets.apps" => {
                self.workload(one.revision, before, after, starts);
            }
            "pods" => self.pod(one.revision, before, after),
            _ => {}
        }
    }
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
