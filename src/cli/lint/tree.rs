//! YAML, and JSON, which is YAML too, with the line of each key and value.
//!
//! Reading is total: any text becomes documents, or an error with its line. The spans are those of serde-saphyr, by which
//! kube reads kubeconfigs. Scalars are what they are for kubectl: `off` without quotes is a boolean.

mod read;

use serde_json::{Map, Number, Value};
use serde_saphyr::{
    Error, Options,
    budget::BudgetBreach,
    options::{DuplicateKeyPolicy, NonFiniteFloatPolicy},
};

/// How deep lists and maps may stand in one another. Definitions of custom resources, the deepest that people write, need half of
/// it; each level takes some of the stack.
const DEPTH: usize = 64;
/// How many keys, values and ends of them anchors may have, for each time that aliases stand in one another.
const REPEATED: usize = 100_000;

/// A value, and the line that it begins on.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Node {
    pub(in crate::cli) line: usize,
    pub(in crate::cli) form: Form,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) enum Form {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map, and its line.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Key {
    pub(in crate::cli) line: usize,
    pub(in crate::cli) text: String,
}

/// Why a text is no YAML, and on which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct NoYaml {
    pub(in crate::cli) line: Option<usize>,
    pub(in crate::cli) why: String,
}

/// Reads the documents of a text. Empty ones are none.
pub(in crate::cli) fn documents(text: &str) -> Result<Vec<Node>, NoYaml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| NoYaml {
        line: error
            .location()
            .and_then(|at| usize::try_from(at.line()).ok()),
        why: why(&error),
    })
}

/// Returns why a text is no YAML, in words for whoever wrote it.
fn why(error: &Error) -> String {
    match error.without_snippet() {
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => format!("lists and maps stand in one another more than {DEPTH} deep"),
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "its aliases (*name) make too much of it: write out what they repeat".to_owned()
        }
        // What went wrong where an alias stands.
        Error::AliasError { error, .. } => why(error),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias (*name) stands in what it repeats, which has no end".to_owned()
        }
        // What it says may have lines of its own, which show the text around: that may be a Secret's.
        other => {
            let told = other.to_string();
            let first = told.lines().next().unwrap_or_default();
            first
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned()
        }
    }
}

/// Everything that people have in their files. What bounds it is how deep it goes, and how much aliases make of it.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH,
            max_documents: usize::MAX,
            max_events: usize::MAX,
            max_recorded_anchor_events: REPEATED,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            enforce_alias_anchor_ratio: false,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        emit_comments: false,
        ignore_binary_tag_for_string: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    }
}

impl Node {
    /// Returns the value of a key; the last one where it stands there twice, as for kubectl.
    pub(in crate::cli) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.entries().rev().find(|(known, _)| known.text == key);
        found.map(|(_, node)| node)
    }

    /// Returns what is at the end of keys.
    pub(in crate::cli) fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Returns what a JSON pointer leads to, through maps and lists.
    pub(in crate::cli) fn pointer(&self, pointer: &str) -> Option<&Self> {
        let mut steps = pointer.split('/').skip(1);
        steps.try_fold(self, |node, step| {
            let step = step.replace("~1", "/").replace("~0", "~");
            match &node.form {
                Form::List(items) => items.get(step.parse::<usize>().ok()?),
                _ => node.get(&step),
            }
        })
    }

    /// Returns the text that it is.
    pub(in crate::cli) fn text(&self) -> Option<&str> {
        match &self.form {
            Form::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the text at the end of keys.
    pub(in crate::cli) fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys)?.text()
    }

    /// Returns the entries of the map that it is.
    pub(in crate::cli) fn entries(&self) -> impl DoubleEndedIterator<Item = (&Key, &Self)> {
        let entries = match &self.form {
            Form::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|(key, node)| (key, node))
    }

    /// Returns the items of the list that it is.
    pub(in crate::cli) fn items(&self) -> &[Self] {
        match &self.form {
            Form::List(items) => items,
            _ => &[],
        }
    }

    /// Returns the items of the list that is the value of a key.
    pub(in crate::cli) fn into_items(self, key: &str) -> Vec<Self> {
        let Form::Map(entries) = self.form else {
            return Vec::new();
        };
        let mut entries = entries.into_iter().rev();
        let found = entries.find(|(known, _)| known.text == key);
        match found.map(|(_, node)| node.form) {
            Some(Form::List(items)) => items,
            _ => Vec::new(),
        }
    }

    /// Returns a value that stands on no line.
    pub(super) fn of(value: Value) -> Self {
        let form = match value {
            Value::Null => Form::Null,
            Value::Bool(bool) => Form::Bool(bool),
            Value::Number(number) => Form::Number(number),
            Value::String(text) => Form::Text(text),
            Value::Array(items) => Form::List(items.into_iter().map(Self::of).collect()),
            Value::Object(entries) => {
                let entry = |(text, value)| (Key { line: 0, text }, Self::of(value));
                Form::Map(entries.into_iter().map(entry).collect())
            }
        };
        Self { line: 0, form }
    }

    /// Returns the same without lines.
    pub(in crate::cli) fn json(&self) -> Value {
        match &self.form {
            Form::Null => Value::Null,
            Form::Bool(bool) => Value::Bool(*bool),
            Form::Number(number) => Value::Number(number.clone()),
            Form::Text(text) => Value::String(text.clone()),
            Form::List(items) => items.iter().map(Self::json).collect(),
            Form::Map(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|(key, node)| (key.text.clone(), node.json()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }
}

#[cfg(test)]
mod tests;
