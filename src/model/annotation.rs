//! The names of all annotations and labels that reroll reads from and writes to other people's objects.

/// What all of reroll's annotations and labels begin with.
pub const PREFIX: &str = "reroll.dev/";

/// Opt-in of a workload (annotation), or the default of a namespace (label).
pub const RESTART_ON: &str = "reroll.dev/restart-on";
/// `restart` (default) or `content`: what a recreated source with the same data does.
pub const ON_RECREATE: &str = "reroll.dev/on-recreate";
/// `wait` (default) or `restart`: what a deleted source does.
pub const ON_DELETE: &str = "reroll.dev/on-delete";
/// `report` (default) or `restart`: what a source written after the workload's current revision does at adoption.
pub const ON_ADOPT: &str = "reroll.dev/on-adopt";
/// Quiet period before a restart, as `5s`.
pub const SETTLE: &str = "reroll.dev/settle";
/// On a workload, a Namespace or reroll's Lease: any text but a word for false holds restarts, and is shown as the reason.
pub const SUSPEND: &str = "reroll.dev/suspend";
/// `run-now` on a CronJob, `recreate` on a Job: what a change does, which is nothing without it.
pub const ON_CHANGE: &str = "reroll.dev/on-change";
/// `restartedAt`: restart by [`KUBECTL_RESTARTED_AT`], and by nothing else of the template.
pub const MARK: &str = "reroll.dev/mark";
/// `true` on a workload: a restart says in [`CHANGE_CAUSE`] what it was for.
pub const ASKS_CHANGE_CAUSE: &str = "reroll.dev/change-cause";
/// On a source: `true` takes it out of every workload's references.
pub const IGNORE: &str = "reroll.dev/ignore";

/// Written by reroll on a workload's metadata: the versions its pods were last started with.
pub const OBSERVED: &str = "reroll.dev/observed";
/// Written by reroll on a workload's metadata: what changed last, when, for people.
pub const LAST_RESTART: &str = "reroll.dev/last-restart";
/// Written by reroll on the pod template: this is what rolls the pods.
pub const RESTARTED_FOR: &str = "reroll.dev/restarted-for";

/// Written by reroll on the metadata of what is restarted by `spec.restartAt` or by [`KUBECTL_RESTARTED_AT`]:
/// `MARK@TIME`, the mark that `observed` belongs to, and the time that was set with it.
pub const RESTARTED_AT: &str = "reroll.dev/restarted-at";

/// Written by reroll on a workload's metadata: why a restart that is due is not made, see [`Pending`].
///
/// [`Pending`]: crate::model::pending::Pending
pub const PENDING: &str = "reroll.dev/pending";

/// Written by reroll on a workload's metadata: what its last restart was, see [`Opened`].
///
/// [`Opened`]: crate::model::workload::Opened
pub const ROLLOUT_OPENED: &str = "reroll.dev/rollout";

/// `off` on a workload, a Namespace or a source: its restarts do not wait for what becomes of others.
pub const SLOW_START: &str = "reroll.dev/slow-start";
/// For how long a new pod has to run before a restart counts as good, as `30s`.
pub const SOAK: &str = "reroll.dev/soak";
/// When a restart that is not good has failed, as `20m`.
pub const ROLLOUT_DEADLINE: &str = "reroll.dev/rollout-deadline";

/// On a workload or a Namespace: at what days and hours restarts are made, as `Mon-Fri 22:00-04:00, Sun Europe/Berlin`.
pub const WINDOW: &str = "reroll.dev/window";
/// So long after the first change that it lacks a workload is restarted outside its window all the same, as `72h`.
pub const WINDOW_LATEST: &str = "reroll.dev/window-latest";
/// Values that belong together, as `secret/user, secret/pass#password; …`: a restart for one of a group waits for the others.
pub const TOGETHER: &str = "reroll.dev/together";
/// So long after the first change of a group a restart does not wait for the others, as `10m`.
pub const TOGETHER_LATEST: &str = "reroll.dev/together-latest";
/// A whole number, 0 by default: users of a source with a lower one are restarted, and complete, first.
pub const WAVE: &str = "reroll.dev/wave";
/// The id of the restart that is pending and is let past what holds it, or `now`, which the webhook makes that id.
pub const RELEASE: &str = "reroll.dev/release";
/// Its value that stands for the restart that is due when it is written.
pub const NOW: &str = "now";

/// Written by reroll on its Lease: the version of the replica that holds it, or held it last. Whoever has no access to a
/// port reads it there.
pub const HOLDER_VERSION: &str = "reroll.dev/version";
/// Written by reroll on its Lease: when a replica last proved by its own reads that etcd had gone back to an earlier state.
pub const HISTORY_LOST: &str = "reroll.dev/history-lost";

/// Set on the pod template by `kubectl rollout restart`, and by reroll where [`MARK`] asks for that.
pub const KUBECTL_RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// What `kubectl rollout history` shows of a revision. It is everybody's.
pub const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// The field manager of reroll's own writes; with the user, what its webhook knows them by.
pub const FIELD_MANAGER: &str = "reroll";

/// The limit of Kubernetes for all annotations of one object together, keys and values
/// (`TotalAnnotationSizeLimitB` in apimachinery's validation).
pub const TOTAL_LIMIT: usize = 262_144;
/// What reroll leaves free below [`TOTAL_LIMIT`]: controllers copy annotations to `ReplicaSet`s and add their own.
pub const RESERVE: usize = 8 * 1024;

/// The annotations of Stakater Reloader, which mean here what they mean there (`docs/reloader.md` has the table). Those
/// about one kind of source stand in its row ([`SourceKind::reloader`]).
///
/// [`SourceKind::reloader`]: crate::model::source::SourceKind::reloader
pub mod reloader {
    use crate::model::source::SourceKind;

    /// What all of them end with, before the slash.
    pub const DOMAIN: &str = "reloader.stakater.com/";

    /// Every source that is referenced.
    pub const AUTO: &str = "reloader.stakater.com/auto";
    /// Of what is referenced what has [`MATCH`].
    pub const SEARCH: &str = "reloader.stakater.com/search";
    /// On a source: found by [`SEARCH`].
    pub const MATCH: &str = "reloader.stakater.com/match";
    /// On a source, and on a workload: leave it alone.
    pub const IGNORE: &str = "reloader.stakater.com/ignore";
    /// `rollout` or `restart`: how an Argo Rollout is restarted.
    pub const ROLLOUT_STRATEGY: &str = "reloader.stakater.com/rollout-strategy";
    /// How long a Deployment is paused after a restart, so that changes gather.
    pub const PAUSE_PERIOD: &str = "deployment.reloader.stakater.com/pause-period";

    /// Returns those that select.
    pub fn selecting() -> impl Iterator<Item = &'static str> {
        let own = SourceKind::ALL.into_iter().map(SourceKind::reloader);
        own.flat_map(|keys| [keys.auto, keys.reload])
            .chain([AUTO, SEARCH])
    }

    /// Returns those that select sources of a kind: they count on the pod template where the workload has none of them.
    pub const fn selecting_of(kind: SourceKind) -> [&'static str; 4] {
        [kind.reloader().reload, kind.reloader().auto, AUTO, SEARCH]
    }
}
