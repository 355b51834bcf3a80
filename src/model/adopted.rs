//! What a new workload adopts: pods that are older than it. A user deleted the workload with `--cascade=orphan` and
//! created it again, or a backup was restored.
//!
//! The workload adopts pods that match its selector and have no controller, or whose `ReplicaSet` matches and has no
//! controller. The pods of a neighbour have a controller. So have the pods that the garbage collector still has to
//! delete (`kubectl replace --force`).
//!
//! The pods carry the mark of the template that they were made of. A genuine `observed` with that mark says what the
//! pods have ([`Adopted::said`]), whichever copy of it is left. (A mark by `kubectl.kubernetes.io/restartedAt` is not on the
//! pods by its name. They have seen that restart where their own value is not before it, [`Adopted::under`].)
//!
//! Without one, times decide ([`judge()`]): the pods have not read a source that was written after they were made. A time
//! shows that something was written; it does not show that a key was removed. Equal seconds are not later, because one
//! rollout may write both within a second.
//!
//! Invariants:
//! - only pods that stay are judged ([`Adopted::that_stay`]): Kubernetes replaces the others by itself;
//! - `observed` says what was not found out ([`super::observed::UNEXAMINED`]), so that a crash does not hide it.

mod judge;
mod number;
mod stamp;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::core::{DynamicObject, Selector};

pub use self::{
    judge::{Assessment, judge},
    number::{POD_TEMPLATE_GENERATION, TEMPLATE_GENERATION},
    stamp::{Adoption, stamp_adopting},
};
use super::{
    annotation::{KUBECTL_RESTARTED_AT, OBSERVED, RESTARTED_AT, RESTARTED_FOR},
    observed::{Observed, Reading},
    workload::{Kind, Revisions, selector, standing_time},
};

/// The labels that tell the pods of a `ReplicaSet` from those of its neighbours: a Deployment's and a Rollout's.
const HASHES: [&str; 2] = ["pod-template-hash", "rollouts-pod-template-hash"];
/// The annotations that number the `ReplicaSet`s of one workload: a Deployment's and a Rollout's.
pub const REVISIONS: [&str; 2] = [
    "deployment.kubernetes.io/revision",
    "rollout.argoproj.io/revision",
];
/// The label that names the revision of a pod of a `StatefulSet` or `DaemonSet`.
pub const REVISION_HASH: &str = "controller-revision-hash";

/// A workload, as far as it matters for what it adopts.
#[derive(Clone, Debug)]
pub struct Adopter {
    /// Its kind.
    pub kind: Kind,
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`; `None` where the API server is to make one.
    pub name: Option<String>,
    /// What selects its pods.
    pub selector: Selector,
    /// The number of its template, of kinds that count them ([`number`]).
    number: Option<i64>,
    /// `None` while it is being created.
    born: Option<Born>,
}

/// What a workload got when it was created.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Born {
    /// `metadata.uid`
    uid: String,
    /// `metadata.creationTimestamp`, unix seconds.
    created: i64,
}

/// A pod that was there before the workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// The mark of the template that it was made of; empty for none.
    pub mark: String,
    /// When that restart was, where the mark is one of `kubectl.kubernetes.io/restartedAt`.
    pub marked_at: Option<Timestamp>,
    /// The template's `reroll.dev/restarted-for`.
    pub restarted_for: Option<String>,
    /// The template's `kubectl.kubernetes.io/restartedAt`.
    pub kubectl: Option<String>,
    /// `metadata.creationTimestamp`, unix seconds.
    pub created: i64,
    /// The revision that it is of: its `ReplicaSet`'s number, or its own label.
    pub revision: String,
    /// The number of the template that it was made of, of kinds that count them.
    pub number: Option<i64>,
}

/// The template that a workload has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// Its revision, as of [`Pod::revision`].
    pub revision: String,
    /// Its number, as of [`Pod::number`].
    pub number: Option<i64>,
}

/// The pods that a workload adopts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Each of them.
    pub pods: Vec<Pod>,
    /// The texts of `observed` that their `ReplicaSet`s have copies of.
    pub copies: Vec<String>,
}

impl Adopter {
    /// Reads an object: one that exists, or that is being created, which has no uid yet. `None` where nothing selects its
    /// pods, or its kind adopts none.
    pub fn read(kind: Kind, namespace: &str, object: &DynamicObject) -> Option<Self> {
        let meta = &object.metadata;
        let numbered = || number::of_template(meta);
        let born = |uid: &String| Born {
            uid: uid.clone(),
            created: created(meta),
        };
        let selector = selector(kind, object).filter(|_| kind.adopts_pods())?;
        Some(Self {
            kind,
            namespace: namespace.to_owned(),
            name: meta.name.clone(),
            selector,
            number: kind.numbers_templates.then(numbered),
            born: meta.uid.as_ref().filter(|uid| !uid.is_empty()).map(born),
        })
    }

    /// Returns what it adopts, of those that its selector selects. `sets`: `ReplicaSet`s, of kinds that have such.
    pub fn adopts(&self, sets: &[ObjectMeta], pods: &[ObjectMeta]) -> Adopted {
        if self.kind.revisions == Some(Revisions::ReplicaSets) {
            self.through(sets, pods)
        } else {
            self.directly(pods)
        }
    }

    fn through(&self, sets: &[ObjectMeta], pods: &[ObjectMeta]) -> Adopted {
        let sets: Vec<_> = sets.iter().filter(|set| self.takes(set)).collect();
        let by_uid: BTreeMap<_, _> = sets
            .iter()
            .filter_map(|set| Some((set.uid.as_deref()?, *set)))
            .collect();
        let hashes: BTreeSet<_> = sets.iter().filter_map(|set| hash(set)).collect();
        let of_set = |pod: &ObjectMeta| match controller(pod) {
            Some(owner) => by_uid.get(owner.uid.as_str()).copied(),
            // A restore makes pods before their ReplicaSets.
            None => hash(pod)
                .filter(|of_pod| hashes.contains(of_pod))
                .and_then(|of_pod| sets.iter().find(|set| hash(set) == Some(of_pod)))
                .copied(),
        };
        let revision = |set: &ObjectMeta| {
            let all = set.annotations.as_ref();
            let number = REVISIONS.iter().find_map(|key| all?.get(*key));
            number.cloned().unwrap_or_default()
        };
        let pods = pods.iter().filter(|pod| self.is_older(pod));
        Adopted {
            pods: pods
                .filter_map(|pod| {
                    let set = of_set(pod)?;
                    let pod = Self::pod(pod, revision(set));
                    Some(marked(set).into_iter().fold(pod, Pod::under))
                })
                .collect(),
            copies: sets
                .iter()
                .filter_map(|set| set.annotations.as_ref()?.get(OBSERVED).cloned())
                .collect(),
        }
    }

    fn directly(&self, pods: &[ObjectMeta]) -> Adopted {
        let ordinal = |pod: &ObjectMeta| {
            let name = pod.name.as_deref()?.rsplit_once('-')?;
            (Some(name.0) == self.name.as_deref() && name.1.parse::<u32>().is_ok()).then_some(())
        };
        // A StatefulSet takes only pods that are called as its own are.
        let named = |pod: &ObjectMeta| !self.kind.ordinals || ordinal(pod).is_some();
        let revision = |pod: &ObjectMeta| {
            let label = pod.labels.as_ref().and_then(|all| all.get(REVISION_HASH));
            label.cloned().unwrap_or_default()
        };
        let taken = |pod: &&ObjectMeta| self.takes(pod) && named(pod);
        Adopted {
            pods: pods
                .iter()
                .filter(taken)
                .map(|pod| Self::pod(pod, revision(pod)))
                .collect(),
            copies: Vec::new(),
        }
    }

    /// Whether it takes an object over, or took it over that was made before it.
    pub fn takes(&self, object: &ObjectMeta) -> bool {
        let may = match (controller(object), &self.born) {
            (None, _) => true,
            (Some(owner), Some(born)) => owner.uid == born.uid,
            (Some(_), None) => false,
        };
        may && self.is_older(object)
    }

    fn pod(pod: &ObjectMeta, revision: String) -> Pod {
        let annotation = |key: &str| pod.annotations.as_ref()?.get(key).cloned();
        let restarted_for = annotation(RESTARTED_FOR);
        Pod {
            mark: restarted_for.clone().unwrap_or_default(),
            marked_at: None,
            restarted_for,
            kubectl: annotation(KUBECTL_RESTARTED_AT),
            created: created(pod),
            revision,
            number: number::of_pod(pod),
        }
    }

    fn is_older(&self, object: &ObjectMeta) -> bool {
        let born = self.born.as_ref();
        object.deletion_timestamp.is_none()
            && born.is_none_or(|born| created(object) < born.created)
    }
}

impl Pod {
    /// Returns the same, with the mark of a text of `reroll.dev/restarted-at`, where the pod has seen that restart and no
    /// later one.
    fn under(self, text: &str) -> Self {
        match standing_time(text, self.kubectl.as_deref()) {
            Some((mark, at)) if Some(at) > self.marked_at => Self {
                mark: mark.to_owned(),
                marked_at: Some(at),
                ..self
            },
            _ => self,
        }
    }
}

impl Adopted {
    /// Returns the same, with the marks of texts of `reroll.dev/restarted-at` that the workload had: pods do not carry
    /// those by name.
    #[must_use]
    pub fn under<'a>(self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let pods = texts.into_iter().fold(self.pods, |pods, text| {
            pods.into_iter().map(|pod| pod.under(text)).collect()
        });
        Self { pods, ..self }
    }

    /// Returns a pod of the template that they were last made of: one with the mark of what is `remembered` of the workload
    /// before, else the youngest. `None` where there are no pods.
    pub fn last(&self, remembered: Option<&Reading>) -> Option<&Pod> {
        let last = remembered.and_then(observed_in);
        let last =
            last.and_then(|last| self.pods.iter().find(|pod| pod.mark == last.restarted_for));
        last.or_else(|| self.pods.iter().max_by_key(|pod| pod.created))
    }

    /// Returns the mark of that template.
    pub fn mark(&self, remembered: Option<&Reading>) -> Option<&str> {
        Some(&self.last(remembered)?.mark)
    }

    /// Returns those that Kubernetes does not replace by itself, where the template has this mark and, unless it is being
    /// created, is this one.
    #[must_use]
    pub fn that_stay(self, mark: &str, current: Option<&Current>) -> Self {
        let stays = |pod: &Pod| match current {
            None => pod.mark == mark,
            Some(current) => {
                let numbered = pod.number.is_some() && pod.number == current.number;
                numbered || pod.mark == mark && pod.revision == current.revision
            }
        };
        Self {
            pods: self.pods.into_iter().filter(stays).collect(),
            ..self
        }
    }

    /// Returns when the oldest of them was made, in unix seconds; `None` where there is none.
    pub fn oldest(&self) -> Option<i64> {
        self.pods.iter().map(|pod| pod.created).min()
    }

    /// Returns the first of several that says what the pods have, all of which carry this mark. Where some carry
    /// another, nothing does.
    pub fn said<'a>(
        &self,
        mark: &str,
        readings: impl IntoIterator<Item = &'a Reading>,
    ) -> Option<&'a Reading> {
        if self.pods.iter().any(|pod| pod.mark != mark) {
            return None;
        }
        let says =
            |observed: &Observed| observed.restarted_for == mark && !observed.is_unexamined();
        let mut readings = readings.into_iter();
        readings.find(|reading| observed_in(reading).is_some_and(says))
    }
}

fn controller(object: &ObjectMeta) -> Option<&OwnerReference> {
    let mut owners = object.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true))
}

fn marked(set: &ObjectMeta) -> Option<&str> {
    let text = set.annotations.as_ref()?.get(RESTARTED_AT);
    text.map(String::as_str)
}

fn created(object: &ObjectMeta) -> i64 {
    let at: Option<&Time> = object.creation_timestamp.as_ref();
    at.map_or(0, |at| at.0.as_second())
}

fn hash(object: &ObjectMeta) -> Option<&str> {
    let labels = object.labels.as_ref()?;
    let label = HASHES.iter().find_map(|key| labels.get(*key));
    label.map(String::as_str)
}

fn observed_in(reading: &Reading) -> Option<&Observed> {
    match reading {
        Reading::Genuine(observed) | Reading::Previous(observed) => Some(observed),
        Reading::OtherKey(_) | Reading::Newer(_) | Reading::Foreign => None,
    }
}

#[cfg(test)]
mod tests;
