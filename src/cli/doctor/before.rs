//! Whether reroll can be installed: what the cluster serves, and what whoever asks may do.

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::APIGroup};
use kube::{Api, ResourceExt as _};

use super::{
    report::{Group, Line},
    rights::{self, Whose},
};
use crate::{
    cli::{
        findings::Finding,
        installation::{Installation, NAMESPACE},
        session::Session,
    },
    cluster::Failure,
};

const ADMISSION: &str = "admissionregistration.k8s.io";
const CERT_MANAGER: &str = "cert-manager.io";

/// Answers what concerns an installation that is not there yet.
pub(super) async fn check(
    session: &Session,
    asked: Option<&str>,
    installation: &Installation,
) -> Vec<Group> {
    let own = asked.unwrap_or(NAMESPACE);
    let client = session.cluster.client();
    let groups = session.cluster.call(client.list_api_groups()).await;
    let groups = groups.map(|list| list.groups);
    let with_cert_manager = groups
        .as_ref()
        .is_ok_and(|groups| serves(groups, CERT_MANAGER, None));
    let api = Api::<Namespace>::all(session.cluster.client());
    let namespace = session.cluster.get(&api, own).await;
    let mut wanted = rights::to_install(own, with_cert_manager);
    if !matches!(namespace, Ok(Some(_))) {
        wanted.extend(rights::to_make_a_namespace());
    }
    let missing = rights::missing(session, &Whose::Mine, wanted).await;
    vec![
        Group::new("What it needs", served(&groups)),
        Group::new("Your rights", yours(own, &missing)),
        Group::new("What is there", vec![installed(installation, asked)]),
    ]
}

fn serves(groups: &[APIGroup], name: &str, version: Option<&str>) -> bool {
    let mut groups = groups.iter().filter(|group| group.name == name);
    groups.any(|group| {
        let mut versions = group.versions.iter();
        version.is_none_or(|version| versions.any(|one| one.version == version))
    })
}

fn served(groups: &Result<Vec<APIGroup>, Failure>) -> Vec<Line> {
    let groups = match groups {
        Ok(groups) => groups,
        Err(why) => return vec![Line::failed("list API groups", why)],
    };
    let admission = if serves(groups, ADMISSION, Some("v1")) {
        Line::fine("webhooks can be registered (admissionregistration.k8s.io/v1)")
    } else {
        let words = "the API server does not serve admissionregistration.k8s.io/v1";
        Line::found(Finding::NoAdmission, words)
            .then("serve it, or install with webhook.enabled=false")
    };
    let cert_manager = if serves(groups, CERT_MANAGER, Some("v1")) {
        Line::fine("cert-manager is there (cert-manager.io/v1)")
    } else {
        let words = "the cluster has no cert-manager (cert-manager.io/v1): by default reroll makes the webhook's certificates itself then";
        let to_do = "install cert-manager before, if it is to make them";
        Line::found(Finding::NoCertManager, words).then(to_do)
    };
    vec![admission, cert_manager]
}

fn yours(own: &str, missing: &Result<Vec<rights::Right>, Failure>) -> Vec<Line> {
    match missing {
        Ok(missing) if missing.is_empty() => {
            vec![Line::fine(format!(
                "you may create all that an installation in {own} is made of"
            ))]
        }
        Ok(missing) => {
            let to_do = "ask an administrator of the cluster to install it";
            rights::lines(Finding::MayNotInstall, "you", missing, to_do)
        }
        Err(why) => vec![Line::failed("create SelfSubjectAccessReviews", why)],
    }
}

fn installed(installation: &Installation, asked: Option<&str>) -> Line {
    let own = installation.deployment.as_ref();
    let own = own.map(|one| format!("{}/{}", one.namespace().unwrap_or_default(), one.name_any()));
    let others = installation.others.iter().map(|(name, _)| name.clone());
    let all: Vec<_> = own.into_iter().chain(others).collect();
    match all.as_slice() {
        [_, ..] => {
            let words = format!("a reroll is installed: Deployment {}", all.join(", "));
            let then = "kubectl reroll doctor says whether it is sound; upgrade it rather than install another";
            Line::found(Finding::InstalledAlready, words).then(then)
        }
        _ if installation.may_look => Line::fine("no reroll is installed"),
        _ => {
            let place = asked.unwrap_or("all namespaces");
            let words =
                format!("no right to list Deployments in {place}: whether a reroll is installed");
            Line::not_seen(words)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn groups(served: &[(&str, &str)]) -> Vec<APIGroup> {
        let group = |(name, version): &(&str, &str)| {
            let versions = json!([{ "groupVersion": "x", "version": version }]);
            serde_json::from_value(json!({ "name": name, "versions": versions })).unwrap()
        };
        served.iter().map(group).collect()
    }

    fn codes(lines: &[Line]) -> Vec<&str> {
        lines.iter().filter_map(Line::code).collect()
    }

    #[test]
    fn what_the_cluster_serves_is_told() {
        let (admission, certificates) = ((ADMISSION, "v1"), (CERT_MANAGER, "v1"));
        for (served_groups, expected) in [
            (Ok(groups(&[admission, certificates])), &[][..]),
            (Ok(groups(&[admission])), &["RR262"]),
            (
                Ok(groups(&[(ADMISSION, "v1beta1"), certificates])),
                &["RR263"],
            ),
            (Ok(groups(&[])), &["RR263", "RR262"]),
            (Err(Failure::Timeout), &[]),
        ] {
            assert_eq!(codes(&served(&served_groups)), expected);
        }
    }

    #[test]
    fn rights_to_install_are_told() {
        assert_eq!(codes(&yours("reroll", &Ok(Vec::new()))), [""; 0]);
        let all = rights::to_install("reroll", true);
        // What is in no namespace, and what is in this one.
        assert_eq!(codes(&yours("reroll", &Ok(all))), ["RR261", "RR261"]);
        assert_eq!(codes(&yours("reroll", &Err(Failure::Forbidden))), [""; 0]);
    }
}
