//! Whether the installation runs: its Deployment and pods, which versions, who leads, and whether somebody stopped it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod};
use kube::ResourceExt as _;

use super::report::Line;
use crate::{
    build::VERSION,
    cli::{
        findings::Finding,
        installation::{FLAGS_UNREAD, Flags, Installation, NOT_FOUND, OUTSIDE, container, expired},
        output::ago,
    },
    cluster::Failure,
    model::annotation::HOLDER_VERSION,
};

/// Returns what is to be said of an installation, without its replicas.
pub(super) fn lines(installation: &Installation, now: Timestamp) -> Vec<Line> {
    let Some(place) = &installation.namespace else {
        return vec![if installation.may_look {
            not_found(None, &installation.others)
        } else {
            Line::not_seen(installation.notes.join("; ")).then(SAY_WHERE)
        }];
    };
    let mut lines = Vec::new();
    match &installation.deployment {
        None if installation.may_look && installation.lease.is_none() => {
            return vec![not_found(Some(place), &installation.others)];
        }
        None if installation.may_look => {
            lines.push(not_found(Some(place), &installation.others));
        }
        Some(_) | None => {}
    }
    let seen = |note: &&String| ![FLAGS_UNREAD, NOT_FOUND, OUTSIDE].contains(&note.as_str());
    let notes = installation.notes.iter().filter(seen);
    lines.extend(notes.map(Line::not_seen));
    if installation.notes.iter().any(|note| note == FLAGS_UNREAD) {
        let words = format!(
            "the flags of the reroll in {place} are not known to this program, as those of a newer one"
        );
        let found = Line::found(Finding::FlagsUnread, words);
        lines.push(
            found.then("use a kubectl-reroll of its version; what follows takes the defaults"),
        );
    }
    if installation.deployment.is_some() {
        lines.push(others(&installation.flags, &installation.others));
    }
    if installation.may_read_lease {
        let name = format!("{place}/{}", installation.flags.lease);
        lines.push(leader(&name, installation.lease.as_ref(), now));
        let version = installation.lease.as_ref().and_then(version);
        lines.extend(version.map(|version| skew(&version, VERSION)));
        lines.push(match installation.stop() {
            None => Line::fine("nobody suspended all restarts"),
            Some(why) => {
                let words = format!("Lease {name} holds all restarts: {why}");
                Line::found(Finding::AllSuspended, words).then("kubectl reroll resume --all")
            }
        });
    }
    lines
}

const SAY_WHERE: &str = "say where it is: --reroll-namespace NAME";

/// Says that there is none. `others`: those that work in other namespaces than the one that is asked about.
fn not_found(place: Option<&str>, others: &[(String, Option<Flags>)]) -> Line {
    let names: Vec<_> = others.iter().map(|(name, _)| name.as_str()).collect();
    let words = match place {
        _ if !names.is_empty() => {
            let names = names.join(", ");
            format!(
                "no reroll works in the namespace that -n names; Deployment {names} works elsewhere"
            )
        }
        None => "no Deployment of reroll is found in this cluster".to_owned(),
        Some(place) => format!("no Deployment of reroll is found in {place}"),
    };
    let to_do = "kubectl reroll doctor --pre says whether it can be installed";
    Line::found(Finding::NotInstalled, words).then(to_do)
}

/// Says which others there are. Two that are in no namespace both are no trouble.
fn others(own: &Flags, others: &[(String, Option<Flags>)]) -> Line {
    let meets = |flags: &Option<Flags>| flags.as_ref().is_none_or(|flags| meet(own, flags));
    let met = others.iter().filter(|(_, flags)| meets(flags));
    let met: Vec<_> = met.map(|(name, _)| name.as_str()).collect();
    if met.is_empty() {
        return Line::fine(match others.len() {
            0 => "no other installation is found".to_owned(),
            1 => "another installation works in other namespaces".to_owned(),
            many => format!("{many} other installations work in other namespaces"),
        });
    }
    let words = format!("{} may work in the same namespaces", met.join(", "));
    let to_do = "keep one, or give each its own namespaces (watch.namespaces)";
    Line::found(Finding::SeveralInstallations, words).then(to_do)
}

fn meet(one: &Flags, other: &Flags) -> bool {
    let names = &one.namespaces;
    if names.is_empty() {
        let theirs = &other.namespaces;
        return theirs.is_empty() || theirs.iter().any(|name| one.work_in(name));
    }
    names.iter().any(|name| other.work_in(name))
}

/// Says whether replicas are ready, as the Deployment has it.
pub(super) fn replicas(deployment: &Deployment) -> Line {
    let place = deployment.namespace().unwrap_or_default();
    let spoken = format!("Deployment {place}/{}", deployment.name_any());
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let wanted = wanted.unwrap_or(1);
    let ready = deployment.status.as_ref();
    let ready = ready.and_then(|status| status.ready_replicas).unwrap_or(0);
    let words = format!("{spoken}: {ready} of {wanted} replicas are ready");
    let labels = deployment
        .spec
        .iter()
        .filter_map(|spec| spec.selector.match_labels.as_ref());
    let labels: Vec<_> = labels
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let look = format!("kubectl -n {place} get pods -l {}", labels.join(","));
    match ready {
        ready if ready >= wanted && ready > 0 => Line::fine(words),
        _ if wanted == 0 => {
            let words = format!("{spoken} is scaled to 0");
            let to_do = format!(
                "kubectl -n {place} scale deployment {} --replicas 2",
                deployment.name_any()
            );
            Line::found(Finding::NoReplica, words).then(to_do)
        }
        0 => Line::found(Finding::NoReplica, words).then(look),
        _ => Line::found(Finding::ReplicasMissing, words).then(look),
    }
}

/// Says whether all replicas run the same.
pub(super) fn versions(place: &str, pods: &Result<Vec<Pod>, Failure>) -> Line {
    let pods = match pods {
        Ok(pods) => pods,
        Err(why) => return Line::failed(&format!("list pods in {place}"), why),
    };
    let mut images: BTreeMap<&str, usize> = BTreeMap::new();
    let live = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none());
    for spec in live.filter_map(|pod| pod.spec.as_ref()) {
        let own = spec.containers.iter().find(|one| one.name == "reroll");
        if let Some(image) = own.and_then(|one| one.image.as_deref()) {
            *images.entry(image).or_default() += 1;
        }
    }
    let all: Vec<_> = images
        .iter()
        .map(|(image, count)| format!("{image} ({count})"))
        .collect();
    match images.len() {
        0 => Line::not_seen(format!("which image pods in {place} run: there are none")),
        1 => Line::fine(format!("all pods run the image {}", all.join(", "))),
        _ => {
            let words = format!("pods in {place} run different images: {}", all.join(", "));
            let to_do = "an upgrade is under way, or hangs: kubectl rollout status says which";
            Line::found(Finding::VersionsDiffer, words).then(to_do)
        }
    }
}

fn version(lease: &Lease) -> Option<String> {
    lease.annotations().get(HOLDER_VERSION).cloned()
}

fn skew(server: &str, client: &str) -> Line {
    if server == client {
        return Line::fine(format!(
            "the leader and this program are of version {server}"
        ));
    }
    let words = format!("the leader is of version {server}, and this program of {client}");
    let to_do = format!("use a kubectl-reroll of version {server}: this one may judge otherwise");
    Line::found(Finding::VersionsDiffer, words).then(to_do)
}

fn leader(name: &str, lease: Option<&Lease>, now: Timestamp) -> Line {
    let to_do = "the log of reroll's pods says why none leads";
    let none = |words: String| Line::found(Finding::NoLeader, words).then(to_do);
    let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else {
        return none(format!("there is no Lease {name}: no replica ever led"));
    };
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    if holder.is_empty() {
        return none(format!("no replica holds Lease {name}"));
    }
    if spec.renew_time.is_none() {
        return none(format!("{holder} never renewed Lease {name}"));
    }
    if let Some(renewed) = lease.and_then(|lease| expired(lease, now)) {
        let ago = ago(renewed, now);
        return none(format!("{holder} holds Lease {name}, and renewed it {ago}"));
    }
    Line::fine(format!("{holder} leads"))
}

/// Returns the container's `ServiceAccount`, which is `default` where none is named.
pub(super) fn account(deployment: &Deployment) -> String {
    let spec = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let name = spec.and_then(|spec| spec.service_account_name.clone());
    name.unwrap_or_else(|| "default".to_owned())
}

/// Returns the Secret that is mounted where this file is.
pub(super) fn mounted_secret(deployment: &Deployment, file: &std::path::Path) -> Option<String> {
    let spec = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let mounts = container(deployment)?.volume_mounts.iter().flatten();
    let here = mounts.filter(|mount| file.starts_with(&mount.mount_path));
    let volume = &here.max_by_key(|mount| mount.mount_path.len())?.name;
    let volumes = spec.volumes.as_ref()?;
    let volume = volumes.iter().find(|one| one.name == *volume)?;
    volume.secret.as_ref()?.secret_name.clone()
}

#[cfg(test)]
mod tests;
