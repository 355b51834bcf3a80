//! What a workload opts in for, and whether that comes to anything.

use std::collections::BTreeSet;

use super::{
    found::Found,
    inventory::{Inventory, Stands},
    manifests::Manifest,
    tree::Node,
};
use crate::{
    cli::findings::Finding,
    model::{
        Kind, Policy, SourceKind, SourceName,
        annotation::{ON_CHANGE, TOGETHER},
        gate::together::{Idle, Member, idles},
        policy::{Defaults, OptedBy, Rules, Selection, Spared},
        source::{Listed, References, Usage, is_glob},
        version::uses_key,
        workload::Workload,
    },
};

/// A workload, and what all manifests have beside it.
pub(super) struct Look<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) kind: Kind,
    pub(super) workload: &'a Workload,
    pub(super) inventory: &'a Inventory,
}

impl Look<'_> {
    /// Checks what it opts in for.
    pub(super) fn check(&self, found: &mut Vec<Found>) {
        let namespace = self.namespace();
        let defaults = Defaults {
            namespace: self.inventory.label(namespace),
            ..Defaults::default()
        };
        let (policy, _) = Policy::of(self.workload, defaults);
        let by_itself = OptedBy::of(&self.workload.asks, Defaults::default());
        let line = by_itself.map(|by| self.manifest.line_of(key_of(by)));
        found.extend(line.and_then(|line| self.without_on_change(line)));
        if let (Selection::Some(rules), Some(line)) = (&policy.selection, line) {
            found.extend(self.nothing(rules, line));
            let absent = rules.names().filter(|name| self.is_absent(name));
            found.extend(absent.map(|name| self.absent(name, line)));
            let listed = rules.lists.iter();
            found.extend(listed.filter_map(|listed| self.in_vain(listed, line)));
            found.extend(self.spared(rules));
        }
        if let Selection::Some(rules) = &policy.selection {
            found.extend(self.together_in_vain(&policy, rules));
        }
        if policy.opted_in() && self.kind.surges {
            found.extend(self.one_node_volumes());
        }
    }

    fn namespace(&self) -> Option<&str> {
        self.manifest.namespace.as_deref()
    }

    /// Checks that a CronJob or Job that opts in says what a change does.
    fn without_on_change(&self, line: usize) -> Option<Found> {
        let word = self.kind.means.asked_by()?;
        let asks = &self.workload.asks;
        let (policy, _) = Policy::read(asks, Defaults::default());
        let kind = self.kind.kind;
        (policy.opted_in() && !asks.contains_key(ON_CHANGE)).then(|| {
            let wrong = format!("a change does nothing to a {kind} that does not say {ON_CHANGE}");
            let found = Found::new(Finding::NoOnChange, self.manifest, line, wrong);
            found.instead(format!("{ON_CHANGE}: {word}, or no opt-in"))
        })
    }

    /// Checks that an opt-in takes something. What a glob may take need not be there yet, a patch has no containers, and what
    /// has the template of another is not seen.
    fn nothing(&self, rules: &Rules, line: usize) -> Option<Found> {
        let containers = format!("{}/spec/containers", self.kind.template);
        self.manifest.root.pointer(&containers)?;
        if rules.has_globs() || self.workload.borrows.is_some() {
            return None;
        }
        let references = &self.workload.references;
        let selected = rules.select(references, std::iter::empty());
        let takes = |(name, usage): (&SourceName, &Usage)| self.counts(name, usage);
        if selected.iter().any(takes) {
            return None;
        }
        let (wrong, instead) = why_nothing(references, &selected);
        let found = Found::new(Finding::SelectsNothing, self.manifest, line, wrong);
        Some(found.instead(instead))
    }

    /// Whether a source that is selected counts, as far as manifests tell.
    fn counts(&self, name: &SourceName, usage: &Usage) -> bool {
        match self.inventory.stands(self.namespace(), name) {
            _ if !usage.counts() => false,
            Stands::Absent => true,
            Stands::Ignored => false,
            Stands::There { matched } => matched || !usage.if_matched,
        }
    }

    /// Whether a source that is named is not there, though manifests have others of its kind.
    fn is_absent(&self, name: &SourceName) -> bool {
        let namespace = self.namespace();
        self.inventory.has(namespace, name.kind)
            && self.inventory.stands(namespace, name) == Stands::Absent
    }

    fn absent(&self, name: &SourceName, line: usize) -> Found {
        let wrong = format!("no manifest has {}, which the opt-in names", name.spoken());
        let found = Found::new(Finding::NamedIsAbsent, self.manifest, line, wrong);
        match self.inventory.likely(self.namespace(), name) {
            Some(likely) => found.instead(format!("{}/{likely}", name.kind.prefix())),
            None => found.instead("make it, or name another"),
        }
    }

    /// Checks that what belongs together is what it restarts on.
    fn together_in_vain(&self, policy: &Policy, rules: &Rules) -> Vec<Found> {
        let line = self.manifest.line_of(TOGETHER);
        let containers = format!("{}/spec/containers", self.kind.template);
        let is_seen = self.manifest.root.pointer(&containers).is_some();
        if !is_seen || self.workload.borrows.is_some() {
            return Vec::new();
        }
        let groups = policy.together().map(|together| together.groups.iter());
        let members: BTreeSet<_> = groups.into_iter().flatten().flatten().collect();
        let idle = |member: &Member| {
            let (source, key) = (&member.source, member.key.as_ref());
            let referenced = self.workload.references.get(source);
            let usage = rules.select_one(source, referenced, true);
            let usage = usage.filter(|usage| self.counts(source, usage));
            match usage {
                None => Some(Idle::NotUsed),
                Some(usage) if key.is_some_and(|key| !usage.whole && !uses_key(&usage, key)) => {
                    Some(Idle::NotRead)
                }
                Some(_) => self.is_absent(source).then_some(Idle::Absent),
            }
        };
        let found = members.into_iter().filter_map(|member| {
            let why = idle(member)?;
            let wrong = match why {
                Idle::Absent => format!(
                    "no manifest has {}, which {TOGETHER} names",
                    member.source.spoken()
                ),
                why => idles(member, why),
            };
            let found = Found::new(Finding::TogetherInVain, self.manifest, line, wrong);
            let instead = match why {
                Idle::NotUsed => "name what it restarts on, or restart on it",
                Idle::NotRead => "name a key that it restarts on, or none",
                Idle::Absent | Idle::Untold => "make it, or name another",
            };
            Some(found.instead(instead))
        });
        found.collect()
    }

    /// Checks that a key which the opt-in names of one source is there, and is read.
    fn in_vain(&self, listed: &Listed, line: usize) -> Option<Found> {
        if is_glob(&listed.source.name) {
            return None;
        }
        let (key, source) = (listed.spoken_key(), listed.source.spoken());
        let referred = self.workload.references.get(&listed.source);
        let wrong = if self.inventory.lacks(self.namespace(), listed) {
            format!("{source} has no {key}, which the opt-in names")
        } else if !listed.excluded && referred.is_some_and(|usage| listed.names_nothing_of(usage)) {
            format!("no container reads a {key} of {source}, which the opt-in names")
        } else {
            return None;
        };
        let found = Found::new(Finding::KeyInVain, self.manifest, line, wrong);
        let likely = self.inventory.likely_key(self.namespace(), listed);
        Some(found.instead(match likely {
            Some(likely) => {
                let not = if listed.excluded { "!" } else { "" };
                format!("{not}{}#{likely}", listed.source)
            }
            None => "name another, or leave it out".to_owned(),
        }))
    }

    /// Checks that an exclusion leaves something out. A patch has no containers, and what has the template of another is not seen.
    fn spared(&self, rules: &Rules) -> Vec<Found> {
        let containers = format!("{}/spec/containers", self.kind.template);
        if self.manifest.root.pointer(&containers).is_none() || self.workload.borrows.is_some() {
            return Vec::new();
        }
        let (asks, references) = (&self.workload.asks, &self.workload.references);
        // What no manifest has somebody else may make.
        let spared = Spared::all(rules, asks, references, &|source| self.is_absent(source));
        let found = spared.into_iter().map(|spared| {
            let wrong = format!(
                "{} leaves nothing out: the pod template does not name {}",
                spared.entry,
                spared.source.spoken()
            );
            let line = self.manifest.line_of(spared.key);
            let found = Found::new(Finding::SparedInVain, self.manifest, line, wrong);
            found.instead(
                spared
                    .meant
                    .as_deref()
                    .unwrap_or("name another, or leave it out"),
            )
        });
        found.collect()
    }

    /// Checks volumes that only one node can mount: the new pod waits for them while the old one runs.
    fn one_node_volumes(&self) -> Vec<Found> {
        let root = &self.manifest.root;
        let text = |keys: &[&str]| root.text_at(keys);
        let rolls = text(&["spec", "strategy", "type"]).is_none_or(|kind| kind == "RollingUpdate");
        let surge = root.at(&["spec", "strategy", "rollingUpdate", "maxSurge"]);
        let none = [serde_json::json!(0), "0".into(), "0%".into()];
        if !rolls || surge.is_some_and(|surge| none.contains(&surge.json())) {
            return Vec::new();
        }
        let volumes = root
            .pointer(self.kind.template)
            .and_then(|of| of.at(&["spec", "volumes"]));
        let volumes = volumes.map(Node::items).unwrap_or_default().iter();
        let claims =
            volumes.filter_map(|volume| volume.at(&["persistentVolumeClaim", "claimName"]));
        let one_node = claims.filter_map(|node| {
            let claim = node.text()?;
            let is_it = self.inventory.is_on_one_node(self.namespace(), claim)?;
            is_it.then(|| {
                let wrong = format!(
                    "a restart makes the new pod before the old one goes, and only one node can mount volume claim {claim}"
                );
                let found = Found::new(Finding::OneNodeVolume, self.manifest, node.line, wrong);
                found.instead("spec.strategy.type: Recreate, or access mode ReadWriteMany")
            })
        });
        one_node.collect()
    }
}

fn key_of(by: OptedBy<'_>) -> &'static str {
    match by {
        OptedBy::Reloader(key, _) => key,
        OptedBy::Annotation(_) | OptedBy::Namespace(_) | OptedBy::Flag => {
            crate::model::annotation::RESTART_ON
        }
    }
}

/// Returns why an opt-in takes nothing, and what would take something.
fn why_nothing(references: &References, selected: &References) -> (String, String) {
    let used: Vec<_> = references
        .iter()
        .filter(|(_, usage)| usage.counts())
        .collect();
    if !selected.is_empty() {
        let wrong = "the opt-in takes only what is ignored, or what no container reads";
        return (
            wrong.to_owned(),
            "name what counts, or remove the opt-in".to_owned(),
        );
    }
    if used.is_empty() {
        let kinds = SourceKind::ALL.map(SourceKind::as_str).join(", ");
        let wrong = format!("the opt-in takes nothing: the pod template uses none of {kinds}");
        let instead = "name what counts, such as secret/NAME, or remove the opt-in";
        return (wrong, instead.to_owned());
    }
    let names: Vec<_> = used.iter().map(|(name, _)| name.to_string()).collect();
    let kinds: BTreeSet<_> = used.iter().map(|(name, _)| name.kind.plural()).collect();
    let kinds: Vec<_> = kinds.into_iter().collect();
    let wrong = format!(
        "the opt-in takes nothing of what the pod template uses: {}",
        names.join(", ")
    );
    (wrong, format!("auto, or {}", kinds.join(",")))
}
