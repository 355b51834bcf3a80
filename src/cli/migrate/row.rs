//! One object that bears an annotation of Reloader's: what is done with it there and here, what differs, and what to write.

use serde::Serialize;

use super::{
    advice::Advice,
    between::Between,
    seen::Seen,
    theirs::Theirs,
    today::{here, there},
};
use crate::{
    cli::{
        findings::Finding,
        lint::{
            manifests::{Manifest, Said},
            reloader::{LEFT, is_reloaders, meaning},
            spots::{Role, Spot},
        },
    },
    model::{
        Kind, SourceName,
        annotation::{IGNORE, RESTART_ON, reloader},
        policy::{Defaults, OwnWords},
        workload::Workload,
    },
};

/// An object.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    /// The file of the chart that Helm made it of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) template: Option<String>,
    pub(super) annotations: Vec<Told>,
    pub(super) reloader: String,
    pub(super) reroll: String,
    pub(super) differs: Vec<String>,
    pub(super) advice: Advice,
    #[serde(skip)]
    pub(super) spoken: String,
    #[serde(skip)]
    pub(super) is_workload: bool,
}

/// An annotation of Reloader's, and what it means here.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    pub(super) key: String,
    pub(super) value: String,
    /// `workload`, `pod template`, …
    pub(super) on: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    pub(super) same: bool,
    pub(super) means: String,
}

/// What all rows are made by.
pub(super) struct Look<'a> {
    seen: &'a Seen,
    theirs: Option<&'a Theirs>,
}

impl<'a> Look<'a> {
    pub(super) fn new(seen: &'a Seen) -> Self {
        Self {
            seen,
            theirs: seen.theirs.first(),
        }
    }

    /// Returns what is to be said of an object.
    pub(super) fn row(&self, manifest: &Manifest) -> Row {
        let role = Role::of(manifest, &self.seen.known);
        let mut row = Row {
            kind: manifest.kind.clone(),
            namespace: manifest.namespace.clone(),
            name: manifest.name.clone(),
            file: (manifest.line > 0).then(|| manifest.file.to_string()),
            line: (manifest.line > 0).then_some(manifest.line),
            template: manifest.origin.clone(),
            annotations: self.told(manifest, role),
            reloader: String::new(),
            reroll: String::new(),
            differs: Vec::new(),
            advice: Advice::default(),
            spoken: manifest.spoken(),
            is_workload: matches!(role, Role::Workload(_)),
        };
        let differing = row.annotations.iter().filter(|told| !told.same);
        row.differs = differing
            .map(|told| format!("{} {}", told.key, told.means))
            .collect();
        let plural = match role {
            Role::Workload(kind) => {
                self.workload(manifest, kind, &mut row);
                qualified(kind.plural, kind.group)
            }
            Role::Source(kind) => {
                self.source(manifest, &mut row);
                let group = kind.api_version().split_once('/');
                qualified(kind.plural(), group.map_or("", |(group, _)| group))
            }
            Role::Namespace | Role::Lease | Role::Other => {
                row.reloader = String::from("reads no annotation of a Namespace");
                row.reroll = String::from("does neither");
                "namespaces".to_owned()
            }
        };
        if row.line.is_some() {
            row.advice.lines(manifest);
        } else {
            let resource = format!("{plural}/{}", manifest.name);
            row.advice.command(&resource, manifest.namespace.as_deref());
        }
        row
    }

    /// Returns each annotation of Reloader's, and what it means here.
    fn told(&self, manifest: &Manifest, role: Role) -> Vec<Told> {
        let mut all = Vec::new();
        for spot in role.spots(manifest) {
            for said in spot.said() {
                let meant = match self.theirs {
                    Some(theirs) => theirs.meant(said.key),
                    None => is_reloaders(said.key).then_some(said.key),
                };
                if meant.is_some() || is_reloaders(said.key) {
                    all.push(tell(manifest, role, spot, (said, meant)));
                }
            }
        }
        all
    }

    fn workload(&self, manifest: &Manifest, kind: Kind, row: &mut Row) {
        let read = |vocabulary: &crate::model::conventions::Vocabulary| {
            let mut object = manifest.object(kind);
            vocabulary.translate_workload(kind, &mut object);
            Workload::read(kind, &object)
        };
        let conventions = &self.seen.conventions;
        let ours = read(&conventions.vocabulary);
        let of_theirs = self.theirs.map(|theirs| read(&theirs.vocabulary()));
        let workload = of_theirs.as_ref().unwrap_or(&ours);
        let label = self.seen.inventory.label(manifest.namespace.as_deref());
        let defaults = Defaults {
            namespace: label,
            ..conventions.defaults()
        };
        let there = there(kind, workload, self.theirs);
        let here = here(kind, &ours, defaults, &self.seen.kinds);
        let between = Between {
            seen: self.seen,
            theirs: self.theirs,
            manifest,
            kind,
            there: &there,
            here: &here,
        };
        row.differs.extend(between.all(workload));
        row.reloader = there.sentence;
        row.reroll = here.sentence;
        let names: Vec<_> = self
            .seen
            .inventory
            .names(manifest.namespace.as_deref())
            .collect();
        // What is ignored by a flag is ignored whatever a workload says.
        let words = Defaults {
            namespace: label,
            all: conventions.all || self.theirs.is_some_and(Theirs::all),
            ..Defaults::default()
        };
        self.advise(manifest, (kind, workload), (words, &names), row);
    }

    fn advise(
        &self,
        manifest: &Manifest,
        (kind, workload): (Kind, &Workload),
        (defaults, names): (Defaults<'_>, &[&SourceName]),
        row: &mut Row,
    ) {
        let own = OwnWords::of((kind, workload), defaults, names);
        let called = |key: &String| {
            let called = self
                .theirs
                .map_or(key.as_str(), |theirs| theirs.called(key));
            called.to_owned()
        };
        let on_itself = |key: &String| manifest.annotations().any(|said| said.key == key);
        let advice = &mut row.advice;
        let restart_on = own.restart_on.clone();
        advice
            .annotations
            .extend(restart_on.map(|words| (RESTART_ON.to_owned(), words)));
        let (remove, leave): (Vec<_>, Vec<_>) = own.go.iter().map(called).partition(on_itself);
        (advice.remove, advice.leave) = (remove, leave);
        advice.keep = own.stay.iter().map(called).collect();
        advice.because = own.lacks.iter().map(ToString::to_string).collect();
        for key in [reloader::PAUSE_PERIOD, reloader::ROLLOUT_STRATEGY] {
            if own.stay.iter().any(|stays| stays == key) {
                advice.because.push(format!("there is no word for {key}"));
            }
        }
        advice.nearest = own.nearest;
    }

    fn source(&self, manifest: &Manifest, row: &mut Row) {
        let called = |meant| self.theirs.map_or(meant, |theirs| theirs.called(meant));
        let says = |meant: &'static str| {
            let mut all = manifest.annotations();
            all.find(|said| said.key == called(meant))
                .map(|said| said.text == Some("true"))
        };
        row.reloader = match (says(reloader::IGNORE), says(reloader::MATCH)) {
            (Some(true), _) => "leaves it alone".to_owned(),
            (_, Some(true)) => format!("counts it for workloads with {}", called(reloader::SEARCH)),
            _ => "does nothing with these".to_owned(),
        };
        row.reroll = String::from("does the same");
        if says(reloader::IGNORE) == Some(true) {
            row.advice
                .annotations
                .insert(IGNORE.to_owned(), "true".to_owned());
        }
        for told in &row.annotations {
            let meant = self.theirs.and_then(|theirs| theirs.meant(&told.key));
            let list = match meant.unwrap_or(&told.key) {
                reloader::MATCH => &mut row.advice.keep,
                _ => &mut row.advice.remove,
            };
            list.push(told.key.clone());
        }
        if !row.advice.keep.is_empty() {
            let because = "reroll has no word of its own for match, and keeps to this one";
            row.advice.because.push(because.to_owned());
        }
    }
}

/// Returns an annotation, and what it means here. `meant`: its usual name, where it means something to Reloader.
fn tell(
    manifest: &Manifest,
    role: Role,
    spot: Spot<'_>,
    (said, meant): (Said<'_>, Option<&str>),
) -> Told {
    let (is_same, words) = match meant {
        None => (
            true,
            "means nothing to this Reloader, by its flags".to_owned(),
        ),
        Some(LEFT) => (true, "was left by Reloader, and may stay".to_owned()),
        Some(meant) => {
            let meaning = meaning(manifest, role, spot, Said { key: meant, ..said });
            (
                meaning.nor_there || meaning.finding == Finding::ReloaderSame,
                meaning.words,
            )
        }
    };
    let value = said.text.unwrap_or_default();
    Told {
        key: said.key.to_owned(),
        value: crate::model::text::shortened(value, 256).into_owned(),
        on: spot
            .words
            .trim_start_matches("as an ")
            .trim_start_matches("as a "),
        line: (said.line > 0).then_some(said.line),
        same: is_same,
        means: words,
    }
}

fn qualified(plural: &str, group: &str) -> String {
    if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    }
}
