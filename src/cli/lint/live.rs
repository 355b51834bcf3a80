//! The same checks for an object of a cluster: its keys, and what of their values cannot be read.
//!
//! What other objects are there, and what Reloader's annotations mean, is not looked at.

use kube::{ResourceExt as _, core::DynamicObject};

use super::{found::Found, keys, manifests::Manifest, spots::Role, values};
use crate::{
    cli::findings::Finding,
    model::workload::{Kinds, Workload},
};

/// What is wrong with an object of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Wrong {
    pub(in crate::cli) finding: Finding,
    /// The object as people write it: `Deployment shop/web`.
    pub(in crate::cli) object: String,
    /// What is wrong, without a full stop.
    pub(in crate::cli) words: String,
    /// What to write instead.
    pub(in crate::cli) instead: Option<String>,
}

/// Returns what is wrong with an object of this type.
pub(in crate::cli) fn check(of: (&str, &str), object: &DynamicObject, kinds: &Kinds) -> Vec<Wrong> {
    let manifest = Manifest::live(of, object);
    let role = Role::of(&manifest, kinds);
    let mut found = Vec::new();
    keys::check(&manifest, role, &mut found);
    if let Role::Workload(of) = role {
        let workload = Workload::read(of, object);
        values::of_workload(&manifest, &workload, &mut found);
    }
    values::of_others(&manifest, role, &mut found);
    found.sort_by_key(|one| one.finding);
    found.into_iter().map(Wrong::of).collect()
}

/// Group and kind of reroll's Lease.
pub(in crate::cli) const LEASE: (&str, &str) = ("coordination.k8s.io", "Lease");

/// Returns what is wrong with the keys of an object of this type, in words; of what is no workload also with its values, for its workloads
/// do not tell those.
pub(in crate::cli) fn useless(
    of: (&str, &str),
    object: &DynamicObject,
    kinds: &Kinds,
) -> Vec<String> {
    let manifest = Manifest::live(of, object);
    let role = Role::of(&manifest, kinds);
    let mut found = Vec::new();
    keys::check(&manifest, role, &mut found);
    let prefix = match role {
        Role::Namespace | Role::Source(_) | Role::Lease => {
            values::of_others(&manifest, role, &mut found);
            format!("{} {}: ", of.1, object.name_any())
        }
        Role::Workload(_) | Role::Other => String::new(),
    };
    let spoken = |wrong: Wrong| match wrong.instead {
        Some(instead) => format!("{prefix}{} \u{2192} {instead}", wrong.words),
        None => format!("{prefix}{}", wrong.words),
    };
    found.into_iter().map(Wrong::of).map(spoken).collect()
}

impl Wrong {
    fn of(found: Found) -> Self {
        Self {
            finding: found.finding,
            object: found.spoken(),
            words: found.wrong,
            instead: found.instead,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn codes(group: &str, kind: &str, object: Value) -> Vec<&'static str> {
        let object = serde_json::from_value(object).unwrap();
        let found = check((group, kind), &object, &Kinds::default());
        found.iter().map(|wrong| wrong.finding.code()).collect()
    }

    #[test]
    fn what_a_cluster_has_is_checked_as_what_is_written() {
        let workload = |annotations: Value| json!({ "metadata": { "name": "web", "namespace": "shop", "uid": "u", "annotations": annotations } });
        for (annotations, expected) in [
            (json!({ "reroll.dev/restart-on": "auto" }), &[][..]),
            // What reroll wrote is in its place there.
            (json!({ "reroll.dev/observed": "{}" }), &[]),
            (json!({ "reroll.dev/restarton": "auto" }), &["RR101"]),
            (json!({ "reroll.dev/ignore": "true" }), &[]),
            (json!({ "reroll.dev/restart-on": "secrets/db" }), &["RR103"]),
            (json!(null), &[]),
        ] {
            let found = codes("apps", "Deployment", workload(annotations.clone()));
            assert_eq!(found, expected, "{annotations}");
        }
        for ((group, kind), annotations, expected) in [
            (
                ("", "Secret"),
                json!({ "reroll.dev/ignore": "true" }),
                &[][..],
            ),
            (
                ("", "Secret"),
                json!({ "reroll.dev/ignor": "true" }),
                &["RR101"],
            ),
            (
                ("", "ConfigMap"),
                json!({ "rerol.dev/ignore": "true" }),
                &["RR101"],
            ),
            (
                ("", "ConfigMap"),
                json!({ "reroll.dev/ignore": "yes" }),
                &["RR103"],
            ),
            (LEASE, json!({ "reroll.dev/suspend": "INC-42" }), &[]),
            (LEASE, json!({ "reroll.dev/susped": "INC-42" }), &["RR101"]),
            (LEASE, json!({ "reroll.dev/suspend": "flase" }), &["RR103"]),
            (LEASE, json!({ "reroll.dev/window": "Mon" }), &["RR102"]),
        ] {
            let object = json!({ "metadata": { "name": "x", "uid": "u", "annotations": annotations.clone() } });
            assert_eq!(codes(group, kind, object), expected, "{kind} {annotations}");
        }
        let namespace = |meta: Value| codes("", "Namespace", json!({ "metadata": meta }));
        let label = |text| {
            namespace(json!({ "name": "shop", "labels": { "reroll.dev/restart-on": text } }))
        };
        assert_eq!(label("auto"), [""; 0]);
        assert_eq!(label("atuo"), ["RR103"]);
        let annotated =
            json!({ "name": "shop", "annotations": { "reroll.dev/restart-on": "auto" } });
        assert_eq!(namespace(annotated), ["RR102"]);
    }
}
