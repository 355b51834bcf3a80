//! One thing that was found: which finding it is, where, what is wrong, and what to write instead.

use std::sync::Arc;

use super::manifests::Manifest;
use crate::cli::findings::Finding;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) finding: Finding,
    pub(super) file: Arc<str>,
    pub(super) line: usize,
    pub(super) origin: Option<String>,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// What is wrong, without a full stop.
    pub(super) wrong: String,
    /// What to write instead.
    pub(super) instead: Option<String>,
}

impl Found {
    /// Returns what was found on a line of an object.
    pub(super) fn new(
        finding: Finding,
        manifest: &Manifest,
        line: usize,
        wrong: impl Into<String>,
    ) -> Self {
        Self {
            finding,
            file: manifest.file.clone(),
            line,
            origin: manifest.origin.clone(),
            kind: manifest.kind.clone(),
            namespace: manifest.namespace.clone(),
            name: manifest.name.clone(),
            wrong: wrong.into(),
            instead: None,
        }
    }

    /// Returns the same with what to write instead.
    pub(super) fn instead(self, text: impl Into<String>) -> Self {
        let instead = Some(text.into());
        Self { instead, ..self }
    }

    /// Returns the object as people write it: `Deployment shop/web`.
    pub(super) fn spoken(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}
