//! What a source is called.

use std::{fmt, str::FromStr};

use super::kinds::SourceKind;

/// A source within a namespace that the context gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName {
    /// What it is.
    pub kind: SourceKind,
    /// `metadata.name`
    pub name: String,
}

impl SourceName {
    /// Returns the name of a Secret.
    pub fn secret(name: impl Into<String>) -> Self {
        Self {
            kind: SourceKind::Secret,
            name: name.into(),
        }
    }

    /// Returns the name of a ConfigMap.
    pub fn config_map(name: impl Into<String>) -> Self {
        Self {
            kind: SourceKind::ConfigMap,
            name: name.into(),
        }
    }

    /// Returns the name of a SecretProviderClass.
    pub fn secret_provider_class(name: impl Into<String>) -> Self {
        Self {
            kind: SourceKind::SecretProviderClass,
            name: name.into(),
        }
    }

    /// Returns it as people write it: `Secret db`.
    pub fn spoken(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.name)
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.prefix(), self.name)
    }
}

/// `secret/NAME`, or the same of another kind, was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not {forms}", forms = forms())]
pub struct NotASource(pub String);

fn forms() -> String {
    let forms = SourceKind::ALL.map(|kind| format!("{}/NAME", kind.prefix()));
    forms.join(" or ")
}

impl FromStr for SourceName {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, NotASource> {
        let (prefix, name) = text
            .split_once('/')
            .ok_or_else(|| NotASource(text.to_owned()))?;
        let kind = SourceKind::ALL
            .into_iter()
            .find(|kind| kind.prefix() == prefix);
        match kind {
            Some(kind) if !name.is_empty() => Ok(Self {
                kind,
                name: name.to_owned(),
            }),
            _ => Err(NotASource(text.to_owned())),
        }
    }
}

/// A source anywhere in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey {
    /// `metadata.namespace`
    pub namespace: String,
    /// Kind and name.
    pub source: SourceName,
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            self.source.kind.prefix(),
            self.namespace,
            self.source.name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for name in ["secret/db", "configmap/a.b-c", "secretproviderclass/vault"] {
            assert_eq!(name.parse::<SourceName>().unwrap().to_string(), name);
        }
        for bad in ["", "db", "secret/", "pod/x", "/x"] {
            assert_eq!(bad.parse::<SourceName>(), Err(NotASource(bad.to_owned())));
        }
    }
}
