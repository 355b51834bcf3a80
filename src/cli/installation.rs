//! Which reroll works in the cluster, as far as whoever asks may see it.
//!
//! It is found by its Deployment, whose flags say what counts. Who may not read that is told so, and the defaults are taken.
//! Who may not read the digest key gets an answer that rests on uids and resourceVersions.

use std::path::PathBuf;

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Container};
use kube::{Api, ResourceExt as _, api::ListParams};

use super::{args::Asking, error::Error, output::ago, session::Session};
use crate::{
    cluster::{
        Failure,
        own::digest_key::{DigestKeyError, Store},
    },
    model::{
        Conventions, DigestKey, annotation::SUSPEND, brake::verdict::Patience, gate::suspend,
        workload::Kinds,
    },
};

/// What the flags of the reroll that is installed say.
#[derive(Clone, Debug)]
pub struct Flags {
    /// What was agreed on.
    pub conventions: Conventions,
    /// Whether restarts for one version wait for what becomes of others.
    pub slow_start: bool,
    /// The kinds that it restarts.
    pub kinds: Kinds,
    /// The namespaces that it works in; empty for all.
    pub namespaces: Vec<String>,
    /// For how long it looks at the pods of a restart.
    pub patience: Patience,
    /// Its Lease.
    pub lease: String,
    /// The Secret with its digest key.
    pub digest_key: String,
    /// Its webhook; `None` where it runs without one.
    pub webhook: Option<Webhook>,
}

/// What flags say of the webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhook {
    /// The file with the certificate that it serves.
    pub certificate: Option<PathBuf>,
    /// The Secret in which it keeps its certificates itself.
    pub certificates_secret: Option<String>,
    /// The webhook configurations that it looks for, and whose authority it may write.
    pub configurations: Option<String>,
}

/// Reads flags: the arguments of reroll's container behind `run`, and its environment. `None` where they cannot be read, as
/// those of a newer release.
pub type ReadFlags = fn(&[String], &[(String, String)]) -> Option<Flags>;

/// How reroll's Deployment is found, whatever it is called.
const LABELS: &str = "app.kubernetes.io/component=controller";
/// The name of its container.
const CONTAINER: &str = "reroll";
/// So many seconds the clock of whoever asks may be ahead of the cluster's.
const APART: i64 = 10;
/// Where reroll is by default.
pub(super) const NAMESPACE: &str = "reroll";

/// What is noted where none was found.
pub(super) const NOT_FOUND: &str = "found no reroll in this cluster; of one that runs outside of it name the namespace of its Lease by --reroll-namespace";
/// What is noted where only its Lease was found.
pub(super) const OUTSIDE: &str =
    "found no Deployment of reroll, but its Lease: the defaults of its flags are taken";
/// What is noted where it is of a newer release.
pub(super) const FLAGS_UNREAD: &str = "the flags of the reroll that is installed cannot be read, as those of a newer one: the defaults are taken";

/// The reroll that works in the cluster.
pub(super) struct Installation {
    /// Its namespace; `None` where it was not found.
    pub(super) namespace: Option<String>,
    /// Its Deployment, where it was found.
    pub(super) deployment: Option<Deployment>,
    /// Others that were found: their namespaces and names, and what their flags say.
    pub(super) others: Vec<(String, Option<Flags>)>,
    /// Whether Deployments could be listed where it may be.
    pub(super) may_look: bool,
    /// The image of its container.
    pub(super) image: Option<String>,
    /// What its flags say, or the defaults.
    pub(super) flags: Flags,
    /// The key of its digests, where whoever asks may read it.
    pub(super) key: Option<DigestKey>,
    /// Its Lease, where it may be read.
    pub(super) lease: Option<Lease>,
    /// Whether it may.
    pub(super) may_read_lease: bool,
    /// What could not be seen, in words.
    pub(super) notes: Vec<String>,
}

impl Installation {
    /// Finds the reroll that works in this namespace, or any where none is named. Its digest key is not read.
    pub(super) async fn find(
        session: &Session,
        asking: &Asking,
        works_in: Option<&str>,
        read_flags: ReadFlags,
    ) -> Result<Self, Error> {
        let asked = asking.reroll_namespace.as_deref();
        let mut notes = Vec::new();
        let found = deployments(session, asked, &mut notes).await?;
        let may_look = found.is_some();
        let read = |found: Deployment| {
            let container = container(&found)?;
            let flags = read_flags(
                container.args.as_deref()?.get(1..)?,
                &environment(container),
            );
            Some((found, flags))
        };
        let found = found.unwrap_or_default().into_iter();
        let mut all: Vec<_> = found.filter_map(read).collect();
        let here = all.iter().position(|(_, flags)| {
            let flags = flags.as_ref();
            flags.is_none_or(|flags| works_in.is_none_or(|name| flags.work_in(name)))
        });
        let chosen = here.map(|at| all.swap_remove(at));
        let (deployment, flags) = chosen.unzip();
        let flags = flags.flatten();
        let namespace = deployment.as_ref().and_then(Deployment::namespace);
        let namespace = namespace.or_else(|| asked.map(ToOwned::to_owned));
        let image = deployment.as_ref().and_then(container);
        let image = image.and_then(|container| container.image.clone());
        let named = |one: &Deployment| {
            format!("{}/{}", one.namespace().unwrap_or_default(), one.name_any())
        };
        let others = all.into_iter().map(|(one, flags)| (named(&one), flags));
        if namespace.is_some() && image.is_some() && flags.is_none() {
            notes.push(FLAGS_UNREAD.to_owned());
        }
        let flags = flags.or_else(|| read_flags(&[], &[]));
        let flags = flags.unwrap_or_else(Flags::default_ones);
        let mut installation = Self {
            namespace,
            deployment,
            others: others.collect(),
            may_look,
            image,
            flags,
            key: None,
            lease: None,
            may_read_lease: false,
            notes,
        };
        installation.read_lease(session).await?;
        installation.note_absence(asked);
        Ok(installation)
    }

    /// Whether there is none, as far as that may be seen.
    pub(super) fn is_nowhere(&self) -> bool {
        self.namespace.is_none() && self.may_look
    }

    /// Takes note that nothing of a reroll is in the namespace that was named.
    fn note_absence(&mut self, asked: Option<&str>) {
        let is_absent = self.deployment.is_none() && self.may_look;
        let has_none = is_absent && self.lease.is_none() && self.may_read_lease;
        if let Some(namespace) = asked.filter(|_| has_none) {
            self.notes.push(format!(
                "no reroll is in namespace {namespace}, neither a Deployment nor a Lease: nothing is restarted by it"
            ));
        }
    }

    /// Reads its Lease. That of one that runs outside of the cluster is looked for where it is by default.
    async fn read_lease(&mut self, session: &Session) -> Result<(), Error> {
        let namespace = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None if self.is_nowhere() => NAMESPACE.to_owned(),
            None => return Ok(()),
        };
        let cluster = &session.cluster;
        let leases = Api::<Lease>::namespaced(cluster.client(), &namespace);
        match cluster.get(&leases, &self.flags.lease).await {
            Ok(None) | Err(Failure::Forbidden) if self.namespace.is_none() => {}
            Ok(Some(lease)) if self.namespace.is_none() => {
                self.namespace = Some(namespace);
                self.lease = Some(lease);
                self.may_read_lease = true;
                self.notes.retain(|note| note != NOT_FOUND);
                self.notes.push(OUTSIDE.to_owned());
            }
            Ok(lease) => {
                self.lease = lease;
                self.may_read_lease = true;
            }
            Err(Failure::Forbidden) => self.notes.push(format!(
                "no right to get Leases in {namespace}: whether everything is suspended is not seen"
            )),
            Err(why) => return Err(session.failed(format!("read the Lease in {namespace}"), why)),
        }
        Ok(())
    }

    /// Reads its digest key, for who compares data.
    pub(super) async fn read_key(&mut self, session: &Session) -> Result<(), Error> {
        let Some(namespace) = self.namespace.clone() else {
            return Ok(());
        };
        let store = Store::new(session.cluster.clone(), &namespace, &self.flags.digest_key);
        match store.load().await {
            Ok(key) => self.key = key,
            Err(DigestKeyError::Api { reason: Failure::Forbidden, .. }) => self.notes.push(format!(
                "no right to get reroll's digest key in {namespace}: what was written since is not compared by its data"
            )),
            Err(DigestKeyError::Api { reason, .. }) => {
                return Err(session.failed(format!("read the digest key in {namespace}"), reason));
            }
            Err(bad) => self.notes.push(bad.to_string()),
        }
        Ok(())
    }

    /// Returns the key of its digests, or one that compares nothing.
    pub(super) fn key_or_none(&self) -> Option<DigestKey> {
        let none = || DigestKey::new(&[0; DigestKey::LENGTH]).ok();
        self.key.clone().or_else(none)
    }

    /// Returns since when nobody leads, in words; `None` where somebody does, or that is not seen.
    pub(super) fn nobody_leads(&self, now: Timestamp) -> Option<String> {
        let lease = self.lease.as_ref()?;
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
        let name = format!(
            "{}/{}",
            lease.namespace().unwrap_or_default(),
            lease.name_any()
        );
        let Some(holder) = holder.filter(|holder| !holder.is_empty()) else {
            return Some(format!(
                "nobody leads, for no replica of reroll holds Lease {name}: no restart is made"
            ));
        };
        let renewed = expired(lease, now)?;
        Some(format!(
            "nobody leads since {renewed} ({}), when {holder} renewed Lease {name} for the last time: no restart is made",
            ago(renewed, now)
        ))
    }

    /// Returns why everything is held; `None` where it is not.
    pub(super) fn stop(&self) -> Option<String> {
        let annotations = self.lease.as_ref()?.metadata.annotations.as_ref();
        suspend::read(annotations?.get(SUSPEND).map(String::as_str))
    }
}

impl Flags {
    /// Whether reroll works in this namespace, as far as flags say it.
    pub(super) fn work_in(&self, namespace: &str) -> bool {
        let named =
            self.namespaces.is_empty() || self.namespaces.iter().any(|one| one == namespace);
        named && !self.conventions.ignored_namespaces.contains(namespace)
    }

    /// Returns what flags say that nobody set.
    pub(super) fn default_ones() -> Self {
        Self {
            conventions: Conventions::default(),
            slow_start: true,
            kinds: Kinds::default(),
            namespaces: Vec::new(),
            patience: Patience::default(),
            lease: "reroll".to_owned(),
            digest_key: "reroll-digest-key".to_owned(),
            webhook: Some(Webhook::default()),
        }
    }
}

/// Returns when a Lease was renewed for the last time, where it is over by now.
pub(super) fn expired(lease: &Lease, now: Timestamp) -> Option<Timestamp> {
    let spec = lease.spec.as_ref()?;
    let renewed = spec.renew_time.as_ref()?.0;
    let seconds = i64::from(spec.lease_duration_seconds.unwrap_or(0));
    (now.duration_since(renewed).as_secs() > seconds.saturating_add(APART)).then_some(renewed)
}

/// Returns Deployments that may be reroll's; `None` where they may not be listed.
async fn deployments(
    session: &Session,
    asked: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<Deployment>>, Error> {
    let (cluster, client) = (&session.cluster, session.cluster.client());
    let params = ListParams::default().labels(LABELS);
    let is_reroll = |one: &Deployment| container(one).is_some();
    let within = |namespace: &str| Api::<Deployment>::namespaced(client.clone(), namespace);
    let api = match asked {
        Some(namespace) => within(namespace),
        None => Api::all(client.clone()),
    };
    let mut listed = cluster.list(&api, &params).await;
    if matches!(listed, Err(Failure::Forbidden)) && asked.is_none() {
        listed = cluster.list(&within(NAMESPACE), &params).await;
    }
    match listed {
        Ok(listed) => {
            let found: Vec<_> = listed.items.into_iter().filter(is_reroll).collect();
            if found.is_empty() && asked.is_none() {
                notes.push(NOT_FOUND.to_owned());
            }
            Ok(Some(found))
        }
        Err(Failure::Forbidden) => {
            let place = asked.unwrap_or("all namespaces");
            notes.push(format!(
                "no right to list Deployments in {place}, where reroll's is: the defaults of its flags are taken"
            ));
            Ok(None)
        }
        Err(why) => Err(session.failed("find reroll's Deployment", why)),
    }
}

/// Returns the container of a Deployment that runs reroll.
pub(super) fn container(deployment: &Deployment) -> Option<&Container> {
    let spec = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let runs = |one: &&Container| {
        let args = one.args.as_deref().unwrap_or_default();
        one.name == CONTAINER && args.first().is_some_and(|word| word == "run")
    };
    spec.containers.iter().find(runs)
}

fn environment(container: &Container) -> Vec<(String, String)> {
    let all = container.env.iter().flatten();
    all.filter_map(|one| Some((one.name.clone(), one.value.clone()?)))
        .collect()
}

#[cfg(test)]
impl Installation {
    /// Makes one that nobody changed a flag of, with this Lease.
    pub(super) fn with_lease(lease: Lease) -> Self {
        Self {
            namespace: Some("sys".to_owned()),
            deployment: None,
            others: Vec::new(),
            may_look: true,
            image: None,
            flags: Flags::default_ones(),
            key: Some(crate::model::testing::key()),
            lease: Some(lease),
            may_read_lease: true,
            notes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whose_lease_is_over_does_not_lead() {
        let now = "2026-01-02T00:00:30Z".parse().unwrap();
        let said = |holder: &str, renewed: &str| {
            let lease = json!({
                "metadata": { "name": "reroll", "namespace": "sys" },
                "spec": { "holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 8 },
            });
            Installation::with_lease(serde_json::from_value(lease).unwrap()).nobody_leads(now)
        };
        assert_eq!(said("a", "2026-01-02T00:00:25.000000Z"), None);
        assert_eq!(
            said("a", "2026-01-02T00:00:12.000000Z"),
            None,
            "clocks differ"
        );
        assert_eq!(
            said("a", "2026-01-02T00:00:00.000000Z").unwrap(),
            "nobody leads since 2026-01-02T00:00:00Z (30s ago), when a renewed Lease sys/reroll for the last time: no restart is made"
        );
        assert_eq!(
            said("", "2026-01-02T00:00:25.000000Z").unwrap(),
            "nobody leads, for no replica of reroll holds Lease sys/reroll: no restart is made"
        );
    }
}
