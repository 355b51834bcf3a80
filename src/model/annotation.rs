//! The names of everything reroll reads from and writes to other people's objects.

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
/// `true`: report only; what is pending stays pending.
pub const SUSPEND: &str = "reroll.dev/suspend";
/// On a source: `true` takes it out of every workload's references.
pub const IGNORE: &str = "reroll.dev/ignore";

/// Written by reroll on a workload's metadata: the versions its pods were last started with.
pub const OBSERVED: &str = "reroll.dev/observed";
/// Written by reroll on a workload's metadata: what changed last, when, for people.
pub const LAST_RESTART: &str = "reroll.dev/last-restart";
/// Written by reroll on the pod template: this is what rolls the pods.
pub const RESTARTED_FOR: &str = "reroll.dev/restarted-for";

/// The field manager of reroll's own writes; with the user, what its webhook knows them by.
pub const FIELD_MANAGER: &str = "reroll";

/// The limit of Kubernetes for all annotations of one object together, keys and values
/// (`TotalAnnotationSizeLimitB` in apimachinery's validation).
pub const TOTAL_LIMIT: usize = 262_144;
/// What reroll leaves free below [`TOTAL_LIMIT`]: controllers copy annotations to `ReplicaSet`s and add their own.
pub const RESERVE: usize = 8 * 1024;
