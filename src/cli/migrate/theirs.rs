//! Reloader as it is installed: its Deployment, and what its flags say.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::flags::{Given, find};
use crate::{
    cli::lint::{manifests::Manifest, reloader::is_reloaders},
    model::conventions::Vocabulary,
};

/// What the image is called, whatever registry it is in.
const IMAGE: &str = "reloader";
/// What its variables for alerts begin with.
const ALERT: &str = "ALERT_";
/// The variable that makes it work in one namespace.
const ONE_NAMESPACE: &str = "KUBERNETES_NAMESPACE";

/// A Reloader that is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Theirs {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) flags: Vec<Given>,
    /// The flags with their values.
    #[serde(skip)]
    values: BTreeMap<String, String>,
}

impl Theirs {
    /// Returns the Reloader that a Deployment runs, if it runs one.
    pub(super) fn of(manifest: &Manifest) -> Option<Self> {
        let root = manifest.root.json();
        let containers = root.pointer("/spec/template/spec/containers")?.as_array()?;
        containers.iter().find_map(|container| {
            let image = container.get("image")?.as_str()?;
            (manifest.kind == "Deployment" && is_reloader(image)).then(|| {
                let values = values(container);
                let mut flags: Vec<_> = values
                    .iter()
                    .map(|(name, value)| Given::of(name, value))
                    .collect();
                flags.extend(variables(container));
                Self {
                    namespace: manifest.namespace.clone(),
                    name: manifest.name.clone(),
                    image: image.to_owned(),
                    flags,
                    values,
                }
            })
        })
    }

    /// Returns it as people write it.
    pub(super) fn spoken(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("Deployment {namespace}/{}", self.name),
            None => format!("Deployment {}", self.name),
        }
    }

    /// Whether workloads are restarted that say nothing.
    pub(super) fn all(&self) -> bool {
        self.is_on("auto-reload-all")
    }

    /// Whether a flag is on.
    pub(super) fn is_on(&self, flag: &str) -> bool {
        self.values.get(flag).is_some_and(|value| value == "true")
    }

    /// Whether a list that a flag has names something.
    pub(super) fn lists(&self, flag: &str, word: &str) -> bool {
        let list = self.values.get(flag).map_or("", String::as_str);
        list.split(',')
            .any(|item| item.trim().eq_ignore_ascii_case(word))
    }

    /// Returns what annotations are called there.
    pub(super) fn vocabulary(&self) -> Vocabulary {
        let named = self.named();
        named.fold(Vocabulary::default(), |all, (meant, name)| {
            all.with(meant, name.to_owned())
        })
    }

    /// Returns the usual name of an annotation; `None` where it means nothing to it.
    pub(super) fn meant<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        if let Some((meant, _)) = self.named().find(|(_, name)| *name == key) {
            return Some(meant);
        }
        let replaced = self.named().any(|(meant, _)| meant == key);
        (is_reloaders(key) && !replaced).then_some(key)
    }

    /// Returns how an annotation is called there.
    pub(super) fn called<'a>(&'a self, meant: &'a str) -> &'a str {
        let found = self.named().find(|(usual, _)| *usual == meant);
        found.map_or(meant, |(_, name)| name)
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let named = self.values.iter();
        named.filter_map(|(flag, value)| Some((find(flag)?.names?, value.as_str())))
    }
}

/// Whether an image is called as Reloader's is.
fn is_reloader(image: &str) -> bool {
    let without_digest = image.split('@').next().unwrap_or_default();
    let last = without_digest.rsplit('/').next().unwrap_or_default();
    let name = last.split(':').next().unwrap_or_default();
    name == IMAGE || name.starts_with("reloader-ubi")
}

/// Returns the flags of a container, as pflag reads them.
fn values(container: &Value) -> BTreeMap<String, String> {
    let words = ["command", "args"].map(|field| container.get(field).and_then(Value::as_array));
    let words = words.into_iter().flatten().flatten();
    let mut words = words.filter_map(Value::as_str).peekable();
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--") else {
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, value),
            None if find(flag).is_some_and(|known| known.switch) => (flag, "true"),
            None => (
                flag,
                words.next_if(|next| !next.starts_with("--")).unwrap_or(""),
            ),
        };
        let value = value.trim_matches('"');
        // Lists may be given in parts.
        let known = values.entry(name.to_owned()).or_default();
        if known.is_empty() || find(name).is_none_or(|flag| flag.switch) {
            value.clone_into(known);
        } else {
            known.push(',');
            known.push_str(value);
        }
    }
    values
}

/// Returns the variables that say something to it, without their values.
fn variables(container: &Value) -> Vec<Given> {
    let all = container.get("env").and_then(Value::as_array);
    let names = all
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("name")?.as_str());
    let given = names.filter_map(|name| match name {
        ONE_NAMESPACE => Some(Given {
            flag: name.to_owned(),
            here: Some("--namespaces".to_owned()),
            chart: Some("watch.namespaces".to_owned()),
            why: None,
        }),
        name if name.starts_with(ALERT) => Some(Given {
            flag: name.to_owned(),
            here: None,
            chart: None,
            why: Some("reroll reads the same variable (extraEnv of the chart)"),
        }),
        _ => None,
    });
    given.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::lint::manifests;

    fn theirs(image: &str, args: &str) -> Option<Theirs> {
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: reloader, namespace: tools}}\nspec: {{template: {{spec: {{containers: [{{name: c, image: \"{image}\", args: [{args}], env: [{{name: ALERT_WEBHOOK_URL, value: s3cret}}, {{name: GOMAXPROCS, value: \"1\"}}]}}]}}}}}}\n"
        );
        let read = manifests::read("f", &text, None).unwrap();
        Theirs::of(&read[0])
    }

    #[test]
    fn it_is_known_by_its_image() {
        for (image, is_it) in [
            ("ghcr.io/stakater/reloader:v1.4.21", true),
            ("stakater/reloader", true),
            ("registry.example:5000/mirror/reloader@sha256:00", true),
            ("ghcr.io/stakater/reloader-ubi:v1.4.21", true),
            ("example.com/config-reloader:v1", false),
            ("reroll", false),
        ] {
            assert_eq!(theirs(image, "").is_some(), is_it, "{image}");
        }
    }

    #[test]
    fn flags_are_read_as_it_reads_them() {
        let args = "--auto-reload-all, --namespaces-to-ignore, a, \"--namespaces-to-ignore=b\", \"--auto-annotation=acme.dev/roll\", \"--reload-strategy=annotations\"";
        let theirs = theirs("stakater/reloader", args).unwrap();
        assert!(theirs.all());
        assert!(theirs.lists("namespaces-to-ignore", "b"));
        let flags: Vec<_> = theirs
            .flags
            .iter()
            .map(|given| given.flag.as_str())
            .collect();
        assert_eq!(
            flags,
            [
                "--auto-annotation=acme.dev/roll",
                "--auto-reload-all=true",
                "--namespaces-to-ignore=a,b",
                "--reload-strategy=annotations",
                "ALERT_WEBHOOK_URL",
            ]
        );
        assert_eq!(
            theirs.meant("acme.dev/roll"),
            Some("reloader.stakater.com/auto")
        );
        assert_eq!(theirs.meant("reloader.stakater.com/auto"), None);
        assert_eq!(theirs.called("reloader.stakater.com/auto"), "acme.dev/roll");
        assert!(!format!("{theirs:?}").contains("s3cret"));
    }
}
