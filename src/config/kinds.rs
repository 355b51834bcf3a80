//! The languages of `--optional-kinds` and `--workload-kind`.

use std::sync::LazyLock;

use kube::core::{ApiResource, GroupVersionKind};

use super::values::{ValueError, parse_object_name, refuse};
use crate::model::{
    Kind,
    workload::{NAMED, WorkloadKind},
};

/// What `--optional-kinds` is where the user gives none.
pub(super) static DEFAULT_KINDS: LazyLock<String> = LazyLock::new(|| {
    let named = NAMED.iter().filter(|(_, by_default)| *by_default);
    let plurals: Vec<_> = named.map(|(kind, _)| kind.plural).collect();
    plurals.join(",")
});

/// What `--help` says of `--optional-kinds`.
pub(super) static KINDS_HELP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "More kinds to restart, separated by commas; empty for none\n\n\
         {} count where the cluster has them. {} count with the annotation reroll.dev/on-change, and need the right to \
         create Jobs, and for `jobs` to delete them.",
        spoken(|kind| kind.optional, "`", "and"),
        spoken(|kind| !kind.optional, "`", "and"),
    )
});

/// Reads a kind that [`NAMED`] has by its plural. The empty string is no kind: an environment variable that is set to
/// nothing.
pub(super) fn parse_optional_kind(value: &str) -> Result<Option<Kind>, ValueError> {
    let value = value.trim();
    if value.is_empty() {
        return Ok(None);
    }
    match NAMED.iter().find(|(kind, _)| kind.plural == value) {
        Some((kind, _)) => Ok(Some(kind)),
        None => refuse(format!(
            "expected {}; --workload-kind is for all other kinds",
            spoken(|_| true, "", "or")
        )),
    }
}

/// Lists plurals as a sentence has them.
fn spoken(which: impl Fn(Kind) -> bool, quote: &str, last_by: &str) -> String {
    let kinds = NAMED.iter().filter(|(kind, _)| which(kind));
    let mut plurals: Vec<_> = kinds
        .map(|(kind, _)| format!("{quote}{}{quote}", kind.plural))
        .collect();
    let last = plurals.pop().unwrap_or_default();
    if plurals.is_empty() {
        return last;
    }
    format!("{} {last_by} {last}", plurals.join(", "))
}

/// A kind that the user configured: `GROUP/VERSION/KIND[=PLURAL][:POINTER]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KindSpec {
    group: String,
    version: String,
    kind: String,
    /// The usual one where the user gave none. Discovery corrects it.
    plural: String,
    /// `None` for `/spec/template`.
    template: Option<String>,
}

impl KindSpec {
    /// Returns the row for it, which lives as long as the process.
    pub(super) fn row(self) -> Kind {
        WorkloadKind::configured(
            self.group,
            self.version,
            self.kind,
            self.plural,
            self.template,
        )
    }
}

/// Reads a kind. The empty string is no kind: an environment variable that is set to nothing.
pub(super) fn parse_workload_kind(value: &str) -> Result<Option<KindSpec>, ValueError> {
    const FORM: &str = "expected GROUP/VERSION/KIND, KIND=PLURAL where the plural is unusual, and after a colon the JSON \
                        pointer to its pod template where that is not /spec/template, such as \
                        example.com/v1/App:/spec/app/podTemplate";
    let value = value.trim();
    if value.is_empty() {
        return Ok(None);
    }
    let (name, template) = match value.split_once(':') {
        Some((name, pointer)) => (name, Some(parse_pointer(pointer)?)),
        None => (value, None),
    };
    let [group, version, kind] = name.split('/').collect::<Vec<_>>()[..] else {
        return refuse(FORM);
    };
    let (kind, plural) = kind
        .split_once('=')
        .map_or((kind, None), |(kind, plural)| (kind, Some(plural)));
    if parse_object_name(group).is_err() {
        return refuse(format!(
            "\"{group}\" is not the name of an API group; {FORM}"
        ));
    }
    let lower = |text: &str| {
        let mut bytes = text.bytes();
        bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if !lower(version) {
        return refuse(format!(
            "\"{version}\" is not an API version such as v1; {FORM}"
        ));
    }
    let mut letters = kind.bytes();
    let named = letters.next().is_some_and(|byte| byte.is_ascii_uppercase())
        && letters.all(|byte| byte.is_ascii_alphanumeric());
    if !named {
        return refuse(format!("\"{kind}\" is not a kind such as App; {FORM}"));
    }
    if let Some(plural) = plural.filter(|plural| !lower(plural)) {
        return refuse(format!(
            "\"{plural}\" is not the plural of a kind, such as apps; {FORM}"
        ));
    }
    let usual = || ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)).plural;
    Ok(Some(KindSpec {
        plural: plural.map_or_else(usual, ToOwned::to_owned),
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        template,
    }))
}

fn parse_pointer(pointer: &str) -> Result<String, ValueError> {
    let form = |why: &str| {
        refuse(format!(
            "\"{pointer}\" {why}; expected a JSON pointer (RFC 6901) to the pod template, such as /spec/template"
        ))
    };
    let Some(tokens) = pointer.strip_prefix('/') else {
        return form("does not begin with a slash");
    };
    if tokens.split('/').any(str::is_empty) {
        return form("has an empty part");
    }
    let escapes = tokens.split('~').skip(1);
    if escapes
        .into_iter()
        .any(|rest| !rest.starts_with(['0', '1']))
    {
        return form("has a ~ that is neither ~0 nor ~1");
    }
    let first = tokens.split('/').next().unwrap_or_default();
    if ["apiVersion", "kind", "metadata", "status"].contains(&first) {
        return form("is not where a pod template can be");
    }
    Ok(pointer.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> KindSpec {
        parse_workload_kind(value).unwrap().unwrap()
    }

    #[test]
    fn what_can_be_configured() {
        let rows = [
            ("example.com/v1/App", "apps", None),
            (" example.com/v1/App ", "apps", None),
            ("example.com/v1/Proxy", "proxies", None),
            ("example.com/v1/App=applications", "applications", None),
            (
                "example.com/v1/App:/spec/app/podTemplate",
                "apps",
                Some("/spec/app/podTemplate"),
            ),
            (
                "example.com/v1/App=applications:/spec/parts/0/a~1b",
                "applications",
                Some("/spec/parts/0/a~1b"),
            ),
        ];
        for (value, plural, template) in rows {
            let spec = read(value);
            assert_eq!(spec.group, "example.com", "{value}");
            assert_eq!(
                (spec.plural.as_str(), spec.template.as_deref()),
                (plural, template),
                "{value}"
            );
        }
        assert_eq!(read("a/v2beta1/App").row().to_string(), "a/v2beta1/App");
        assert_eq!(read("a/v1/App").row().template, "/spec/template");
        assert_eq!(parse_workload_kind("").unwrap(), None);
    }

    #[test]
    fn what_cannot() {
        let values = [
            "App",
            "v1/App",
            "/v1/App",
            "a.b/v1/App/x",
            "A.b/v1/App",
            "a.b/V1/App",
            "a.b//App",
            "a.b/v1/",
            "a.b/v1/app",
            "a.b/v1/App=",
            "a.b/v1/App=Apps",
            "a.b/v1/App:",
            "a.b/v1/App:spec/template",
            "a.b/v1/App:/",
            "a.b/v1/App:/spec//template",
            "a.b/v1/App:/spec/template/",
            "a.b/v1/App:/spec/te~mplate",
            "a.b/v1/App:/metadata/template",
            "a.b/v1/App:/status/template",
        ];
        let refused = |value: &&str| {
            let error = parse_workload_kind(value).expect_err(value);
            format!("{value}\n  {error}\n")
        };
        insta::assert_snapshot!(values.iter().map(refused).collect::<String>());
    }
}
