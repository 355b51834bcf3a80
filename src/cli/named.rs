//! How people name objects, as kubectl does: `deploy/web`, `deployment web`, `deployments.apps/web`, `cm/cfg`.

use super::error::Error;
use crate::model::{
    Kind, SourceKind, SourceName,
    workload::{KINDS, Kinds, NAMED},
};

/// What was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A workload.
    Workload(Kind, String),
    /// A Secret or ConfigMap.
    Source(SourceName),
    /// A Namespace.
    Namespace(String),
}

/// Reads one name: `KIND/NAME`, or `KIND NAME` as two words.
pub(super) fn one(words: &[String], kinds: &Kinds) -> Result<Named, Error> {
    match words {
        [word] => pair(word, kinds),
        [kind, name] if !kind.contains('/') && !name.contains('/') => read(kind, name, kinds),
        [first, .., last] if first.contains('/') && last.contains('/') => {
            Err(Error::Usage(format!(
                "\"{}\" names several objects, and one is asked about at a time",
                words.join(" ")
            )))
        }
        _ => Err(unreadable(&words.join(" "))),
    }
}

/// Reads several names: each `KIND/NAME`, or one kind and then its names.
pub(super) fn all(words: &[String], kinds: &Kinds) -> Result<Vec<Named>, Error> {
    match words {
        [kind, names @ ..] if !kind.contains('/') && !names.is_empty() => {
            let plain = |name: &&String| name.contains('/');
            match names.iter().find(plain) {
                Some(name) => Err(unreadable(&format!("{kind} {name}"))),
                None => names.iter().map(|name| read(kind, name, kinds)).collect(),
            }
        }
        _ => words.iter().map(|word| pair(word, kinds)).collect(),
    }
}

fn pair(word: &str, kinds: &Kinds) -> Result<Named, Error> {
    let (kind, name) = word.split_once('/').ok_or_else(|| unreadable(word))?;
    read(kind, name, kinds)
}

fn unreadable(text: &str) -> Error {
    Error::Usage(format!(
        "\"{text}\" names no object: write KIND/NAME, such as deploy/web, sts/db or secret/db"
    ))
}

fn read(kind: &str, name: &str, kinds: &Kinds) -> Result<Named, Error> {
    if name.is_empty() || name.contains('/') {
        return Err(unreadable(&format!("{kind}/{name}")));
    }
    let name = name.to_owned();
    let word = kind.to_ascii_lowercase();
    if ["namespace", "namespaces", "ns"].contains(&word.as_str()) {
        return Ok(Named::Namespace(name));
    }
    if let Some(kind) = SourceKind::called(&word) {
        return Ok(Named::Source(SourceName { kind, name }));
    }
    let known = NAMED.iter().map(|(kind, _)| *kind);
    let mut rows = kinds.iter().chain(KINDS.iter()).chain(known);
    let found = rows.find(|row| is_called(row, &word));
    found.map(|kind| Named::Workload(kind, name)).ok_or_else(|| {
        Error::Usage(format!(
            "\"{kind}\" is no kind that reroll knows: it restarts {}; sources are secret and configmap",
            listed(kinds)
        ))
    })
}

/// Whether a kind is called so: its name, plural or short name, and its group behind a dot.
fn is_called(row: Kind, word: &str) -> bool {
    let (name, group) = word.split_once('.').unwrap_or((word, ""));
    let kind = row.kind.to_ascii_lowercase();
    let plain = [kind.as_str(), row.plural, row.short_name].contains(&name) && !name.is_empty();
    // `deployments.v1.apps`, as kubectl has it where a version is meant.
    let after_version = group.strip_prefix(row.version);
    let after_version = after_version.and_then(|rest| rest.strip_prefix('.'));
    plain && (group.is_empty() || group == row.group || after_version == Some(row.group))
}

fn listed(kinds: &Kinds) -> String {
    let names: Vec<_> = kinds.iter().map(|row| row.kind).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::{CRON_JOB, ROLLOUT};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(ToOwned::to_owned).collect()
    }

    #[test]
    fn objects_are_named_as_kubectl_names_them() {
        let web = |kind| Named::Workload(kind, "web".to_owned());
        let rows = [
            ("deploy/web", web(&KINDS[0])),
            ("deployment/web", web(&KINDS[0])),
            ("Deployment web", web(&KINDS[0])),
            ("deployments.apps/web", web(&KINDS[0])),
            ("deployments.v1.apps/web", web(&KINDS[0])),
            ("sts/web", web(&KINDS[1])),
            ("statefulset web", web(&KINDS[1])),
            ("ds/web", web(&KINDS[2])),
            ("cj/web", web(&CRON_JOB)),
            ("rollouts.argoproj.io/web", web(&ROLLOUT)),
            ("secret/web", Named::Source(SourceName::secret("web"))),
            ("secrets web", Named::Source(SourceName::secret("web"))),
            ("cm/web", Named::Source(SourceName::config_map("web"))),
            ("ns/web", Named::Namespace("web".to_owned())),
        ];
        for (text, expected) in rows {
            let named = one(&words(text), &Kinds::default()).unwrap();
            assert_eq!(named, expected, "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_said() {
        for text in [
            "web",
            "deploy/",
            "/web",
            "pod/web",
            "deployments.batch/web",
            "deploy/a/b",
            "a b c",
            "",
        ] {
            let failed = one(&words(text), &Kinds::default()).unwrap_err();
            assert!(matches!(failed, Error::Usage(_)), "{text}: {failed}");
        }
    }

    #[test]
    fn several_are_named_in_both_ways() {
        let two = vec![
            Named::Workload(&KINDS[0], "a".to_owned()),
            Named::Workload(&KINDS[0], "b".to_owned()),
        ];
        for text in ["deploy/a deployment/b", "deploy a b"] {
            assert_eq!(all(&words(text), &Kinds::default()).unwrap(), two, "{text}");
        }
        assert!(all(&words("deploy a sts/b"), &Kinds::default()).is_err());
    }
}
