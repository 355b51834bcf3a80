//! What is annotated, in words.

use super::{Line, Target, Touched};
use crate::cli::{
    args::Targets,
    error::Error,
    object::Object,
    output::{Part, Text, Tone},
};

/// What is said where nobody says what to release.
pub(super) const NOTHING_RELEASED: &str = "release takes workloads, such as deploy/web, or --all for what is due in a namespace (-n, or that of the context), or --all -A for the whole cluster";

impl Targets {
    /// Checks that something is named.
    pub(super) fn named(&self, command: &str) -> Result<(), Error> {
        if self.all || !self.objects.is_empty() {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "{command} takes workloads or namespaces, such as deploy/web or namespace/shop, or --all -n NAMESPACE for one namespace, or --all for everything"
        )))
    }
}

impl Target {
    /// Returns it as people write it.
    pub(super) fn spoken(&self) -> String {
        match self {
            Self::Workload(key) => format!("{} in {}", key.spoken(), key.namespace),
            Self::Namespace(name) => format!("Namespace {name}"),
            Self::Lease(namespace, name) => format!("Lease {name} in {namespace}"),
        }
    }

    /// Returns the namespace that it is; `None` for a workload, and for everything.
    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Namespace(name) => Some(name),
            Self::Workload(_) | Self::Lease(..) => None,
        }
    }

    pub(super) fn line(&self, words: String) -> Line {
        let (kind, namespace, name) = match self {
            Self::Workload(key) => (key.kind.kind, key.namespace.clone(), key.name.clone()),
            Self::Namespace(name) => ("Namespace", String::new(), name.clone()),
            Self::Lease(namespace, name) => ("Lease", namespace.clone(), name.clone()),
        };
        let object = Object {
            kind,
            namespace,
            name,
        };
        Line { object, words }
    }
}

pub(super) fn table(touched: &Touched) -> Vec<Part> {
    let row = |line: &Line| -> Vec<Text> {
        let object = &line.object;
        let name = match object.namespace.as_str() {
            "" => format!("{} {}", object.kind, object.name),
            namespace => format!("{} {namespace}/{}", object.kind, object.name),
        };
        vec![name.into(), line.words.clone().into()]
    };
    let note = |note: &String| vec!["Note".into(), Tone::Warning.text(note.clone())];
    vec![
        Part::Rows(touched.objects.iter().map(row).collect()),
        Part::Rows(touched.notes.iter().map(note).collect()),
    ]
}
