//! What each annotation of Stakater Reloader means here: the same as there, or something else, or nothing. docs/reloader.md has
//! the whole table.

use super::{
    found::Found,
    keys::not_text,
    manifests::{Manifest, Said},
    spots::{Role, Spot},
};
use crate::{
    cli::findings::Finding,
    model::{
        Kind, Policy, SourceKind,
        annotation::{
            RESTART_ON,
            reloader::{
                AUTO, DOMAIN, IGNORE, MATCH, PAUSE_PERIOD, ROLLOUT_STRATEGY, SEARCH, selecting,
            },
        },
        nearest::nearest,
        places::Place,
        policy::Defaults,
        workload::RestartMeans,
    },
};

/// When Reloader paused a Deployment, which it writes itself.
const PAUSED_AT: &str = "deployment.reloader.stakater.com/paused-at";
/// What it left behind on a pod template.
pub(in crate::cli) const LEFT: &str = "reloader.stakater.com/last-reloaded-from";

/// What an annotation means here.
pub(in crate::cli) struct Meaning {
    pub(in crate::cli) finding: Finding,
    /// It means as little to Reloader.
    pub(in crate::cli) nor_there: bool,
    /// In words, behind the key.
    pub(in crate::cli) words: String,
    /// How reroll's own words say it.
    pub(in crate::cli) instead: Option<String>,
}

/// Checks the annotations of Reloader's on an object.
pub(super) fn check(manifest: &Manifest, role: Role, found: &mut Vec<Found>) {
    if role == Role::Other {
        return;
    }
    for spot in role.spots(manifest) {
        for said in spot.said().filter(|said| is_reloaders(said.key)) {
            if let Some(one) = not_text(manifest, said) {
                found.push(one);
                continue;
            }
            let meaning = meaning(manifest, role, spot, said);
            let wrong = format!("{} {}", said.key, meaning.words);
            let one = Found::new(meaning.finding, manifest, said.line, wrong);
            let instead = meaning.instead;
            found.push(Found { instead, ..one });
        }
    }
}

/// Whether an annotation is called as those of Reloader are.
pub(in crate::cli) fn is_reloaders(key: &str) -> bool {
    let before = key.split_once(DOMAIN).map(|(before, _)| before);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn same(instead: impl Into<String>) -> Meaning {
    Meaning {
        finding: Finding::ReloaderSame,
        nor_there: false,
        words: "means the same here".to_owned(),
        instead: Some(instead.into()),
    }
}

fn differs(words: impl Into<String>) -> Meaning {
    Meaning {
        finding: Finding::ReloaderDiffers,
        nor_there: false,
        words: words.into(),
        instead: None,
    }
}

/// What neither of them looks at.
fn nothing(words: impl Into<String>) -> Meaning {
    Meaning {
        nor_there: true,
        ..differs(words)
    }
}

/// Returns what an annotation of Reloader's means here.
pub(in crate::cli) fn meaning(
    manifest: &Manifest,
    role: Role,
    spot: Spot<'_>,
    said: Said<'_>,
) -> Meaning {
    match (role, spot.place) {
        (Role::Workload(kind), Place::Workload) => of_workload(manifest, kind, said),
        (Role::Workload(_), Place::Template) => of_template(manifest, said),
        (Role::Source(_), Place::Source | Place::Class) => match said.key {
            MATCH => same("reroll has no word of its own for it, and keeps to this one"),
            IGNORE => same("reroll.dev/ignore: \"true\""),
            _ => nothing("means nothing on a source"),
        },
        _ => nothing(format!("means nothing {}", spot.words)),
    }
}

fn of_workload(manifest: &Manifest, kind: Kind, said: Said<'_>) -> Meaning {
    let text = said.text.unwrap_or_default();
    match said.key {
        IGNORE if !opts_in(&[(IGNORE, text), (AUTO, "true")]) => Meaning {
            instead: Some(format!("{RESTART_ON}: \"off\"")),
            ..differs("leaves the workload alone here; Reloader restarts it all the same")
        },
        IGNORE => same("nothing: it ignores nothing"),
        PAUSE_PERIOD if kind.gathers => differs(
            "gathers changes for so long after the first one, and pauses nothing: the Deployment rolls once at the end",
        ),
        ROLLOUT_STRATEGY if kind.means == RestartMeans::RestartAt => {
            same("reroll has no word of its own for it, and keeps to this one")
        }
        PAUSED_AT => differs("means nothing here: nothing is paused"),
        key => match in_own_words(key, text) {
            None => unknown(key),
            Some(_) if is_selecting(key) && has(manifest, RESTART_ON) => differs(format!(
                "does not count beside {RESTART_ON}, which decides alone"
            )),
            Some(words) => same(words),
        },
    }
}

/// Those that select count on a pod template where the workload itself has none of them.
fn of_template(manifest: &Manifest, said: Said<'_>) -> Meaning {
    let kind = &manifest.kind;
    let own = || selecting().find(|key| has(manifest, key));
    match in_own_words(said.key, said.text.unwrap_or_default()) {
        Some(_) if is_selecting(said.key) && has(manifest, RESTART_ON) => differs(format!(
            "does not count beside {RESTART_ON}, which decides alone"
        )),
        Some(words) if is_selecting(said.key) => match own() {
            Some(key) => nothing(format!("does not count beside {key} of the {kind} itself")),
            None => same(format!("{words}, on the {kind} itself")),
        },
        Some(words) => Meaning {
            instead: Some(format!("{words}, on the {kind} itself")),
            ..nothing("does not count on a pod template")
        },
        None if said.key == LEFT => {
            differs("was left by Reloader, and means nothing here: it may stay")
        }
        None => nothing("means nothing on a pod template"),
    }
}

fn unknown(key: &str) -> Meaning {
    let known = [AUTO, SEARCH, IGNORE, MATCH, ROLLOUT_STRATEGY, PAUSE_PERIOD];
    let of_kinds = SourceKind::ALL.map(SourceKind::reloader);
    let of_kinds = of_kinds
        .iter()
        .flat_map(|keys| [keys.auto, keys.reload, keys.exclude]);
    // Most of a key is the same for all: what is before, and what is behind.
    let short = |key: &str| key.replacen("reloader.stakater.com", "", 1);
    let words: Vec<_> = known.into_iter().chain(of_kinds).collect();
    let shorts: Vec<_> = words.iter().map(|key| short(key)).collect();
    let likely = nearest(&short(key), shorts.iter().map(String::as_str));
    let likely = likely.and_then(|near| words.iter().find(|key| short(key) == near));
    Meaning {
        instead: likely
            .filter(|likely| **likely != key)
            .map(|key| (*key).to_owned()),
        ..nothing("means nothing here")
    }
}

/// Whether annotations opt a workload in that has no others.
fn opts_in(annotations: &[(&str, &str)]) -> bool {
    let owned = |(key, text): &(&str, &str)| ((*key).to_owned(), (*text).to_owned());
    let asks = annotations.iter().map(owned).collect();
    Policy::read(&asks, Defaults::default()).0.opted_in()
}

fn has(manifest: &Manifest, key: &str) -> bool {
    manifest.annotations().any(|said| said.key == key)
}

fn is_selecting(key: &str) -> bool {
    selecting().any(|known| known == key)
}

/// Returns how reroll's own words say what an annotation of a workload says that takes, or leaves out, sources.
fn in_own_words(key: &str, text: &str) -> Option<String> {
    let off = || !opts_in(&[(key, text)]);
    match key {
        AUTO if off() => return Some(format!("{RESTART_ON}: \"off\"")),
        AUTO => return Some(format!("{RESTART_ON}: auto")),
        SEARCH => {
            let words = "reroll has no word of its own for it, and keeps to this one";
            return Some(words.to_owned());
        }
        _ => {}
    }
    SourceKind::ALL.into_iter().find_map(|kind| {
        let keys = kind.reloader();
        let words = match key {
            key if key == keys.auto && off() => {
                return Some("nothing: it takes nothing".to_owned());
            }
            key if key == keys.auto => kind.plural().to_owned(),
            key if key == keys.reload => format!("{}/NAME", kind.prefix()),
            key if key == keys.exclude => format!("auto,!{}/NAME", kind.prefix()),
            _ => return None,
        };
        Some(format!("{RESTART_ON}: {words}"))
    })
}
