//! Entries of Reloader's lists that are the name of no object: whoever writes `secret/db` there means `db`.
//!
//! They match nothing, there as here, and nobody says so.

use super::{MAX_ENTRIES, entries};
use crate::model::{
    policy::complaint::{Complaint, complaint},
    source::SourceKind,
    workload::{Asks, said_of},
};

/// What an entry should be.
const EXPECTED: &str = "a name that an object can have";

/// The most entries of which it is told.
const MOST: usize = 8;

/// Complains of those.
pub(in crate::model::policy) fn complain(asks: &Asks, complaints: &mut Vec<Complaint>) {
    for kind in SourceKind::ALL {
        let keys = kind.reloader();
        let lists = [
            (keys.reload, said_of(asks, kind, keys.reload)),
            (keys.exclude, asks.get(keys.exclude)),
        ];
        for (key, list) in lists {
            let all = entries(list).take(MAX_ENTRIES);
            let told = all.filter_map(|entry| wrong(key, kind, entry));
            complaints.extend(told.take(MOST));
        }
    }
}

fn wrong(key: &'static str, kind: SourceKind, entry: &str) -> Option<Complaint> {
    let is_plain = !entry.contains([
        '^', '$', '\\', '|', '(', ')', '[', ']', '{', '}', '*', '+', '?',
    ]);
    // No name has a slash, whatever an expression makes of the rest.
    let is_none = entry.contains('/') || (is_plain && entry.contains([':', '=', ' ', '!', '#']));
    is_none.then(|| {
        let meant = meant(kind, entry.trim_start_matches('!'));
        let expected = match &meant {
            Some(meant) => format!("{EXPECTED}: did you mean {meant}?").into(),
            None => EXPECTED.into(),
        };
        Complaint {
            expected,
            meant,
            ..complaint(key, entry, "")
        }
    })
}

/// Returns the name without its kind, or each of several.
fn meant(kind: SourceKind, entry: &str) -> Option<String> {
    let is_name = |name: &str| !name.is_empty() && !name.contains(['/', ':', '=', ' ', '!', '#']);
    if let Some((word, name)) = entry.split_once(['/', ':', '=']) {
        let named = SourceKind::called(word.trim()) == Some(kind);
        return Some(name.trim().to_owned()).filter(|name| named && is_name(name));
    }
    let names: Vec<_> = entry.split_whitespace().collect();
    (names.len() > 1 && names.iter().all(|name| is_name(name))).then(|| names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_object_is_called_is_told() {
        let (reload, exclude) = (
            SourceKind::Secret.reloader().reload,
            SourceKind::Secret.reloader().exclude,
        );
        for (text, expected) in [
            ("db", None),
            ("db-.*, [a-z:]+", None),
            ("secret/db", Some(("secret/db", Some("db")))),
            ("secrets/db-.*", Some(("secrets/db-.*", Some("db-.*")))),
            ("a, secret:db", Some(("secret:db", Some("db")))),
            ("db cfg", Some(("db cfg", Some("db,cfg")))),
            ("configmap/cfg", Some(("configmap/cfg", None))),
            ("shop/db", Some(("shop/db", None))),
            ("db#key", Some(("db#key", None))),
            ("!db", Some(("!db", None))),
        ] {
            for key in [reload, exclude] {
                let asks = Asks::from_iter([(key.to_owned(), text.to_owned())]);
                let mut told = Vec::new();
                complain(&asks, &mut told);
                let told: Vec<_> = told.iter().map(ToString::to_string).collect();
                let expected = expected.map(|(entry, meant)| {
                    let meant = meant.map(|meant| format!(": did you mean {meant}?"));
                    let meant = meant.unwrap_or_default();
                    format!("{key}: \"{entry}\" is not a name that an object can have{meant}")
                });
                assert_eq!(told, Vec::from_iter(expected), "{key}: {text}");
            }
        }
    }
}
