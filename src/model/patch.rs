//! Decisions as JSON Patch (RFC 6902).
//!
//! The leader's patches are compare-and-swap and commit in one call. They `test` the uid and the old `observed`, and
//! only then write. So replicas, crashes and replays make one restart. The webhook's patches are applied to the very
//! object that was read, so they need no tests. A patch of the webhook that does not apply would be an error to the
//! *user*, whatever the `failurePolicy`. So nothing is assumed about which maps exist.

use jiff::Timestamp;
pub use json_patch::Patch;
use json_patch::{
    AddOperation, PatchOperation, RemoveOperation, ReplaceOperation, TestOperation,
    jsonptr::PointerBuf,
};
use serde_json::{Value, json};

use super::{
    adopted::TEMPLATE_GENERATION,
    annotation::{
        CHANGE_CAUSE, KUBECTL_RESTARTED_AT, LAST_RESTART, OBSERVED, PENDING, RELEASE, RESTARTED_AT,
        RESTARTED_FOR, ROLLOUT_OPENED,
    },
    stamp::OwnAnnotations,
    workload::{Kind, RestartBy, Shape, Workload},
};

/// What a restart writes for people and for its verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `reroll.dev/last-restart`
    pub last_restart: String,
    /// `reroll.dev/rollout`; `None` where there is nothing to see of it.
    pub opened: Option<String>,
    /// `kubernetes.io/change-cause`; `None` leaves it as it is.
    pub change_cause: Option<String>,
}

const ANNOTATIONS: [&str; 2] = ["metadata", "annotations"];

/// Restarts, if the workload is still as it was: advances `observed` and sets a new mark, where the workload is restarted
/// by ([`RestartBy`]). `then`: the time of [`RestartBy::time`]. A run, which was made before, is recorded.
pub fn restart(
    kind: Kind,
    workload: &Workload,
    observed: &str,
    mark: &str,
    told: &Told,
    then: Timestamp,
) -> Patch {
    let own = OwnAnnotations {
        observed: Some(observed.to_owned()),
        last_restart: Some(told.last_restart.clone()),
        opened: told.opened.clone(),
        restarted_at: None,
        pending: None,
        ..current(workload)
    };
    let at = workload.restart_by.time(then);
    let stamped = at.map(|at| format!("{mark}@{at}"));
    let to = match workload.restart_by {
        RestartBy::Run => own,
        RestartBy::RestartAt { .. } => OwnAnnotations {
            restarted_at: stamped,
            ..own
        },
        RestartBy::LikeKubectl { .. } => OwnAnnotations {
            restarted_at: stamped,
            kubectl: at.map(|at| at.to_string()),
            ..own
        },
        RestartBy::Template | RestartBy::Recreate => OwnAnnotations {
            restarted_for: Some(mark.to_owned()),
            ..own
        },
    };
    let mut patch = guarded(kind, workload, &to);
    if let Some(text) = &told.change_cause {
        patch.0.extend(says_change_cause(workload, text));
    }
    let by_time = matches!(workload.restart_by, RestartBy::RestartAt { .. });
    if !by_time || workload.abort.is_aborted() {
        patch.0.extend(abort_unchanged(workload));
    }
    if let (RestartBy::RestartAt { .. }, Some(at)) = (&workload.restart_by, at) {
        if workload.abort.is_aborted() {
            // Argo would give the restart up for another template that it has yet to see.
            let generation = json!(workload.generation);
            patch
                .0
                .push(test(pointer(&["metadata", "generation"]), generation));
        }
        patch.0.push(PatchOperation::Add(AddOperation {
            path: pointer(&["spec", "restartAt"]),
            value: json!(at.to_string()),
        }));
    }
    patch
}

/// Sets `kubernetes.io/change-cause`, if nobody wrote it since the workload was read. Others write `observed` by then.
fn says_change_cause(workload: &Workload, text: &str) -> [PatchOperation; 2] {
    let path = annotation(CHANGE_CAUSE);
    let old = workload.change_cause.as_ref();
    let old = old.map_or(Value::Null, |old| json!(old.text));
    let set = PatchOperation::Add(AddOperation {
        path: path.clone(),
        value: json!(text),
    });
    [test(path, old), set]
}

/// Tests that an abort has neither begun nor ended since the workload was read ([`Workload::abort`]).
fn abort_unchanged(workload: &Workload) -> Option<PatchOperation> {
    let (pointer, value) = workload.abort.seen()?;
    Some(test(PointerBuf::parse(pointer).ok()?, value))
}

/// Writes `observed` without a restart, if the workload is still as it was.
pub fn record(kind: Kind, workload: &Workload, observed: &str) -> Patch {
    let to = OwnAnnotations {
        observed: Some(observed.to_owned()),
        ..current(workload)
    };
    guarded(kind, workload, &to)
}

/// Writes `observed` without a restart, and that nothing is pending, if the workload is still as it was.
pub fn settle(kind: Kind, workload: &Workload, observed: &str) -> Patch {
    let to = OwnAnnotations {
        observed: Some(observed.to_owned()),
        pending: None,
        ..current(workload)
    };
    guarded(kind, workload, &to)
}

/// Writes why a restart is pending, if the workload is still as it was.
pub fn hold(kind: Kind, workload: &Workload, pending: &str) -> Patch {
    let to = OwnAnnotations {
        pending: Some(pending.to_owned()),
        ..current(workload)
    };
    guarded(kind, workload, &to)
}

/// Removes reroll's metadata annotations, never the template's: that would roll the pods.
pub fn forget(kind: Kind, workload: &Workload) -> Patch {
    let to = OwnAnnotations {
        observed: None,
        last_restart: None,
        restarted_at: None,
        pending: None,
        opened: None,
        ..current(workload)
    };
    guarded(kind, workload, &to)
}

/// Returns what the webhook answers: from what the object carries to what it shall carry.
pub fn admit(kind: Kind, shape: Shape, from: &OwnAnnotations, to: &OwnAnnotations) -> Patch {
    let mut operations = Vec::new();
    write(kind, shape, from, to, false, &mut operations);
    Patch(operations)
}

/// Also lets a new `DaemonSet` count its templates from this number on.
pub fn begin_at(patch: Patch, shape: Shape, number: i64) -> Patch {
    let mut patch = with_annotations(patch, shape);
    patch.0.push(PatchOperation::Add(AddOperation {
        path: annotation(TEMPLATE_GENERATION),
        value: json!(number.to_string()),
    }));
    patch
}

/// Returns the same, which also makes `reroll.dev/release` this id; `None` takes it away. For an object that has it.
pub fn let_go(admitted: Patch, id: Option<&str>) -> Patch {
    let path = annotation(RELEASE);
    let operation = match id {
        Some(id) => PatchOperation::Replace(ReplaceOperation {
            path,
            value: json!(id),
        }),
        None => PatchOperation::Remove(RemoveOperation { path }),
    };
    let mut all = admitted;
    all.0.push(operation);
    all
}

/// Returns the same, which also sets `kubernetes.io/change-cause`; `None` takes it away, of an object that has it.
pub fn with_change_cause(admitted: Patch, shape: Shape, text: Option<&str>) -> Patch {
    let path = annotation(CHANGE_CAUSE);
    let Some(text) = text else {
        let mut all = admitted;
        all.0.push(PatchOperation::Remove(RemoveOperation { path }));
        return all;
    };
    let mut all = with_annotations(admitted, shape);
    all.0.push(PatchOperation::Add(AddOperation {
        path,
        value: json!(text),
    }));
    all
}

/// Returns the same, after which there are annotations.
fn with_annotations(mut admitted: Patch, shape: Shape) -> Patch {
    let map = pointer(&ANNOTATIONS);
    let creates = |one: &PatchOperation| matches!(one, PatchOperation::Add(add) if add.path == map);
    if !shape.annotations && !admitted.0.iter().any(creates) {
        create_map(map, false, &mut admitted.0);
    }
    admitted
}

/// Changes the template of a `DaemonSet` that has this number for the sake of its next number alone, if it is still as it
/// was. A restart is due, and sets another mark right after. `observed` does not move, so after a crash in between the
/// restart is still due.
pub fn pass_number(
    kind: Kind,
    workload: &Workload,
    number: i64,
    mark: &str,
    then: Timestamp,
) -> Patch {
    let from = current(workload);
    let to = match workload.restart_by.time(then) {
        Some(at) => OwnAnnotations {
            kubectl: Some(at.to_string()),
            ..from
        },
        None => OwnAnnotations {
            restarted_for: Some(mark.to_owned()),
            ..from
        },
    };
    let mut patch = guarded(kind, workload, &to);
    patch.0.push(test(
        annotation(TEMPLATE_GENERATION),
        json!(number.to_string()),
    ));
    patch
}

fn guarded(kind: Kind, workload: &Workload, to: &OwnAnnotations) -> Patch {
    let from = current(workload);
    let mut operations = vec![test(pointer(&["metadata", "uid"]), json!(workload.uid))];
    if workload.shape.annotations {
        operations.push(test(
            annotation(OBSERVED),
            from.observed
                .as_ref()
                .map_or(Value::Null, |text| json!(text)),
        ));
    }
    write(kind, workload.shape, &from, to, true, &mut operations);
    Patch(operations)
}

fn current(workload: &Workload) -> OwnAnnotations {
    OwnAnnotations {
        observed: workload.observed.clone(),
        // Only that it is there matters: it is overwritten or removed, never tested.
        last_restart: workload.last_restart.map(|_| String::new()),
        opened: workload.has_opened.then(String::new),
        restarted_for: workload.marks.template.clone(),
        restarted_at: workload.marks.at.clone(),
        pending: workload.pending.clone(),
        kubectl: workload.marks.kubectl.clone(),
    }
}

fn write(
    kind: Kind,
    shape: Shape,
    from: &OwnAnnotations,
    to: &OwnAnnotations,
    guard: bool,
    operations: &mut Vec<PatchOperation>,
) {
    let metadata = [
        (OBSERVED, &from.observed, &to.observed),
        (LAST_RESTART, &from.last_restart, &to.last_restart),
        (RESTARTED_AT, &from.restarted_at, &to.restarted_at),
        (PENDING, &from.pending, &to.pending),
        (ROLLOUT_OPENED, &from.opened, &to.opened),
    ];
    if !shape.annotations && metadata.iter().any(|(_, _, to)| to.is_some()) {
        create_map(pointer(&ANNOTATIONS), guard, operations);
    }
    for (key, from, to) in metadata {
        set(annotation(key), from.as_deref(), to.as_deref(), operations);
    }
    let template = [
        (RESTARTED_FOR, &from.restarted_for, &to.restarted_for),
        (KUBECTL_RESTARTED_AT, &from.kubectl, &to.kubectl),
    ];
    let changed: Vec<_> = template
        .into_iter()
        .filter(|(_, from, to)| from != to)
        .collect();
    // There is nowhere to write it: reroll does not change a template that belongs to another workload.
    if changed.is_empty() || !shape.template {
        return;
    }
    let path = |rest: &[&str]| {
        let mut path = PointerBuf::parse(kind.template).unwrap_or_default();
        for token in rest {
            path.push_back(*token);
        }
        path
    };
    if changed.iter().any(|(_, _, to)| to.is_some()) && !shape.template_annotations {
        if !shape.template_metadata {
            create_map(path(&["metadata"]), guard, operations);
        }
        create_map(path(&ANNOTATIONS), guard, operations);
    }
    for (key, from, to) in changed {
        let path = path(&[ANNOTATIONS[0], ANNOTATIONS[1], key]);
        if guard {
            let old = from.as_ref().map_or(Value::Null, |text| json!(text));
            operations.push(test(path.clone(), old));
        }
        set(path, from.as_deref(), to.as_deref(), operations);
    }
}

/// Creates a map where there is none. Never unguarded on a live object: that would wipe other people's annotations.
fn create_map(path: PointerBuf, guard: bool, operations: &mut Vec<PatchOperation>) {
    if guard {
        operations.push(test(path.clone(), Value::Null));
    }
    operations.push(PatchOperation::Add(AddOperation {
        path,
        value: json!({}),
    }));
}

fn set(
    path: PointerBuf,
    from: Option<&str>,
    to: Option<&str>,
    operations: &mut Vec<PatchOperation>,
) {
    match (from, to) {
        (from, to) if from == to => {}
        (None, Some(value)) => operations.push(PatchOperation::Add(AddOperation {
            path,
            value: json!(value),
        })),
        (Some(_), Some(value)) => operations.push(PatchOperation::Replace(ReplaceOperation {
            path,
            value: json!(value),
        })),
        (_, None) => operations.push(PatchOperation::Remove(RemoveOperation { path })),
    }
}

fn test(path: PointerBuf, value: Value) -> PatchOperation {
    PatchOperation::Test(TestOperation { path, value })
}

fn annotation(key: &str) -> PointerBuf {
    pointer(&[ANNOTATIONS[0], ANNOTATIONS[1], key])
}

/// Builds a pointer from unescaped tokens; `/` and `~` in keys are escaped by the crate.
fn pointer(tokens: &[&str]) -> PointerBuf {
    PointerBuf::from_tokens(tokens.iter().copied())
}

#[cfg(test)]
mod tests;
