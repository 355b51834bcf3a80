//! Classes of the Secrets Store CSI driver in the index: from the statuses of pods to sources like any other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kube::core::ObjectMeta;

use super::{Index, asked::By, changes::SourceChange, namespace::Namespace};
use crate::model::{
    csi::{Class, Part, PodStatus},
    source::{SourceKey, SourceKind, SourceName},
};

/// The classes of one namespace.
#[derive(Debug, Default)]
pub(super) struct Provided {
    classes: BTreeMap<String, Class>,
    /// Statuses by name, with the class that each is of.
    statuses: HashMap<String, String>,
}

impl Provided {
    pub(super) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }
}

/// Of which lists of the driver's kinds something is known. `None`: of all namespaces.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// It is complete, or there is none: the kind is not served, or may not be read.
    answered: BTreeSet<(Part, Option<String>)>,
    /// The statuses are all there.
    complete: BTreeSet<Option<String>>,
}

impl Lists {
    /// Whether the statuses of a namespace are all there.
    fn complete(&self, namespace: &str) -> bool {
        self.complete.contains(&None) || self.complete.contains(&Some(namespace.to_owned()))
    }

    /// A namespace is left.
    pub(super) fn forget(&mut self, namespace: &str) {
        let is_there = |within: &Option<String>| within.as_deref() == Some(namespace);
        self.answered.retain(|(_, within)| !is_there(within));
        self.complete.retain(|within| !is_there(within));
    }
}

/// Sources that are other than they were.
pub type Changes = Vec<(SourceKey, SourceChange)>;

impl Index {
    /// Takes in an event: what a pod mounted, by the name of its status; `None`: nothing (any more).
    pub fn apply_pod_status(
        &mut self,
        namespace: &str,
        name: &str,
        status: Option<PodStatus>,
    ) -> Changes {
        self.take_pod_status(namespace, name, status, By::Event)
    }

    /// The same, however it became known. Statuses come by one watch, so whatever its list says is later than what it said
    /// before.
    pub fn take_pod_status(
        &mut self,
        namespace: &str,
        name: &str,
        status: Option<PodStatus>,
        by: By,
    ) -> Changes {
        if !self.works_in(namespace) {
            return Changes::new();
        }
        let provided = &mut self.space(namespace).provided;
        let class = status.as_ref().map(|status| status.class.clone());
        let mut affected = BTreeSet::new();
        let before = match &class {
            Some(class) => provided.statuses.insert(name.to_owned(), class.clone()),
            None => provided.statuses.remove(name),
        };
        if let Some(before) = before.filter(|before| Some(before) != class.as_ref()) {
            if let Some(known) = provided.classes.get_mut(&before) {
                known.hide(name);
            }
            affected.insert(before);
        }
        if let Some(status) = status {
            affected.insert(status.class.clone());
            let known = provided.classes.entry(status.class.clone()).or_default();
            if by != By::Event {
                known.list(name, &status);
            }
            known.show(name, status);
        }
        self.publish(namespace, affected)
    }

    /// Takes in a class itself; `None`: it is gone.
    pub fn apply_class(
        &mut self,
        namespace: &str,
        name: &str,
        meta: Option<&ObjectMeta>,
    ) -> Changes {
        if !self.works_in(namespace) {
            return Changes::new();
        }
        let classes = &mut self.space(namespace).provided.classes;
        classes.entry(name.to_owned()).or_default().set_object(meta);
        self.publish(namespace, BTreeSet::from([name.to_owned()]))
    }

    /// A list is complete. Gives whether it is news that both are answered, and what became other.
    pub fn set_listed(&mut self, part: Part, within: Option<&str>) -> (bool, Changes) {
        let mut changes = Changes::new();
        let news = self.set_answered(part, within);
        let complete =
            part == Part::Statuses && self.lists.complete.insert(within.map(ToOwned::to_owned));
        // In a namespace that is listed by itself nothing is complete before both are.
        if complete || news {
            for (namespace, classes) in self.known_classes(within) {
                changes.extend(self.publish(&namespace, classes));
            }
        }
        (news, changes)
    }

    /// A list is complete, or there will be none for now. Gives whether it is news that both are answered.
    pub fn set_answered(&mut self, part: Part, within: Option<&str>) -> bool {
        let answered = &mut self.lists.answered;
        answered.insert((part, within.map(ToOwned::to_owned)));
        let both = Part::ALL
            .into_iter()
            .all(|part| answered.contains(&(part, within.map(ToOwned::to_owned))));
        let kind = SourceKind::SecretProviderClass;
        both && match within {
            None => self.set_synced(kind),
            Some(namespace) => self.set_synced_in(kind, namespace),
        }
    }

    /// The kind is not served any more: what was known by it is forgotten. Gives how many objects those were.
    pub fn forget_part(&mut self, part: Part, within: Option<&str>) -> usize {
        if part == Part::Statuses {
            self.lists.complete.remove(&within.map(ToOwned::to_owned));
        }
        let known = self.known_parts(part, within);
        for (namespace, name) in &known {
            match part {
                Part::Statuses => drop(self.apply_pod_status(namespace, name, None)),
                Part::Classes => drop(self.apply_class(namespace, name, None)),
            }
        }
        known.len()
    }

    /// The objects of one of the driver's kinds, by namespace and name: what a new list is compared with.
    pub fn known_parts(&self, part: Part, within: Option<&str>) -> Vec<(String, String)> {
        let mut known = Vec::new();
        for (namespace, space) in self.spaces(within) {
            let provided = &space.provided;
            let names: Vec<_> = match part {
                Part::Statuses => provided.statuses.keys().collect(),
                Part::Classes => {
                    let there = provided.classes.iter().filter(|(_, class)| class.exists());
                    there.map(|(name, _)| name).collect()
                }
            };
            known.extend(
                names
                    .into_iter()
                    .map(|name| (namespace.clone(), name.clone())),
            );
        }
        known
    }

    fn known_classes(&self, within: Option<&str>) -> Vec<(String, BTreeSet<String>)> {
        let classes = |space: &Namespace| space.provided.classes.keys().cloned().collect();
        self.spaces(within)
            .map(|(name, space)| (name.clone(), classes(space)))
            .collect()
    }

    /// Draws the content of classes anew where that can be done, and takes it in as any source's.
    fn publish(&mut self, namespace: &str, classes: BTreeSet<String>) -> Changes {
        let complete = self.statuses_complete(namespace);
        let mut changes = Changes::new();
        for name in classes {
            let space = self.space(namespace);
            let Some(class) = space.provided.classes.get_mut(&name) else {
                continue;
            };
            if complete {
                class.settle();
            }
            let (gone, version) = (class.is_gone(), class.version());
            let key = SourceKey {
                namespace: namespace.to_owned(),
                source: SourceName::secret_provider_class(&name),
            };
            let change = if !complete && !gone {
                // What is not all there shows nothing yet, not even that nobody has mounted it.
                SourceChange::default()
            } else if gone {
                space.provided.classes.remove(&name);
                space.forget(&key.source);
                SourceChange::default()
            } else {
                // It is drawn from what is known now.
                let by = By::List(self.tick());
                self.take_source(&key, version, by)
            };
            if change.changed {
                changes.push((key, change));
            }
        }
        changes
    }

    /// Whether the statuses of a namespace are all there.
    pub(super) fn statuses_complete(&self, namespace: &str) -> bool {
        self.lists.complete(namespace)
            && !self
                .selected
                .is_unlisted(SourceKind::SecretProviderClass, namespace)
    }

    fn space(&mut self, namespace: &str) -> &mut Namespace {
        self.namespaces.entry(namespace.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests;
