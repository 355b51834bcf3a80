//! What must hold, judged by the pods. It shares no code with reroll: it reads annotations as the JSON that they are.

use serde_json::Value;

use crate::{
    api::{OBSERVED, RESTART_ON, annotation, mark_of, uses_of},
    intern::Json,
    learn::version,
    plan::Plan,
    world::{Data, Live, Pod, SOURCES, Set, Source, State},
};

/// More writes of the workload than this: reroll writes without end.
const ENDLESS: u64 = 60;

/// Whether the workload restarts for a source: it uses it, and its opt-in selects it.
pub(crate) fn selects(workload: Option<Json>, source: Source) -> bool {
    let uses = |object: Json| uses_of(&object.value()).uses(source);
    opts_in(workload, source) && workload.is_some_and(uses)
}

/// Whether the opt-in selects a source, whatever the template uses.
pub(crate) fn opts_in(workload: Option<Json>, source: Source) -> bool {
    let Some(object) = workload.map(Json::value) else {
        return false;
    };
    match annotation(&object, RESTART_ON) {
        Some("auto") => true,
        Some("secret/a") => source == Source::A,
        _ => false,
    }
}

impl State {
    /// Takes in that a source is about to change.
    pub(crate) fn changes(&mut self, source: Source) {
        let at = source as usize;
        self.changed[at] = true;
        for set in &mut self.sets {
            if let Some(pod) = &mut set.pod {
                pod.excused[at] = false;
            }
        }
    }

    /// Takes in that a user wrote the workload, which had been `old`, and had selected these.
    pub(crate) fn written(&mut self, old: Option<Json>, before: [bool; 2], admitted: bool) {
        let Some(now) = self.workload.map(Json::value) else {
            return;
        };
        let old = old.map(Json::value);
        // Exception: undone behind the webhook. reroll cannot tell which pods are new, and restarts.
        let own = |object: &Value| {
            let mark = mark_of(&object["spec"]["template"]).to_owned();
            (mark, annotation(object, OBSERVED).map(ToOwned::to_owned))
        };
        let moved = old.as_ref().is_some_and(|old| own(old) != own(&now));
        self.mark_moved |= moved && !admitted;
        for source in SOURCES {
            let at = source as usize;
            let gains = opts_in(self.workload, source) && !before[at];
            // The pods of now are adopted as they are.
            self.adopting[at] |= gains && !admitted;
            if gains {
                let live = self.live(source);
                for set in &mut self.sets {
                    if let Some(pod) = &mut set.pod
                        && pod.has[at].is_some()
                    {
                        pod.excused[at] = pod.has[at] != live;
                    }
                }
            }
        }
        if admitted {
            self.advanced();
        }
    }

    /// Takes in that reroll is about to restart the workload.
    pub(crate) fn restarts(&mut self) {
        let changed = self.changed.contains(&true);
        self.needless |= !changed && !self.mark_moved;
        self.mark_moved &= changed;
    }

    /// Takes in that `observed` may have advanced.
    pub(crate) fn advanced(&mut self) {
        for source in SOURCES {
            self.adopting[source as usize] &= self.claimed(source).is_none();
            let live = self.live(source);
            if live.is_some() && self.claimed(source) == live {
                self.changed[source as usize] = false;
            }
        }
    }

    /// Returns what `observed` says that pods have of a source.
    fn claimed(&self, source: Source) -> Option<Data> {
        let object = self.workload?.value();
        let observed: Value = serde_json::from_str(annotation(&object, OBSERVED)?).ok()?;
        let name = match source {
            Source::A => "secret/a",
            Source::B => "configmap/b",
        };
        let entry = &observed["s"][name];
        let digest = entry["d"]["k"].as_str().unwrap_or_default();
        claim(source, entry["u"].as_str()?, digest)
    }

    /// Exception: adopted late. A source changes between the opt-in and the adoption, while the webhook is away, and the
    /// leader loses what it knows, or its watch of sources is ahead of that of workloads.
    pub(crate) fn adopts_late(&mut self, source: Source) {
        let at = source as usize;
        if !self.adopting[at] || !self.changed[at] {
            return;
        }
        let live = self.live(source);
        for pod in self.sets.iter_mut().filter_map(|set| set.pod.as_mut()) {
            pod.excused[at] = pod.has[at].is_some() && pod.has[at] != live;
        }
    }

    /// reroll comes to an end.
    pub(crate) fn ends(&self) -> bool {
        let Some(object) = self.workload.map(Json::value) else {
            return true;
        };
        let revision = object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default();
        revision.parse::<u64>().unwrap_or_default() < ENDLESS
    }

    /// Every pod has the live version of every source that counts, or the workload waits for one that is absent.
    pub(crate) fn pods_are_up_to_date(&self) -> bool {
        let missing = self.replicas[usize::from(self.leader)].view.missing();
        if self.waits() {
            // The reason is true, and it is said.
            return SOURCES
                .into_iter()
                .all(|one| !self.lacks(one) || missing.contains(&one));
        }
        let behind = |source: Source| {
            let counts = selects(self.workload, source);
            counts
                && self.pods().any(|pod| {
                    let has = pod.has[source as usize];
                    has != self.live(source) && !pod.excused[source as usize]
                })
        };
        !SOURCES.into_iter().any(behind)
    }

    /// Whether new pods could not start for want of this source, and the opt-in selects it.
    fn lacks(&self, source: Source) -> bool {
        selects(self.workload, source) && self.live(source).is_none()
    }

    fn waits(&self) -> bool {
        SOURCES.into_iter().any(|source| self.lacks(source))
    }

    fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.sets.iter().filter_map(|set| set.pod.as_ref())
    }

    /// `observed` claims of no pod what it does not have.
    pub(crate) fn observed_is_true(&self) -> bool {
        let Some(object) = self.workload.map(Json::value) else {
            return true;
        };
        let Some(text) = annotation(&object, OBSERVED) else {
            return true;
        };
        let observed: Value = serde_json::from_str(text).unwrap();
        let mark = mark_of(&object["spec"]["template"]);
        if observed["rf"] != mark {
            return true;
        }
        // Exception: waiting. While something is absent nothing is recorded. What changed meanwhile stays pending, and pods may
        // have started with it.
        if self.waits() {
            return true;
        }
        // Pods of an older template are replaced, or come back under another mark.
        let template = Json::of(&object["spec"]["template"]);
        let is_true = |source: Source| {
            let Some(claimed) = self.claimed(source) else {
                return true;
            };
            let of_template = |set: &&Set| set.template == template;
            let mut pods = self
                .sets
                .iter()
                .filter(of_template)
                .filter_map(|set| set.pod);
            pods.all(|pod| {
                let has = pod.has[source as usize];
                has.is_none() || pod.excused[source as usize] || has == Some(claimed)
            })
        };
        SOURCES.into_iter().all(is_true)
    }

    /// Whether a patch of reroll's is under way.
    pub(crate) fn flies(&self) -> bool {
        let mut replicas = self.replicas.iter();
        self.ghost.is_some() || replicas.any(|replica| replica.flight.is_some())
    }

    /// Whether nothing is under way any more, and nothing will be by itself. `acts`: what the leader would do does something.
    pub(crate) fn is_quiet(&self, acts: impl Fn() -> bool) -> bool {
        let rolls = self.is_unseen()
            || (0..self.sets.len()).any(|at| self.can_start(at) || self.can_retire(at));
        self.is_delivered() && !self.flies() && !rolls && !acts()
    }

    /// Whether the leader has nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.replicas[usize::from(self.leader)].view.plan() == Plan::Nothing
    }
}

/// Returns the data that an entry is about; data that nothing has where its digest is of neither value.
fn claim(source: Source, uid: &str, digest: &str) -> Option<Data> {
    let uid: u8 = uid.rsplit('-').next()?.parse().ok()?;
    let of = |value: &u8| {
        let live = Live {
            data: Some(Data { uid, value: *value }),
            revision: 1,
            written: 0,
            last_uid: uid,
        };
        let key = version(source, live).and_then(|version| version.key("k"));
        key.is_some_and(|key| key.to_string() == digest)
    };
    let value = [0, 1].iter().find(|value| of(value)).copied().unwrap_or(9);
    Some(Data { uid, value })
}
