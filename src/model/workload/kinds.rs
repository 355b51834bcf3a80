//! The table of kinds.
//!
//! A kind is a row, and rows live as long as the process. The built-in ones are statics. Those that a flag names are
//! leaked once, at start ([`WorkloadKind::configured`]). What differs between kinds stands in the row: no code
//! elsewhere compares the name of a kind.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

/// A kind of workload: an object with a pod template. Two rows are the same where group and kind are: there is one row for
/// each of them in [`Kinds`].
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about a kind"
)]
pub struct WorkloadKind {
    /// Kubernetes' name of the kind.
    pub kind: &'static str,
    /// API group.
    pub group: &'static str,
    /// API version; for [`Self::optional`] kinds the preferred one.
    pub version: &'static str,
    /// Name of the resource in paths and RBAC; for [`Self::optional`] kinds the API server may say otherwise.
    pub plural: &'static str,
    /// What people call the resource for short; empty where there is no such name.
    pub short_name: &'static str,
    /// What readiness calls its first list.
    pub list_name: &'static str,
    /// JSON pointer to the pod template.
    pub template: &'static str,
    /// Not every cluster has it: it comes with a `CustomResourceDefinition`, and may go.
    pub optional: bool,
    /// How it is restarted.
    pub means: RestartMeans,
    /// What its revisions are, as far as reroll knows.
    pub revisions: Option<Revisions>,
    /// What its status counts, where that tells whether pods of an older template are left.
    pub counts: Option<Counts>,
    /// Its rollout makes new pods before old ones go: it is not over while there are more than the new ones.
    pub surges: bool,
    /// Its pods are called NAME-0, NAME-1 and so on, and it adopts no others.
    pub ordinals: bool,
    /// It counts its templates, and its pods carry the number.
    pub numbers_templates: bool,
    /// Reloader's pause period makes its changes gather.
    pub gathers: bool,
}

/// A row of the table.
pub type Kind = &'static WorkloadKind;

/// How workloads of a kind are restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartMeans {
    /// By a change of the pod template, which their controller rolls out.
    Template,
    /// The same; or by `spec.restartAt`, where they ask for that or have no template of their own.
    RestartAt,
    /// By a Job that is made of it and runs now, where it asks for that.
    Run,
    /// By another object in its place, where it asks for that: its template cannot change.
    Recreate,
}

impl RestartMeans {
    /// Returns the value of `reroll.dev/on-change` without which a change does nothing to such a workload; `None` where it takes none.
    pub const fn asked_by(self) -> Option<&'static str> {
        match self {
            Self::Run => Some("run-now"),
            Self::Recreate => Some("recreate"),
            Self::Template | Self::RestartAt => None,
        }
    }
}

/// The objects that a workload's controller makes for each of its templates, in time order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revisions {
    /// `ReplicaSet`s
    ReplicaSets,
    /// `ControllerRevision`s
    ControllerRevisions,
    /// It is its only one: its template cannot change.
    Itself,
}

/// What the status of a kind counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// `replicas`, and `updatedReplicas` of them.
    Replicas,
    /// `desiredNumberScheduled`, `updatedNumberScheduled` of them, and `numberMisscheduled` beside them.
    Scheduled,
}

/// The kinds that every cluster has.
pub static KINDS: [WorkloadKind; 3] = [
    WorkloadKind {
        kind: "Deployment",
        group: "apps",
        version: "v1",
        plural: "deployments",
        short_name: "deploy",
        list_name: "list of deployments",
        template: TEMPLATE,
        optional: false,
        means: RestartMeans::Template,
        revisions: Some(Revisions::ReplicaSets),
        counts: Some(Counts::Replicas),
        surges: true,
        ordinals: false,
        numbers_templates: false,
        gathers: true,
    },
    WorkloadKind {
        kind: "StatefulSet",
        group: "apps",
        version: "v1",
        plural: "statefulsets",
        short_name: "sts",
        list_name: "list of statefulsets",
        template: TEMPLATE,
        optional: false,
        means: RestartMeans::Template,
        revisions: Some(Revisions::ControllerRevisions),
        counts: Some(Counts::Replicas),
        surges: false,
        ordinals: true,
        numbers_templates: false,
        gathers: false,
    },
    WorkloadKind {
        kind: "DaemonSet",
        group: "apps",
        version: "v1",
        plural: "daemonsets",
        short_name: "ds",
        list_name: "list of daemonsets",
        template: TEMPLATE,
        optional: false,
        means: RestartMeans::Template,
        revisions: Some(Revisions::ControllerRevisions),
        counts: Some(Counts::Scheduled),
        surges: false,
        ordinals: false,
        numbers_templates: true,
        gathers: false,
    },
];

/// Argo Rollouts.
pub static ROLLOUT: WorkloadKind = WorkloadKind {
    kind: "Rollout",
    group: "argoproj.io",
    version: "v1alpha1",
    plural: "rollouts",
    short_name: "ro",
    list_name: "list of rollouts",
    template: TEMPLATE,
    optional: true,
    means: RestartMeans::RestartAt,
    revisions: Some(Revisions::ReplicaSets),
    counts: Some(Counts::Replicas),
    surges: false,
    ordinals: false,
    numbers_templates: false,
    gathers: false,
};

/// `OpenShift`.
pub static DEPLOYMENT_CONFIG: WorkloadKind = WorkloadKind {
    kind: "DeploymentConfig",
    group: "apps.openshift.io",
    version: "v1",
    plural: "deploymentconfigs",
    short_name: "dc",
    list_name: "list of deploymentconfigs",
    template: TEMPLATE,
    optional: true,
    means: RestartMeans::Template,
    // ReplicationControllers: rights on them would be asked for this alone.
    revisions: None,
    counts: None,
    surges: false,
    ordinals: false,
    numbers_templates: false,
    gathers: false,
};

/// Nothing of it has to be restarted: the next run reads the new values. Watched only where a flag names it.
pub static CRON_JOB: WorkloadKind = WorkloadKind {
    kind: "CronJob",
    group: "batch",
    version: "v1",
    plural: "cronjobs",
    short_name: "cj",
    list_name: "list of cronjobs",
    template: "/spec/jobTemplate/spec/template",
    optional: false,
    means: RestartMeans::Run,
    revisions: None,
    counts: None,
    surges: false,
    ordinals: false,
    numbers_templates: false,
    gathers: false,
};

/// Watched only where a flag names it.
pub static JOB: WorkloadKind = WorkloadKind {
    kind: "Job",
    group: "batch",
    version: "v1",
    plural: "jobs",
    short_name: "",
    list_name: "list of jobs",
    template: TEMPLATE,
    optional: false,
    means: RestartMeans::Recreate,
    revisions: Some(Revisions::Itself),
    counts: None,
    surges: false,
    ordinals: false,
    numbers_templates: false,
    gathers: false,
};

/// The kinds that `--optional-kinds` can name, and whether it does where the user gives no such flag.
pub static NAMED: [(Kind, bool); 4] = [
    (&ROLLOUT, true),
    (&DEPLOYMENT_CONFIG, true),
    (&CRON_JOB, false),
    (&JOB, false),
];

/// Returns the kinds of every cluster that are off where no flag names them.
pub fn off_by_default() -> impl Iterator<Item = Kind> {
    let named = NAMED.iter().filter(|(kind, on)| !on && !kind.optional);
    named.map(|(kind, _)| *kind)
}

/// Returns what a person does who wants such a kind restarted.
pub fn turned_on(kind: Kind) -> String {
    format!(
        "add {} to kinds.optional of reroll's chart (--optional-kinds)",
        kind.plural
    )
}

/// Where nearly all kinds have it.
const TEMPLATE: &str = "/spec/template";

impl WorkloadKind {
    /// Returns a row for a kind that a flag names. It is leaked: to be called once for each, at start.
    pub fn configured(
        group: String,
        version: String,
        kind: String,
        plural: String,
        template: Option<String>,
    ) -> Kind {
        let list_name = format!("list of {plural}");
        Box::leak(Box::new(Self {
            kind: kind.leak(),
            group: group.leak(),
            version: version.leak(),
            plural: plural.leak(),
            short_name: "",
            list_name: list_name.leak(),
            template: template.map_or(TEMPLATE, |pointer| pointer.leak()),
            optional: true,
            means: RestartMeans::Template,
            revisions: None,
            counts: None,
            surges: false,
            ordinals: false,
            numbers_templates: false,
            gathers: false,
        }))
    }

    /// Whether its controller takes over pods that were there before it, as far as reroll knows: those of kinds
    /// whose revisions are not known cannot be told.
    pub fn adopts_pods(&self) -> bool {
        let revisions = [Revisions::ReplicaSets, Revisions::ControllerRevisions];
        self.revisions.is_some_and(|own| revisions.contains(&own))
    }

    /// Returns `apps/v1`, or the like.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

impl PartialEq for WorkloadKind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || (self.kind == other.kind && self.group == other.group)
    }
}

impl Eq for WorkloadKind {}

impl PartialOrd for WorkloadKind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WorkloadKind {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.kind, self.group).cmp(&(other.kind, other.group))
    }
}

impl Hash for WorkloadKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind, self.group).hash(state);
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.api_version(), self.kind)
    }
}

/// The kinds that this process rolls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds(Vec<Kind>);

/// Two rows for one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindTwice(pub Kind);

/// Those that every cluster has.
impl Default for Kinds {
    fn default() -> Self {
        Self(KINDS.iter().collect())
    }
}

impl Kinds {
    /// Returns a table without kinds.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Returns these and one more.
    ///
    /// # Errors
    /// Where the kind is among them already, in any version: an object would have two rows.
    pub fn with(mut self, kind: Kind) -> Result<Self, KindTwice> {
        if let Some(known) = self.find(kind.group, kind.kind) {
            return Err(KindTwice(known));
        }
        self.0.push(kind);
        Ok(self)
    }

    /// Returns the row for a kind of an API group, in any version.
    pub fn find(&self, group: &str, kind: &str) -> Option<Kind> {
        self.iter()
            .find(|row| row.group == group && row.kind == kind)
    }

    /// Returns all rows.
    pub fn iter(&self) -> impl Iterator<Item = Kind> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::*;

    #[test]
    fn one_table_knows_the_kinds() {
        let kinds = Kinds::default();
        let kinds = kinds.with(&ROLLOUT).unwrap();
        let kinds = kinds.with(&DEPLOYMENT_CONFIG).unwrap();
        let kinds = kinds.with(&CRON_JOB).unwrap().with(&JOB).unwrap();
        let app = |group: &str, plural: &str, template: Option<&str>| {
            let [group, version, kind] = [group, "v1beta2", "App"].map(ToOwned::to_owned);
            let template = template.map(ToOwned::to_owned);
            WorkloadKind::configured(group, version, kind, plural.to_owned(), template)
        };
        let one = app("example.com", "apps", Some("/spec/app/podTemplate"));
        let kinds = kinds.with(one).unwrap();
        let kinds = kinds.with(app("example.org", "apples", None)).unwrap();
        insta::assert_debug_snapshot!(kinds.iter().collect::<Vec<_>>());
        assert_eq!(kinds.find("example.com", "App"), Some(one));
        assert_eq!(kinds.find("example.com", "Deployment"), None);
        assert_eq!(kinds.find("", "App"), None);
        assert_eq!(one.to_string(), "example.com/v1beta2/App");
    }

    #[test]
    fn a_kind_has_one_row() {
        let kinds = Kinds::default().with(&ROLLOUT).unwrap();
        let again = ["argoproj.io", "v2", "Rollout", "rollouts"].map(ToOwned::to_owned);
        let [group, version, kind, plural] = again;
        let again = WorkloadKind::configured(group, version, kind, plural, None);
        for (row, known) in [(again, &ROLLOUT), (&KINDS[0], &KINDS[0])] {
            let KindTwice(told) = kinds.clone().with(row).unwrap_err();
            assert!(std::ptr::eq(told, known), "the row that is there is told");
        }
    }

    #[test]
    fn a_kind_is_the_same_in_another_version_and_not_in_another_group() {
        let row = |group: &str, version: &str| {
            let [group, version, kind] = [group, version, "Rollout"].map(ToOwned::to_owned);
            let plural = "rollouts".to_owned();
            WorkloadKind::configured(group, version, kind, plural, None)
        };
        let hash = |row: Kind| BuildHasherDefault::<DefaultHasher>::default().hash_one(row);
        let (same, other) = (row("argoproj.io", "v2"), row("example.com", "v1alpha1"));
        assert_eq!((same, hash(same)), (&ROLLOUT, hash(&ROLLOUT)));
        assert_eq!(same.cmp(&ROLLOUT), Ordering::Equal);
        assert_ne!(other, &ROLLOUT);
        assert_ne!(
            (other.cmp(&ROLLOUT), hash(other)),
            (Ordering::Equal, hash(&ROLLOUT))
        );
    }
}
