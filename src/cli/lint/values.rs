//! Values that cannot be read. What can be read is the model's to say; here stands only where it was said.

use kube::core::ObjectMeta;

use super::{found::Found, manifests::Manifest, spots::Role};
use crate::{
    cli::findings::Finding,
    model::{
        Policy, SourceKind, SourceName,
        annotation::{IGNORE, RESTART_ON, SUSPEND},
        index::windows::Paced,
        object::SlowStart,
        policy::{Complaint, Defaults},
        recreation::{Asked, Origin},
        text::is_false,
        version::counts,
        workload::Workload,
    },
};

/// Checks the values of a workload.
pub(super) fn of_workload(manifest: &Manifest, workload: &Workload, found: &mut Vec<Found>) {
    // What its Namespace says is that one's to complain of.
    let (_, complaints) = Policy::of(workload, Defaults::default());
    // That a change does nothing without `reroll.dev/on-change` is a finding of its own.
    let complaints = complaints.iter().filter(|one| !one.is_not_enough());
    found.extend(complaints.map(|complaint| told(manifest, complaint)));
}

/// Checks the values of what is no workload.
pub(super) fn of_others(manifest: &Manifest, role: Role, found: &mut Vec<Found>) {
    match role {
        Role::Source(kind) => of_source(manifest, kind, found),
        Role::Namespace => of_namespace(manifest, found),
        Role::Lease => {
            let meta = manifest.meta();
            let says = meta.annotations.as_ref().and_then(|all| all.get(SUSPEND));
            let complaint = Complaint::of_suspension(says);
            found.extend(complaint.iter().map(|complaint| told(manifest, complaint)));
        }
        Role::Workload(_) | Role::Other => {}
    }
}

fn of_source(manifest: &Manifest, kind: SourceKind, found: &mut Vec<Found>) {
    let meta = manifest.meta();
    let name = SourceName {
        kind,
        name: manifest.name.clone(),
    };
    let (recreation, slow_start) = (Origin::of(&meta).asks, SlowStart::of(&meta));
    let complaints = [
        (kind.is_readable() && recreation == Asked::Unreadable)
            .then(|| Complaint::of_recreation(&name)),
        (kind.is_readable() && slow_start == SlowStart::Unreadable)
            .then(|| Complaint::of_slow_start(&name)),
    ];
    let complaints = complaints.iter().flatten();
    found.extend(complaints.map(|complaint| told(manifest, complaint)));
    found.extend(ignores_nothing(manifest, &meta));
}

/// Checks that a source that speaks of being ignored is, or says that it is not.
fn ignores_nothing(manifest: &Manifest, meta: &ObjectMeta) -> Option<Found> {
    let mut all = manifest.annotations();
    let said = all.find(|said| said.key == IGNORE)?;
    let text = said.text.filter(|text| !is_false(text))?;
    let (ignored, _) = counts(meta);
    (!ignored).then(|| {
        let wrong = format!("{IGNORE}: \"{}\" is not true or false", shown(text));
        let found = Found::new(Finding::Unreadable, manifest, said.line, wrong);
        found.instead(format!("{IGNORE}: \"true\""))
    })
}

fn of_namespace(manifest: &Manifest, found: &mut Vec<Found>) {
    let meta = manifest.meta();
    let label = meta.labels.as_ref().and_then(|all| all.get(RESTART_ON));
    let label = label.map(String::as_str);
    let (_, complaints) = Paced::read(&meta);
    found.extend(complaints.iter().map(|complaint| told(manifest, complaint)));
    let one_word = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let readable = complaints
        .iter()
        .all(|complaint| complaint.key != RESTART_ON);
    if let Some(text) = label.filter(|text| readable && !text.chars().all(one_word)) {
        let wrong = format!(
            "{RESTART_ON}: \"{}\" is no value that a label can have",
            shown(text)
        );
        let line = manifest.line_of(RESTART_ON);
        let one = Found::new(Finding::Unreadable, manifest, line, wrong);
        let words = "one word; a list is an annotation of each workload";
        found.push(one.instead(words));
    }
}

/// Returns a complaint of the model's as what was found.
fn told(manifest: &Manifest, complaint: &Complaint) -> Found {
    let line = manifest.line_of(complaint.key);
    let found = Found::new(Finding::Unreadable, manifest, line, complaint.to_string());
    match &complaint.meant {
        Some(meant) => found.instead(format!("{}: {}", complaint.key, quoted(meant))),
        None => found,
    }
}

/// Returns a value as YAML takes it for text.
fn quoted(meant: &str) -> String {
    let is_plain = meant.bytes().all(|byte| byte.is_ascii_lowercase()) && !is_false(meant);
    if is_plain {
        meant.to_owned()
    } else {
        format!("\"{meant}\"")
    }
}

/// Returns a value as a message shows it.
pub(super) fn shown(text: &str) -> String {
    use crate::model::text::{printable, shortened};
    shortened(&printable(text), 32).into_owned()
}
