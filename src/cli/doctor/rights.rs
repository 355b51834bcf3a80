//! The rights that an installation needs, as its flags say it, and those that it takes to install it.
//!
//! The chart has the same rules (`_rules.tpl`, `rbac.yaml`); a test asks for what a rendered chart grants.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::Api;

use super::report::Line;
use crate::{
    cli::{findings::Finding, installation::Flags, session::Session},
    cluster::{Failure, Write},
    model::{
        Kind, SourceKind,
        workload::{CRON_JOB, JOB},
    },
};

/// How many reviews are asked for at a time.
const AT_ONCE: usize = 8;
/// In how many namespaces rights are asked for, where reroll works in some.
const NAMESPACES: usize = 10;

const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// A right to do one thing with one kind of object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Right {
    group: String,
    plural: String,
    verb: &'static str,
    /// Empty for all, and for what is in none.
    namespace: String,
    name: Option<String>,
}

/// Whose rights are asked for.
pub(super) enum Whose<'a> {
    /// Those of whoever asks.
    Mine,
    /// Those of a `ServiceAccount`: its namespace and name.
    Account(&'a str, &'a str),
}

/// Collects rights.
#[derive(Default)]
struct Needed(Vec<Right>);

impl Needed {
    fn add(
        &mut self,
        (group, plural): (&str, &str),
        verbs: &[&'static str],
        place: (&str, Option<&str>),
    ) {
        self.0.extend(verbs.iter().map(|verb| Right {
            group: group.to_owned(),
            plural: plural.to_owned(),
            verb,
            namespace: place.0.to_owned(),
            name: place.1.map(ToOwned::to_owned),
        }));
    }

    /// Adds what it needs where it works.
    fn add_work(&mut self, flags: &Flags, within: &str) {
        const READ: [&str; 3] = ["get", "list", "watch"];
        let ignored = flags.conventions.ignored;
        let here = (within, None);
        for kind in SourceKind::ALL
            .into_iter()
            .filter(|kind| !ignored.contains(*kind))
        {
            if kind.is_readable() {
                self.add(("", kind.plural()), &READ, here);
            } else {
                let group = "secrets-store.csi.x-k8s.io";
                for plural in [kind.plural(), "secretproviderclasspodstatuses"] {
                    self.add((group, plural), &["list", "watch"], here);
                }
            }
        }
        for kind in flags.kinds.iter() {
            let verbs = ["get", "list", "watch", "patch"];
            self.add((kind.group, kind.plural), &verbs, here);
        }
        let has = |kind: Kind| flags.kinds.iter().any(|one| one == kind);
        if has(&JOB) {
            self.add((JOB.group, JOB.plural), &["create", "delete"], here);
        } else if has(&CRON_JOB) {
            self.add((JOB.group, JOB.plural), &["create", "get"], here);
        }
        self.add(("", "pods"), &["list"], here);
        for plural in ["replicasets", "controllerrevisions"] {
            self.add(("apps", plural), &["list"], here);
        }
        self.add(("events.k8s.io", "events"), &["create", "patch"], here);
    }

    /// Adds what it needs for what it keeps for itself.
    fn add_own(&mut self, flags: &Flags, own: &str) {
        self.add(("", "secrets"), &["get"], (own, Some(&flags.digest_key)));
        self.add(("", "secrets"), &["create"], (own, None));
        if flags.kinds.iter().any(|one| one == &JOB) {
            self.add(("", "secrets"), &["list", "delete"], (own, None));
        }
        let lease = ("coordination.k8s.io", "leases");
        let verbs = ["get", "list", "update", "watch"];
        self.add(lease, &verbs, (own, Some(&flags.lease)));
        self.add(lease, &["create"], (own, None));
        let Some(webhook) = &flags.webhook else {
            return;
        };
        if let Some(secret) = &webhook.certificates_secret {
            self.add(("", "secrets"), &["get", "update"], (own, Some(secret)));
        }
        if let Some(name) = &webhook.configurations {
            for plural in [
                "validatingwebhookconfigurations",
                "mutatingwebhookconfigurations",
            ] {
                // It looks for them, and writes the authority of certificates that it keeps itself.
                let keeps = webhook.certificates_secret.is_some();
                let verbs: &[_] = if keeps { &["get", "patch"] } else { &["get"] };
                self.add((ADMISSION, plural), verbs, ("", Some(name)));
            }
        }
    }
}

/// Returns the rights that an installation in this namespace needs.
pub(super) fn needed(flags: &Flags, own: &str) -> Vec<Right> {
    let mut needed = Needed::default();
    if flags.namespaces.is_empty() {
        needed.add(("", "namespaces"), &["list", "watch"], ("", None));
        needed.add_work(flags, "");
    }
    for namespace in flags.namespaces.iter().take(NAMESPACES) {
        needed.add_work(flags, namespace);
    }
    needed.add_own(flags, own);
    needed.0
}

/// Returns the rights that it takes to install it into this namespace.
pub(super) fn to_install(own: &str, with_cert_manager: bool) -> Vec<Right> {
    let mut needed = Needed::default();
    let create = &["create"];
    for plural in ["clusterroles", "clusterrolebindings"] {
        needed.add((RBAC, plural), create, ("", None));
    }
    for plural in [
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
    ] {
        needed.add((ADMISSION, plural), create, ("", None));
    }
    for plural in ["roles", "rolebindings"] {
        needed.add((RBAC, plural), create, (own, None));
    }
    for (group, plural) in [
        ("", "serviceaccounts"),
        ("", "services"),
        ("", "secrets"),
        ("apps", "deployments"),
        ("policy", "poddisruptionbudgets"),
    ] {
        needed.add((group, plural), create, (own, None));
    }
    if with_cert_manager {
        for plural in ["issuers", "certificates"] {
            needed.add(("cert-manager.io", plural), create, (own, None));
        }
    }
    needed.0
}

/// Returns the right to make a namespace.
pub(super) fn to_make_a_namespace() -> Vec<Right> {
    let mut needed = Needed::default();
    needed.add(("", "namespaces"), &["create"], ("", None));
    needed.0
}

/// Asks the API server which of these rights are missing.
pub(super) async fn missing(
    session: &Session,
    whose: &Whose<'_>,
    rights: Vec<Right>,
) -> Result<Vec<Right>, Failure> {
    let asked = stream::iter(rights.into_iter().map(async |right| {
        let allowed = allowed(session, whose, &right).await?;
        Ok((right, allowed))
    }));
    let answers: Vec<_> = asked.buffered(AT_ONCE).try_collect().await?;
    let missing = answers.into_iter().filter(|(_, allowed)| !allowed);
    Ok(missing.map(|(right, _)| right).collect())
}

async fn allowed(session: &Session, whose: &Whose<'_>, right: &Right) -> Result<bool, Failure> {
    let (cluster, client) = (&session.cluster, session.cluster.client());
    let attributes = ResourceAttributes {
        group: Some(right.group.clone()),
        resource: Some(right.plural.clone()),
        verb: Some(right.verb.to_owned()),
        namespace: Some(right.namespace.clone()),
        name: right.name.clone(),
        ..ResourceAttributes::default()
    };
    let resource_attributes = Some(attributes);
    let status = match whose {
        Whose::Mine => {
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes,
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let api = Api::<SelfSubjectAccessReview>::all(client);
            cluster.create(&api, &review, Write::Real).await?.status
        }
        Whose::Account(namespace, name) => {
            let of_all = "system:serviceaccounts";
            let groups = [
                of_all,
                &format!("{of_all}:{namespace}"),
                "system:authenticated",
            ];
            let review = SubjectAccessReview {
                spec: SubjectAccessReviewSpec {
                    user: Some(format!("system:serviceaccount:{namespace}:{name}")),
                    groups: Some(groups.map(ToOwned::to_owned).into()),
                    resource_attributes,
                    ..SubjectAccessReviewSpec::default()
                },
                ..SubjectAccessReview::default()
            };
            let api = Api::<SubjectAccessReview>::all(client);
            cluster.create(&api, &review, Write::Real).await?.status
        }
    };
    Ok(status.is_some_and(|status| status.allowed))
}

/// Says which rights are missing: a line for all kinds of objects of which the same is missing. `who`: as a sentence begins.
pub(super) fn lines(finding: Finding, who: &str, missing: &[Right], to_do: &str) -> Vec<Line> {
    let mut of_objects: Vec<(&Right, Vec<&str>)> = Vec::new();
    for right in missing {
        let mut all = of_objects.iter_mut();
        match all.find(|(one, _)| one.is_of_the_same(right)) {
            Some((_, verbs)) => verbs.push(right.verb),
            None => of_objects.push((right, vec![right.verb])),
        }
    }
    let mut said: Vec<(Vec<&str>, String, Vec<String>)> = Vec::new();
    for (right, verbs) in of_objects {
        let (kind, place) = (right.kind(), right.place());
        let mut all = said.iter_mut();
        match all.find(|(ours, at, _)| (ours, at) == (&verbs, &place)) {
            Some((.., kinds)) => kinds.push(kind),
            None => said.push((verbs, place, vec![kind])),
        }
    }
    let lines = said.into_iter().map(|(verbs, place, kinds)| {
        let words = format!(
            "{who} may not {} {}{place}",
            verbs.join(", "),
            kinds.join(", ")
        );
        Line::found(finding, words).then(to_do)
    });
    lines.collect()
}

impl Right {
    fn is_of_the_same(&self, other: &Self) -> bool {
        let of = |right: &Self| {
            let Self {
                group,
                plural,
                namespace,
                name,
                ..
            } = right.clone();
            (group, plural, namespace, name)
        };
        of(self) == of(other)
    }

    fn kind(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    fn place(&self) -> String {
        let name = self.name.as_ref();
        let name = name.map_or_else(String::new, |name| format!(" {name}"));
        let in_none = self.plural == "namespaces"
            || self.plural.starts_with("cluster")
            || self.group == ADMISSION;
        let place = match self.namespace.as_str() {
            "" if in_none => String::new(),
            "" => " in all namespaces".to_owned(),
            namespace => format!(" in {namespace}"),
        };
        format!("{name}{place}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::installation::Webhook;

    fn flags(namespaces: &[&str]) -> Flags {
        Flags {
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
            ..Flags::default_ones()
        }
    }

    fn said(rights: &[Right]) -> Vec<String> {
        rights
            .iter()
            .map(|right| format!("{} {}{}", right.verb, right.kind(), right.place()))
            .collect()
    }

    #[test]
    fn flags_say_which_rights_are_needed() {
        let all = said(&needed(&flags(&[]), "reroll"));
        for right in [
            "watch namespaces",
            "get secrets in all namespaces",
            "patch deployments.apps in all namespaces",
            "get secrets reroll-digest-key in reroll",
            "update leases.coordination.k8s.io reroll in reroll",
        ] {
            assert!(all.iter().any(|one| one == right), "{right}: {all:?}");
        }
        assert!(!all.iter().any(|one| one.contains(ADMISSION)), "{all:?}");
        let some = said(&needed(&flags(&["shop", "bank"]), "reroll"));
        assert!(
            some.iter().all(|one| !one.contains("all namespaces")),
            "{some:?}"
        );
        assert!(
            some.iter().any(|one| one == "list pods in bank"),
            "{some:?}"
        );
        let mut own = flags(&["shop"]);
        own.webhook = Some(Webhook {
            certificates_secret: Some("tls".to_owned()),
            configurations: Some("reroll".to_owned()),
            certificate: None,
        });
        own.conventions.ignored.insert(SourceKind::Secret);
        let own = said(&needed(&own, "reroll"));
        assert!(
            own.iter().any(
                |one| one == &format!("patch mutatingwebhookconfigurations.{ADMISSION} reroll")
            )
        );
        assert!(own.iter().any(|one| one == "update secrets tls in reroll"));
        assert!(
            !own.iter().any(|one| one == "list secrets in shop"),
            "{own:?}"
        );
    }

    #[test]
    fn what_is_missing_is_said_once_for_each_kind_of_object() {
        let missing: Vec<_> = needed(&flags(&["shop"]), "reroll")
            .into_iter()
            .filter(|right| ["deployments", "daemonsets", "pods"].contains(&right.plural.as_str()))
            .collect();
        let lines = lines(
            Finding::RightLacks,
            "ServiceAccount reroll/reroll",
            &missing,
            "grant it",
        );
        let expected = [
            "get, list, watch, patch deployments.apps, daemonsets.apps in shop",
            "list pods in shop",
        ];
        let expected = expected.map(|what| {
            Line::found(
                Finding::RightLacks,
                format!("ServiceAccount reroll/reroll may not {what}"),
            )
            .then("grant it")
        });
        assert_eq!(lines, expected);
        assert_eq!(super::lines(Finding::RightLacks, "x", &[], ""), []);
    }
}
