//! What RBAC grants an account, what a request asks for, and which of the one allows the other.

use std::{collections::BTreeSet, fmt};

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::{Api, ResourceExt, api::ListParams};
use reroll_harness::{Arena, proxy::RequestLine};

/// One verb on one resource: a line of a rule, taken apart; or what a request needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// `None`: in all, or in the cluster itself.
    pub namespace: Option<String>,
    pub group: String,
    pub resource: String,
    pub verb: String,
    /// The object's; `None`: any, or none.
    pub name: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(f, "/{name}")?;
        }
        write!(
            f,
            " in {}",
            self.namespace.as_deref().unwrap_or("the cluster")
        )
    }
}

impl Right {
    /// Whether it, being granted, allows what is asked.
    pub fn allows(&self, asked: &Self) -> bool {
        let (mine, its) = (self, asked);
        (&mine.group, &mine.resource, &mine.verb) == (&its.group, &its.resource, &its.verb)
            && (mine.namespace.is_none() || mine.namespace == its.namespace)
            && (mine.name.is_none() || mine.name == its.name)
    }

    /// Returns what a request needs; `None` for discovery, and for the question who one is, which every user may ask.
    pub fn of(request: &RequestLine) -> Option<Self> {
        let parts: Vec<_> = request.path.trim_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", "authentication.k8s.io", ..] => return None,
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (resource, name) = match rest {
            [resource] => (*resource, None),
            [resource, name] => (*resource, Some((*name).to_owned())),
            [] => return None,
            other => panic!("a subresource: {other:?}"),
        };
        let verb = match (request.method.as_str(), &name) {
            ("GET", _) if request.is_watch() => "watch",
            ("GET", None) => "list",
            ("GET", Some(_)) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            ("DELETE", None) => "deletecollection",
            (other, _) => panic!("a method: {other}"),
        };
        // The API server takes the name of one object that is listed or watched from the selector.
        let selected = request
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"));
        Some(Self {
            namespace: namespace.map(ToOwned::to_owned),
            group: group.to_owned(),
            resource: resource.to_owned(),
            verb: verb.to_owned(),
            name: name.or_else(|| selected.map(ToOwned::to_owned)),
        })
    }
}

/// All that reroll's account is granted by roles, wherever they are.
pub async fn granted(arena: &Arena, account: &str) -> BTreeSet<Right> {
    let all = ListParams::default();
    let mut granted = BTreeSet::new();
    let mine = |subjects: &Option<Vec<Subject>>| {
        let mut subjects = subjects.iter().flatten();
        subjects.any(|subject| {
            subject.name == account && subject.namespace.as_ref() == Some(&arena.own_namespace)
        })
    };
    let bindings = Api::<ClusterRoleBinding>::all(arena.client.clone());
    for binding in bindings.list(&all).await.unwrap() {
        if mine(&binding.subjects) {
            granted.extend(of_rules(None, &rules(arena, &binding.role_ref, None).await));
        }
    }
    let bindings = Api::<RoleBinding>::all(arena.client.clone());
    for binding in bindings.list(&all).await.unwrap() {
        if mine(&binding.subjects) {
            let namespace = binding.namespace();
            let rules = rules(arena, &binding.role_ref, namespace.as_deref()).await;
            granted.extend(of_rules(namespace.as_deref(), &rules));
        }
    }
    granted
}

async fn rules(arena: &Arena, role: &RoleRef, namespace: Option<&str>) -> Vec<PolicyRule> {
    let client = arena.client.clone();
    let rules = if role.kind == "ClusterRole" {
        Api::<ClusterRole>::all(client)
            .get(&role.name)
            .await
            .unwrap()
            .rules
    } else {
        let api = Api::<Role>::namespaced(client, namespace.unwrap());
        api.get(&role.name).await.unwrap().rules
    };
    rules.unwrap()
}

pub fn of_rules(namespace: Option<&str>, rules: &[PolicyRule]) -> Vec<Right> {
    let mut rights = Vec::new();
    for rule in rules {
        let mut names: Vec<_> = rule
            .resource_names
            .iter()
            .flatten()
            .cloned()
            .map(Some)
            .collect();
        if names.is_empty() {
            names.push(None);
        }
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    for name in &names {
                        rights.push(Right {
                            namespace: namespace.map(ToOwned::to_owned),
                            group: group.clone(),
                            resource: resource.clone(),
                            verb: verb.clone(),
                            name: name.clone(),
                        });
                    }
                }
            }
        }
    }
    rights
}
