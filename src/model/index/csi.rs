//! Classes of the Secrets Store CSI driver: from the statuses of pods to sources like any other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kube::core::ObjectMeta;

use super::asked::By;
use crate::model::{
    csi::{Class, Part, PodStatus},
    source::SourceName,
    version::Version,
};

/// The classes of one namespace.
#[derive(Debug, Default)]
pub(super) struct Classes {
    by_name: BTreeMap<String, Class>,
    /// Statuses by name, with the class that each is of.
    statuses: HashMap<String, String>,
}

/// What a class has, as far as it is known.
pub(super) enum Drawn {
    /// Neither the class nor any status of it is left.
    Gone,
    /// This.
    Content(Version),
}

impl Classes {
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Takes in what a pod mounted, by the name of its status; `None`: nothing (any more). Returns the classes that this is
    /// about. Statuses come by one watch, so whatever its list says is later than what it said before.
    pub(super) fn take_status(
        &mut self,
        name: &str,
        status: Option<PodStatus>,
        by: By,
    ) -> BTreeSet<String> {
        let class = status.as_ref().map(|status| status.class.clone());
        let mut affected = BTreeSet::new();
        let before = match &class {
            Some(class) => self.statuses.insert(name.to_owned(), class.clone()),
            None => self.statuses.remove(name),
        };
        if let Some(before) = before.filter(|before| Some(before) != class.as_ref()) {
            if let Some(known) = self.by_name.get_mut(&before) {
                known.hide(name);
            }
            affected.insert(before);
        }
        if let Some(status) = status {
            affected.insert(status.class.clone());
            let known = self.by_name.entry(status.class.clone()).or_default();
            if by != By::Event {
                known.list(name, &status);
            }
            known.show(name, status);
        }
        affected
    }

    /// Takes in a class itself; `None`: it is gone.
    pub(super) fn take_class(&mut self, name: &str, meta: Option<&ObjectMeta>) {
        let known = self.by_name.entry(name.to_owned()).or_default();
        known.set_object(meta);
    }

    /// Draws the content of classes anew where that can be done. `complete`: all statuses are there. What is not all there
    /// shows nothing yet, not even that no pod has mounted it.
    pub(super) fn draw(
        &mut self,
        names: BTreeSet<String>,
        complete: bool,
    ) -> Vec<(SourceName, Drawn)> {
        let mut drawn = Vec::new();
        for name in names {
            let Some(class) = self.by_name.get_mut(&name) else {
                continue;
            };
            if complete {
                class.settle();
            }
            let source = SourceName::secret_provider_class(&name);
            if class.is_gone() {
                self.by_name.remove(&name);
                drawn.push((source, Drawn::Gone));
            } else if complete {
                drawn.push((source, Drawn::Content(class.version())));
            }
        }
        drawn
    }

    /// Returns the names of all classes of which something is known.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.by_name.keys().cloned().collect()
    }

    /// Returns the names of the objects of one of the driver's kinds, in no order.
    pub(super) fn objects(&self, part: Part) -> Vec<&String> {
        match part {
            Part::Statuses => self.statuses.keys().collect(),
            Part::Classes => {
                let there = self.by_name.iter().filter(|(_, class)| class.exists());
                there.map(|(name, _)| name).collect()
            }
        }
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
    pub(super) fn are_complete(&self, namespace: &str) -> bool {
        self.complete.contains(&None) || self.complete.contains(&Some(namespace.to_owned()))
    }

    /// Takes in whether all statuses are there. Returns whether that is news.
    pub(super) fn set_complete(&mut self, within: Option<&str>, complete: bool) -> bool {
        let within = within.map(ToOwned::to_owned);
        if complete {
            self.complete.insert(within)
        } else {
            self.complete.remove(&within)
        }
    }

    /// Takes in that a list is complete, or that there will be none for now. Returns whether both are answered.
    pub(super) fn set_answered(&mut self, part: Part, within: Option<&str>) -> bool {
        let within = within.map(ToOwned::to_owned);
        self.answered.insert((part, within.clone()));
        Part::ALL
            .into_iter()
            .all(|part| self.answered.contains(&(part, within.clone())))
    }

    /// Takes in that a namespace is left.
    pub(super) fn forget(&mut self, namespace: &str) {
        let is_there = |within: &Option<String>| within.as_deref() == Some(namespace);
        self.answered.retain(|(_, within)| !is_there(within));
        self.complete.retain(|within| !is_there(within));
    }
}
