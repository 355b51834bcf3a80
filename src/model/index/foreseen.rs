//! What an opt-in selects, worked out before the index is locked to change it.
//!
//! To match many names takes long where somebody wants it to. Everybody waits for the lock of the index, so who changes it
//! works that out before: [`Ahead`] says of what, [`Ahead::work_out`] does it without a lock, and the index takes
//! it in. What changed in between, which is little, is matched under the lock. An opt-in that stands as it stood is not
//! read again, and what it selects of names that were there is known already.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use super::{edges::Slot, sources::Sources, tracked::Tracked};
use crate::model::{
    policy::{Complaint, Defaults, Policy, Rules, Selection},
    source::{References, SourceName, Usage},
    workload::Workload,
};

/// What is needed to work out what an opt-in selects.
#[derive(Debug)]
pub struct Ahead {
    label: Option<String>,
    defaults: Defaults<'static>,
    names: HashSet<SourceName>,
}

/// What a workload asks for, and what that selects of the names that there were.
#[derive(Debug)]
pub struct Foreseen {
    label: Option<String>,
    policy: Policy,
    complaints: Vec<Complaint>,
    selected: Option<Selected>,
}

/// What rules selected.
#[derive(Debug)]
pub(super) struct Selected {
    rules: Arc<Rules>,
    references: References,
    uses: References,
    /// The names besides the references that were looked at; `None`: all that existed.
    others: Option<HashSet<SourceName>>,
}

/// The same, where it stands.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    rules: &'a Arc<Rules>,
    references: &'a References,
    uses: &'a References,
    others: Option<&'a HashSet<SourceName>>,
}

/// Workloads whose opt-in may take a source that is new, each with its rules.
#[derive(Debug, Default)]
pub struct Takers {
    asked: Vec<(Slot, Arc<Rules>)>,
    take: BTreeSet<Slot>,
}

/// What a workload asks for, and what of that is known to select what.
pub(super) struct Read {
    pub(super) policy: Policy,
    pub(super) complaints: Vec<Complaint>,
    pub(super) selected: Option<Selected>,
}

impl Read {
    /// Reads it.
    pub(super) fn anew(workload: &Workload, defaults: Defaults<'_>) -> Self {
        let (policy, complaints) = Policy::of(workload, defaults);
        Self {
            policy,
            complaints,
            selected: None,
        }
    }
}

/// Whether a workload says what it said, as far as it matters to what it asks for. Its namespace must say the same, too.
pub(super) fn reads_as_before(before: &Workload, now: &Workload) -> bool {
    before.asks == now.asks
        && before.restart_by == now.restart_by
        && before.phase == now.phase
        && before.borrows == now.borrows
        && before.excess == now.excess
        && before.is_led() == now.is_led()
}

/// Reads what a workload asks for that is shown, unless that is known or `foreseen`. Returns with it what of its selection is
/// known.
pub(super) fn read_shown<'a>(
    known: Option<&'a Tracked>,
    shown: &Workload,
    defaults: Defaults<'_>,
    foreseen: Option<&'a Foreseen>,
) -> (Policy, Vec<Complaint>, Option<Known<'a>>) {
    if let Some(known) = known.filter(|known| reads_as_before(&known.workload, shown)) {
        let (policy, complaints) = (known.policy.clone(), known.complaints.clone());
        return (policy, complaints, Known::of(known));
    }
    if let Some(foreseen) = foreseen.filter(|foreseen| foreseen.holds(shown, defaults)) {
        let (policy, complaints) = (foreseen.policy.clone(), foreseen.complaints.clone());
        let selected = foreseen.selected.as_ref().map(Selected::known);
        return (policy, complaints, selected);
    }
    let (policy, complaints) = Policy::of(shown, defaults);
    (policy, complaints, None)
}

impl Ahead {
    /// Makes it for a workload that is taken in next; `None` where that costs nothing. `defaults` are those of its namespace,
    /// `others` those of all.
    pub(super) fn of(
        known: Option<&Tracked>,
        workload: &Workload,
        defaults: Defaults<'_>,
        others: Defaults<'static>,
        sources: Option<&Sources>,
    ) -> Option<Self> {
        let same = |known: &Tracked| reads_as_before(&known.workload, workload);
        if !Policy::is_much(&workload.asks) || known.is_some_and(same) {
            return None;
        }
        Some(Self {
            label: defaults.namespace.map(ToOwned::to_owned),
            defaults: others,
            names: sources.map(names).unwrap_or_default(),
        })
    }

    /// Works out what a workload asks for, and what that selects.
    pub fn work_out(self, workload: &Workload) -> Foreseen {
        let defaults = Defaults {
            namespace: self.label.as_deref(),
            ..self.defaults
        };
        let (policy, complaints) = Policy::of(workload, defaults);
        let selected = match &policy.selection {
            Selection::Some(rules) => Some(Selected {
                rules: Arc::clone(rules),
                references: workload.references.clone(),
                uses: rules.select(&workload.references, self.names.iter()),
                others: Some(self.names),
            }),
            Selection::Off | Selection::Unreadable => None,
        };
        Foreseen {
            label: self.label,
            policy,
            complaints,
            selected,
        }
    }
}

fn names(sources: &Sources) -> HashSet<SourceName> {
    sources.candidates(true).cloned().collect()
}

impl Foreseen {
    /// Whether it is so: not where the namespace says something else meanwhile, or it is known now what the workload borrows.
    fn holds(&self, workload: &Workload, defaults: Defaults<'_>) -> bool {
        self.label.as_deref() == defaults.namespace && workload.borrows.is_none()
    }

    /// Returns what a workload asks for, and what that selected, if it is so.
    pub(super) fn into_read(self, workload: &Workload, defaults: Defaults<'_>) -> Option<Read> {
        self.holds(workload, defaults).then_some(Read {
            policy: self.policy,
            complaints: self.complaints,
            selected: self.selected,
        })
    }
}

impl Selected {
    /// Returns what a workload selects that is to be followed anew by the same rules, where its opt-in depends on what exists.
    pub(super) fn by(known: &mut Tracked) -> Option<Self> {
        let Selection::Some(rules) = &known.policy.selection else {
            return None;
        };
        if !rules.has_patterns() {
            return None;
        }
        let rules = Arc::clone(rules);
        Some(Self {
            rules,
            references: known.workload.references.clone(),
            uses: known.take_uses(),
            others: None,
        })
    }

    pub(super) fn known(&self) -> Known<'_> {
        Known {
            rules: &self.rules,
            references: &self.references,
            uses: &self.uses,
            others: self.others.as_ref(),
        }
    }
}

impl<'a> Known<'a> {
    fn of(known: &'a Tracked) -> Option<Self> {
        let Selection::Some(rules) = &known.policy.selection else {
            return None;
        };
        Some(Self {
            rules,
            references: &known.workload.references,
            uses: known.uses(),
            others: None,
        })
    }

    /// Returns how a source counts, where that was worked out by these rules. `exists`: it does now, and so was looked at
    /// when it came.
    #[expect(
        clippy::option_option,
        reason = "it is known that it counts, that it does not, or neither"
    )]
    pub(super) fn usage(
        &self,
        rules: &Arc<Rules>,
        source: &SourceName,
        referenced: Option<&Usage>,
        exists: impl Fn() -> bool,
    ) -> Option<Option<&'a Usage>> {
        let same = Arc::ptr_eq(self.rules, rules) && self.references.get(source) == referenced;
        let looked_at = match self.others {
            _ if referenced.is_some() || rules.has_name(source) => true,
            Some(others) => others.contains(source),
            None => exists(),
        };
        (same && looked_at).then(|| self.uses.get(source))
    }
}

impl Takers {
    /// Makes it of workloads in their order.
    pub(super) fn of(asked: impl Iterator<Item = (Slot, Arc<Rules>)>) -> Self {
        Self {
            asked: asked.collect(),
            take: BTreeSet::new(),
        }
    }

    /// Works out which of them take a source.
    pub fn work_out(&mut self, source: &SourceName) {
        let takes = self.asked.iter().filter(|(_, rules)| rules.takes(source));
        self.take = takes.map(|(slot, _)| slot.clone()).collect();
    }

    /// Whether a workload takes the source; `None` where that was not worked out by these rules.
    pub(super) fn take(&self, slot: &Slot, rules: &Arc<Rules>) -> Option<bool> {
        let asked = self
            .asked
            .binary_search_by(|(asked, _)| asked.cmp(slot))
            .ok()?;
        let (_, by) = &self.asked[asked];
        Arc::ptr_eq(by, rules).then(|| self.take.contains(slot))
    }
}
