//! From a URL to what it asks for.

use std::{collections::BTreeMap, time::Duration};

use http::Uri;

use super::{
    answer::Refusal,
    resources::{ROWS, Row, find},
};

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// Objects.
    Objects(Target),
    /// `/api/v1` or `/apis/group/version`: the resources of a version.
    Resources {
        group: String,
        version: String,
    },
    /// `/apis/group`
    Group(String),
    /// `/apis`
    Groups,
    /// `/api`
    Versions,
    /// `/version`, `/readyz` and the like.
    Root(String),
    Unknown,
}

/// Which objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The row of the resource.
    pub(crate) index: usize,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Target {
    pub(crate) fn row(&self) -> &'static Row {
        &ROWS[self.index]
    }

    /// Returns the key of an object of this name.
    pub(crate) fn key(&self, name: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name.to_owned(),
        }
    }
}

/// Reads a path.
pub(crate) fn path(path: &str) -> Path {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["api"] => Path::Versions,
        ["apis"] => Path::Groups,
        ["api", version] => Path::Resources {
            group: String::new(),
            version: (*version).to_owned(),
        },
        ["apis", group] => Path::Group((*group).to_owned()),
        ["apis", group, version] => Path::Resources {
            group: (*group).to_owned(),
            version: (*version).to_owned(),
        },
        ["api", version, rest @ ..] => objects("", version, rest),
        ["apis", group, version, rest @ ..] => objects(group, version, rest),
        [one] => Path::Root((*one).to_owned()),
        _ => Path::Unknown,
    }
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Path {
    let (namespace, rest) = match rest {
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
        ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
        rest => (None, rest),
    };
    let (plural, name, subresource) = match rest {
        [plural] => (plural, None, None),
        [plural, name] => (plural, Some(name), None),
        [plural, name, subresource] => (plural, Some(name), Some(subresource)),
        _ => return Path::Unknown,
    };
    if (group, *plural) == ("authentication.k8s.io", "selfsubjectreviews") {
        return Path::Root((*plural).to_owned());
    }
    let Some(index) = find(group, version, plural) else {
        return Path::Unknown;
    };
    if ROWS[index].is_namespaced() != (namespace.is_some() || name.is_none()) && name.is_some()
        || namespace.is_some() && !ROWS[index].is_namespaced()
    {
        return Path::Unknown;
    }
    Path::Objects(Target {
        index,
        namespace,
        name: name.map(|name| (*name).to_owned()),
        subresource: subresource.map(|name| (*name).to_owned()),
    })
}

/// The parameters of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self(
            pairs
                .into_owned()
                .filter(|(_, value)| !value.is_empty())
                .collect(),
        )
    }

    /// Returns a parameter; empty ones count as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    pub(crate) fn dry_run(&self) -> Result<bool, Refusal> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => {
                let why = format!("Unsupported value: \"{other}\": supported values: \"All\"");
                Err(Refusal::new(422, "Invalid", why))
            }
        }
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        let seconds: u64 = self.get("timeoutSeconds")?.parse().ok()?;
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    pub(crate) fn limit(&self) -> Option<usize> {
        let limit: usize = self.get("limit")?.parse().ok()?;
        (limit > 0).then_some(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let target =
            |plural: &str, namespace: Option<&str>, name: Option<&str>, sub: Option<&str>| {
                let group = if plural == "deployments" { "apps" } else { "" };
                Path::Objects(Target {
                    index: find(group, "v1", plural).unwrap(),
                    namespace: namespace.map(ToOwned::to_owned),
                    name: name.map(ToOwned::to_owned),
                    subresource: sub.map(ToOwned::to_owned),
                })
            };
        for (text, expected) in [
            ("/api/v1/secrets", target("secrets", None, None, None)),
            ("/api/v1/namespaces", target("namespaces", None, None, None)),
            (
                "/api/v1/namespaces/n",
                target("namespaces", None, Some("n"), None),
            ),
            (
                "/api/v1/namespaces/n/finalize",
                target("namespaces", None, Some("n"), Some("finalize")),
            ),
            (
                "/api/v1/namespaces/n/secrets",
                target("secrets", Some("n"), None, None),
            ),
            (
                "/apis/apps/v1/namespaces/n/deployments/d/status",
                target("deployments", Some("n"), Some("d"), Some("status")),
            ),
            ("/apis/apps/v1/namespaces/n/secrets", Path::Unknown),
            ("/api/v1/secrets/s", Path::Unknown),
            ("/apis/apps/v2/deployments", Path::Unknown),
            ("/apis/apps", Path::Group("apps".to_owned())),
            ("/readyz", Path::Root("readyz".to_owned())),
        ] {
            assert_eq!(path(text), expected, "{text}");
        }
    }
}
