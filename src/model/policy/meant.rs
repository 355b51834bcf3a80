//! What was meant by an entry of an opt-in that cannot be read: `secrets/db`, as kubectl writes it, is `secret/db` here.
//!
//! Only what can mean one thing is named. Whoever follows it gets what he asked for.

use crate::model::{
    nearest::{is_slip, nearest},
    source::{Named, References, SourceKind},
};

/// What people write for `auto`, in whatever case.
const ALL_WORDS: [&str; 7] = ["true", "yes", "on", "all", "any", "enabled", "*"];
/// What people write for nothing.
const NOTHING: [&str; 6] = ["false", "no", "none", "never", "disabled", "ignore"];
/// What takes nothing.
pub(super) const OFF: &str = "off";
/// Words of three letters: only a slip of the fingers means them, for of three letters any may be meant.
const SHORT: [&str; 2] = ["env", OFF];
/// No suggestion is longer: what is told has to fit into one line at the prompt.
const LONGEST: usize = 100;

/// Returns what was meant by an entry, in words that can be read; `None` where that is not clear. `references`: what the
/// workload uses, among which a bare name is looked for.
pub(super) fn meant(entry: &str, references: &References) -> Option<String> {
    let tidy = tidied(entry);
    let parts: Vec<_> = tidy.split([' ', ';', '|', '+', '&']).collect();
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let meant = match parts[..] {
        [one] => alone(one, references),
        // As in `kubectl get secret db`.
        [kind, name]
            if let Some(kind) = SourceKind::called(kind)
                && !is_word(name)
                && !name.contains(['/', '!']) =>
        {
            entry_of(false, kind, name)
        }
        _ => {
            let all: Option<Vec<_>> = parts.iter().map(|part| alone(part, references)).collect();
            all.map(|all| all.join(","))
        }
    };
    meant.filter(|meant| !meant.is_empty() && meant.len() <= LONGEST && meant != entry)
}

/// Returns a name whose kind nobody says, and which may be of any; `None` where an entry is something else.
pub(super) fn bare(entry: &str) -> Option<&str> {
    let is_one = Named::read(&format!("{}/{entry}", SourceKind::Secret.prefix())).is_some();
    (is_one && !entry.contains(['#', '*', '?'])).then_some(entry)
}

/// Takes away what belongs to YAML and no entry, and makes one blank of many, none beside what joins.
fn tidied(entry: &str) -> String {
    let bare = entry.trim_matches(['"', '\'', '[', ']', '(', ')', '{', '}', ' ']);
    let words: Vec<_> = bare.split_whitespace().collect();
    let mut text = words.join(" ");
    for sign in ["/", ":", "=", "#"] {
        text = text
            .replace(&format!(" {sign}"), sign)
            .replace(&format!("{sign} "), sign);
    }
    text.replace("! ", "!")
}

fn alone(part: &str, references: &References) -> Option<String> {
    let (not, rest) = match part.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, part),
    };
    if (!not && is_word(rest)) || Named::read(rest).is_some() {
        return Some(part.to_owned());
    }
    match rest.split_once(['/', ':', '=']) {
        Some((word, name)) => entry_of(not, kind_of(word)?, name),
        None => by_itself(not, rest, references),
    }
}

/// Whether it is a word of the opt-in that takes something.
fn is_word(text: &str) -> bool {
    let plurals = SourceKind::ALL.map(SourceKind::plural);
    ["auto", "env", "volume"].contains(&text) || plurals.contains(&text)
}

fn kind_of(word: &str) -> Option<SourceKind> {
    let names = || {
        let all = SourceKind::ALL.into_iter();
        all.flat_map(|kind| [kind.prefix(), kind.plural()])
    };
    SourceKind::called(word).or_else(|| SourceKind::called(nearest(word, names())?))
}

/// Returns the entry for a name of this kind, where any object can be called so.
fn entry_of(not: bool, kind: SourceKind, name: &str) -> Option<String> {
    let (name, key) = match name.split_once(['#', ':', '=']) {
        Some((name, key)) => (name, format!("#{key}")),
        None => (name, String::new()),
    };
    let entry = format!("{}/{}{key}", kind.prefix(), name.to_ascii_lowercase());
    Named::read(&entry)?;
    Some(if not { format!("!{entry}") } else { entry })
}

/// Returns what was meant by a word without a kind.
fn by_itself(not: bool, word: &str, references: &References) -> Option<String> {
    let lower = word.to_lowercase();
    if let Some(kind) = SourceKind::called(&lower) {
        return Some(if not {
            format!("!{}/*", kind.prefix())
        } else {
            kind.plural().to_owned()
        });
    }
    if !not && ALL_WORDS.contains(&lower.as_str()) {
        return Some("auto".to_owned());
    }
    let (name, key) = word
        .split_once('#')
        .map_or((word, None), |(name, key)| (name, Some(key)));
    let mut called = references.keys().filter(|source| source.name == name);
    if let Some(source) = called.next() {
        let name = key.map_or_else(|| name.to_owned(), |key| format!("{name}#{key}"));
        return entry_of(not, source.kind, &name).filter(|_| called.next().is_none());
    }
    if not || key.is_some() {
        return None;
    }
    if NOTHING.contains(&lower.as_str()) {
        return Some(OFF.to_owned());
    }
    let plurals = SourceKind::ALL.map(SourceKind::plural).into_iter();
    let near = nearest(&lower, plurals.chain(["auto", "volume"]));
    let slip = || SHORT.into_iter().find(|word| is_slip(&lower, word));
    near.or_else(slip).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        source::{Need, SourceName},
        testing::whole,
    };

    #[test]
    fn what_can_mean_one_thing_is_named() {
        let uses: References = [
            SourceName::secret("db"),
            SourceName::secret("both"),
            SourceName::config_map("both"),
            SourceName::config_map("cfg"),
        ]
        .into_iter()
        .map(|source| (source, whole(Need::Required)))
        .collect();
        for (entry, expected) in [
            ("secrets/db", Some("secret/db")),
            ("Secret/db", Some("secret/db")),
            ("secret/DB", Some("secret/db")),
            ("cm/cfg", Some("configmap/cfg")),
            ("configmaps/cfg", Some("configmap/cfg")),
            ("config-map/cfg", Some("configmap/cfg")),
            ("secert/db", Some("secret/db")),
            (
                "secretproviderclasses/vault",
                Some("secretproviderclass/vault"),
            ),
            ("secret:db", Some("secret/db")),
            ("secret=db", Some("secret/db")),
            ("secret: db", Some("secret/db")),
            ("secret / db", Some("secret/db")),
            ("secret db", Some("secret/db")),
            ("secret/db:password", Some("secret/db#password")),
            ("secrets/db#password", Some("secret/db#password")),
            ("secrets/d*", Some("secret/d*")),
            ("!secrets/db", Some("!secret/db")),
            ("! secret/db", Some("!secret/db")),
            ("!secrets", Some("!secret/*")),
            ("auto !secret/db", Some("auto,!secret/db")),
            ("auto; secrets/db", Some("auto,secret/db")),
            ("secret/db configmap/cfg", Some("secret/db,configmap/cfg")),
            ("[secret/db", Some("secret/db")),
            ("\"secret/db\"", Some("secret/db")),
            ("db", Some("secret/db")),
            ("!db", Some("!secret/db")),
            ("db#password", Some("secret/db#password")),
            ("cfg", Some("configmap/cfg")),
            ("true", Some("auto")),
            ("Auto", Some("auto")),
            ("atuo", Some("auto")),
            ("secret", Some("secrets")),
            ("ConfigMap", Some("configmaps")),
            ("volumes", Some("volume")),
            ("envs", Some("env")),
            ("of", Some("off")),
            ("no", Some("off")),
            // These may mean several things, or nothing.
            ("both", None),
            ("api", None),
            ("!auto", None),
            ("!true", None),
            ("shop/db", None),
            ("pod/web", None),
            ("secret/", None),
            ("secret/shop/db", None),
            ("secret/d b", None),
            ("auto secret", Some("auto,secrets")),
            ("auto something", None),
            ("", None),
            ("!", None),
            (";;", None),
            (&format!("secrets/{}", "x".repeat(100)), None),
        ] {
            assert_eq!(meant(entry, &uses).as_deref(), expected, "{entry}");
        }
    }

    #[test]
    fn a_bare_name_may_be_of_any_kind() {
        for (entry, expected) in [
            ("api", Some("api")),
            ("a.b-c", Some("a.b-c")),
            ("API", None),
            ("a b", None),
            ("a/b", None),
            ("!a", None),
            ("", None),
        ] {
            assert_eq!(bare(entry), expected, "{entry}");
        }
    }
}
