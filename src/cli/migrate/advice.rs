//! What to write in the place of Reloader's annotations: a command for an object of a cluster, lines for one in a file.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::lint::manifests::Manifest;

/// What to write.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Advice {
    /// In reroll's words.
    pub(super) annotations: BTreeMap<String, String>,
    /// Of Reloader's on the object itself: they say nothing any more.
    pub(super) remove: Vec<String>,
    /// Of Reloader's: reroll has no words of its own for them.
    pub(super) keep: Vec<String>,
    /// Of Reloader's on the pod template, which say nothing any more: to take them away rolls the pods.
    pub(super) leave: Vec<String>,
    /// Why some stay, or what the nearest words of reroll's would change.
    pub(super) because: Vec<String>,
    /// The nearest opt-in, where none says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nearest: Option<String>,
    /// What writes it to a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<String>,
    /// What to write in a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lines: Vec<Edit>,
}

/// A line of a file to put in place, or to take away.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Edit {
    pub(super) file: String,
    pub(super) line: usize,
    /// `+` or `-`, and the annotation.
    pub(super) change: String,
}

impl Advice {
    /// Whether there is something to write.
    pub(super) fn changes(&self) -> bool {
        !self.annotations.is_empty() || !self.remove.is_empty()
    }

    /// Says it as a command. `resource` is how kubectl names the object.
    pub(super) fn command(&mut self, resource: &str, namespace: Option<&str>) {
        if !self.changes() {
            return;
        }
        let mut words = vec!["kubectl annotate".to_owned(), resource.to_owned()];
        if let Some(namespace) = namespace {
            words.push(format!("-n {namespace}"));
        }
        let written = self.annotations.iter();
        words.extend(written.map(|(key, text)| quoted(&format!("{key}={text}"))));
        words.extend(self.remove.iter().map(|key| quoted(&format!("{key}-"))));
        self.command = Some(words.join(" "));
    }

    /// Says it as lines of the manifest.
    pub(super) fn lines(&mut self, manifest: &Manifest) {
        let line = |line: usize, change: String| Edit {
            file: manifest.file.to_string(),
            line,
            change,
        };
        let own: Vec<_> = manifest.annotations().collect();
        let at = |key: &str| {
            own.iter()
                .find(|said| said.key == key)
                .map(|said| said.line)
        };
        let removed = self.remove.iter().filter_map(|key| {
            let said = own.iter().find(|said| said.key == key)?;
            let text = yaml(said.text.unwrap_or_default());
            Some(line(said.line, format!("- {key}: {text}")))
        });
        let mut lines: Vec<_> = removed.collect();
        let first = lines.first().map(|line| line.line);
        // Where there is none to replace, they stand under `metadata.annotations`.
        let first = first.or_else(|| own.first().map(|said| said.line));
        for (key, text) in &self.annotations {
            let place = at(key).or(first).unwrap_or(manifest.line);
            lines.push(line(place, format!("+ {key}: {}", yaml(text))));
        }
        lines.sort_by_key(|line| line.line);
        self.lines = lines;
    }
}

/// Returns a word as shells read it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=,:@%+".contains(letter);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Returns a text as YAML has it: what would be no text is quoted.
fn yaml(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./,".contains(letter);
    let starts = text.starts_with(|letter: char| letter.is_ascii_alphabetic());
    let word = [
        "true", "false", "yes", "no", "on", "off", "null", "y", "n", "t", "f",
    ]
    .contains(&text.to_lowercase().as_str());
    if starts && !word && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_copied() {
        let mut advice = Advice {
            annotations: [(
                "reroll.dev/restart-on".to_owned(),
                "auto,!secret/a-*".to_owned(),
            )]
            .into(),
            remove: vec!["reloader.stakater.com/auto".to_owned()],
            ..Advice::default()
        };
        advice.command("deployments.apps/web", Some("shop"));
        assert_eq!(
            advice.command.as_deref(),
            Some(
                "kubectl annotate deployments.apps/web -n shop 'reroll.dev/restart-on=auto,!secret/a-*' reloader.stakater.com/auto-"
            )
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
        let mut nothing = Advice::default();
        nothing.command("deployments.apps/web", None);
        assert_eq!(nothing.command, None);
    }

    #[test]
    fn lines_are_text_in_yaml() {
        for (text, expected) in [
            ("auto", "auto"),
            ("off", "\"off\""),
            ("secrets,configmap/a", "secrets,configmap/a"),
            ("!secret/a", "\"!secret/a\""),
            ("secret/a-*", "\"secret/a-*\""),
            ("a\"b\\", "\"a\\\"b\\\\\""),
            ("1", "\"1\""),
        ] {
            assert_eq!(yaml(text), expected);
            let read: String = serde_saphyr::from_str(&yaml(text)).unwrap();
            assert_eq!(read, text);
        }
    }
}
