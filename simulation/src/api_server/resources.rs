//! The table of resources: what is served, and how each kind differs from the others.

use std::sync::LazyLock;

use k8s_openapi::api::{
    admissionregistration::v1 as registration, apps::v1 as apps, batch::v1 as batch,
    coordination::v1 as coordination, core::v1 as core, events::v1 as events,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A resource.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) scope: Scope,
    /// Whether it has the subresource `status`, so that other writes leave the status alone.
    pub(crate) status: bool,
    pub(crate) generation: Generation,
    pub(crate) put: Put,
    /// Whether it is a custom resource: it has no schema here, and is not always served.
    pub(crate) custom: bool,
    /// Reads an object as its type and writes it again: wrong types are errors, unknown fields are dropped.
    pub(crate) read: fn(Value) -> Result<Value, String>,
    /// The row in whose form it is stored.
    pub(crate) stored_as: Option<(&'static str, &'static str)>,
}

/// Where the objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespaced,
    Cluster,
}

/// What a PUT may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It updates, also without a resourceVersion.
    Updates,
    /// It updates, and creates what is not there.
    UpdatesOrCreates,
    /// It updates by a resourceVersion.
    UpdatesWhatIsKnown,
    /// It updates by a resourceVersion, and creates what is not there.
    UpdatesWhatIsKnownOrCreates,
}

/// What raises `metadata.generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// The kind has none.
    None,
    /// Changes of the spec.
    Spec,
    /// Changes of the spec or of the annotations.
    SpecAndAnnotations,
    /// Changes of anything but metadata and status.
    All,
}

impl Row {
    const fn of(group: &'static str, kind: &'static str, plural: &'static str) -> Self {
        Self {
            group,
            version: "v1",
            kind,
            plural,
            scope: Scope::Namespaced,
            status: false,
            generation: Generation::None,
            put: Put::Updates,
            custom: false,
            read: Ok,
            stored_as: None,
        }
    }

    const fn typed(self, read: fn(Value) -> Result<Value, String>) -> Self {
        Self { read, ..self }
    }

    const fn with_status(self, generation: Generation) -> Self {
        Self {
            status: true,
            generation,
            ..self
        }
    }

    const fn of_cluster(self) -> Self {
        Self {
            scope: Scope::Cluster,
            ..self
        }
    }

    const fn custom(self, version: &'static str) -> Self {
        Self {
            version,
            custom: true,
            put: Put::UpdatesWhatIsKnown,
            generation: Generation::All,
            ..self
        }
    }

    /// Whether its objects are in namespaces.
    pub(crate) fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// Whether a PUT may create it.
    pub(crate) fn put_creates(&self) -> bool {
        matches!(
            self.put,
            Put::UpdatesOrCreates | Put::UpdatesWhatIsKnownOrCreates
        )
    }

    /// Whether a PUT may leave out the resourceVersion.
    pub(crate) fn is_unconditional(&self) -> bool {
        matches!(self.put, Put::Updates | Put::UpdatesOrCreates)
    }

    /// Returns `group/version`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Returns `plural.group`.
    pub(crate) fn qualified(&self) -> String {
        self.in_group(self.plural)
    }

    /// Returns `Kind.group`.
    pub(crate) fn kind_and_group(&self) -> String {
        self.in_group(self.kind)
    }

    fn in_group(&self, name: &str) -> String {
        if self.group.is_empty() {
            name.to_owned()
        } else {
            format!("{name}.{}", self.group)
        }
    }

    /// Whether it has a pod template in `spec.template`.
    pub(crate) fn is_workload(&self) -> bool {
        matches!(
            self.kind,
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job"
        )
    }
}

const fn webhooks(row: Row) -> Row {
    Row {
        generation: Generation::All,
        put: Put::UpdatesWhatIsKnown,
        ..row.of_cluster()
    }
}

/// All resources.
pub(crate) const ROWS: &[Row] = &[
    Row::of("", "Namespace", "namespaces")
        .of_cluster()
        .with_status(Generation::None)
        .typed(typed::<core::Namespace>),
    Row::of("", "Secret", "secrets").typed(typed::<core::Secret>),
    Row::of("", "ConfigMap", "configmaps").typed(typed::<core::ConfigMap>),
    Row::of("", "Pod", "pods")
        .with_status(Generation::Spec)
        .typed(typed::<core::Pod>),
    Row::of("", "Node", "nodes")
        .of_cluster()
        .with_status(Generation::None)
        .typed(typed::<core::Node>),
    Row::of("", "ServiceAccount", "serviceaccounts").typed(typed::<core::ServiceAccount>),
    Row {
        stored_as: Some(("events.k8s.io", "events")),
        put: Put::UpdatesOrCreates,
        ..Row::of("", "Event", "events").typed(typed::<core::Event>)
    },
    Row {
        put: Put::UpdatesOrCreates,
        ..Row::of("events.k8s.io", "Event", "events").typed(typed::<events::Event>)
    },
    Row::of("apps", "Deployment", "deployments")
        .with_status(Generation::SpecAndAnnotations)
        .typed(typed::<apps::Deployment>),
    Row::of("apps", "StatefulSet", "statefulsets")
        .with_status(Generation::Spec)
        .typed(typed::<apps::StatefulSet>),
    Row::of("apps", "DaemonSet", "daemonsets")
        .with_status(Generation::Spec)
        .typed(typed::<apps::DaemonSet>),
    Row::of("apps", "ReplicaSet", "replicasets")
        .with_status(Generation::Spec)
        .typed(typed::<apps::ReplicaSet>),
    Row::of("apps", "ControllerRevision", "controllerrevisions")
        .typed(typed::<apps::ControllerRevision>),
    Row::of("batch", "Job", "jobs")
        .with_status(Generation::Spec)
        .typed(typed::<batch::Job>),
    Row::of("batch", "CronJob", "cronjobs")
        .with_status(Generation::Spec)
        .typed(typed::<batch::CronJob>),
    Row {
        put: Put::UpdatesWhatIsKnownOrCreates,
        ..Row::of("coordination.k8s.io", "Lease", "leases").typed(typed::<coordination::Lease>)
    },
    webhooks(Row::of(
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
    ))
    .typed(typed::<registration::MutatingWebhookConfiguration>),
    webhooks(Row::of(
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
    ))
    .typed(typed::<registration::ValidatingWebhookConfiguration>),
    Row::of("argoproj.io", "Rollout", "rollouts")
        .with_status(Generation::All)
        .custom("v1alpha1"),
    Row::of(
        "secrets-store.csi.x-k8s.io",
        "SecretProviderClass",
        "secretproviderclasses",
    )
    .custom("v1"),
    Row::of(
        "secrets-store.csi.x-k8s.io",
        "SecretProviderClassPodStatus",
        "secretproviderclasspodstatuses",
    )
    .custom("v1"),
    Row::of("apps.openshift.io", "DeploymentConfig", "deploymentconfigs")
        .with_status(Generation::All)
        .custom("v1"),
];

/// Returns the index of a resource.
pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<usize> {
    ROWS.iter()
        .position(|row| row.group == group && row.version == version && row.plural == plural)
}

/// The names of the rows, as in `deployments.apps`.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| ROWS.iter().map(Row::qualified).collect());

/// Returns the name of a row, such as `deployments.apps`.
pub(crate) fn qualified(index: usize) -> &'static str {
    &NAMES[index]
}

/// Returns the index of the first row of this name.
pub(crate) fn named(qualified: &str) -> Option<usize> {
    NAMES.iter().position(|name| name == qualified)
}

/// Returns the index of the row in which the objects of a row are stored.
pub(crate) fn storage(index: usize) -> usize {
    let stored = ROWS[index].stored_as;
    stored
        .and_then(|(group, plural)| find(group, "v1", plural))
        .unwrap_or(index)
}

fn typed<K: DeserializeOwned + Serialize>(object: Value) -> Result<Value, String> {
    let object: K = serde_json::from_value(object).map_err(|error| error.to_string())?;
    serde_json::to_value(object).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_one_storage() {
        let (core, own) = (
            find("", "v1", "events"),
            find("events.k8s.io", "v1", "events"),
        );
        assert_ne!(core, own);
        assert_eq!(core.map(storage), own.map(storage));
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(find(row.group, row.version, row.plural), Some(index));
        }
    }
}
