//! What the server tells about itself: groups, versions, resources.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    ApiServer,
    answer::Answer,
    path::Path,
    resources::{ROWS, Row},
};

/// Answers a path that is not of objects.
pub(crate) fn answer(server: &ApiServer, path: &Path) -> Answer {
    let custom = server.with_store(|store| store.served.clone());
    let rows = ROWS
        .iter()
        .enumerate()
        .filter(|(at, row)| !row.custom || custom.contains(at));
    let rows: Vec<&Row> = rows.map(|(_, row)| row).collect();
    let found = match path {
        Path::Versions => Some(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443" }],
        })),
        Path::Groups => {
            Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups(&rows) }))
        }
        Path::Group(name) => {
            let mut groups = groups(&rows).into_iter();
            let group = groups.find(|group| group["name"] == **name);
            group.map(|mut group| {
                group["kind"] = json!("APIGroup");
                group["apiVersion"] = json!("v1");
                group
            })
        }
        Path::Resources { group, version } => resources(&rows, group, version),
        Path::Root(name) if name == "version" => Some(json!({
            "major": "1", "minor": "36", "gitVersion": "v1.36.3", "platform": "linux/amd64",
        })),
        Path::Root(name) if matches!(name.as_str(), "readyz" | "livez" | "healthz") => {
            return Answer::Text(200, "ok");
        }
        _ => None,
    };
    match found {
        Some(object) => Answer::ok(object),
        None => Answer::Text(404, "404 page not found\n"),
    }
}

fn groups(rows: &[&Row]) -> Vec<Value> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.group.is_empty()) {
        let known = versions.entry(row.group).or_default();
        if !known.contains(&row.version) {
            known.push(row.version);
        }
    }
    let group = |(name, versions): (&str, Vec<&str>)| {
        let version = |version: &&str| json!({ "groupVersion": format!("{name}/{version}"), "version": version });
        let versions: Vec<_> = versions.iter().map(version).collect();
        json!({ "name": name, "preferredVersion": versions.first(), "versions": versions })
    };
    versions.into_iter().map(group).collect()
}

fn resources(rows: &[&Row], group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for row in rows
        .iter()
        .filter(|row| row.group == group && row.version == version)
    {
        let verbs = [
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ];
        resources.push(json!({
            "name": row.plural, "singularName": row.kind.to_lowercase(), "namespaced": row.is_namespaced(), "kind": row.kind,
            "verbs": verbs,
        }));
        if row.status {
            resources.push(json!({
                "name": format!("{}/status", row.plural), "singularName": "", "namespaced": row.is_namespaced(),
                "kind": row.kind, "verbs": ["get", "patch", "update"],
            }));
        }
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    (!resources.is_empty()).then(|| {
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources })
    })
}
