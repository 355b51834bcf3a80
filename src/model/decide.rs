//! The heart: what follows from the versions a workload's pods were started with and the versions that exist now.
//!
//! [`decide`] is pure and total. `docs/design.md` has the decision table; the table test has the same rows, and
//! checks that. A decision says what to do, why, and what `observed` becomes; it never does anything.
//!
//! Invariants:
//! - versions never go backwards: a live version older than the observed one is *behind*, which is no decision;
//! - `observed` advances over a change only together with a fresh `restarted-for` ([`Decision::Restart`]), except
//!   where the change needs no restart (pods that wait for the source, a recreation whose content decides). Such a change
//!   is recorded at once, also while a restart for something else is due and waits ([`meanwhile`]);
//! - when several sources ask for a restart, one restart carries all causes;
//! - while something that pods require is absent nothing restarts, because new pods could not start. `on-delete:
//!   restart` is for what pods start without.

mod aborted;
mod cause;
mod compare;
mod csi;
mod decision;
mod folded;
mod gains;
mod id;
mod next;
pub(super) mod rewritten;
pub(super) mod rotation;
mod rules;
mod unread;
mod view;

use self::{
    aborted::Serving,
    gains::Gains,
    next::{Fate, Next},
    rules::{Rule, Ruling},
    unread::judge_unread,
};
pub use self::{
    cause::{Cause, CauseKind, change_cause, joined, joined_with_who},
    decision::{Decision, Doubt, Restart, Undecided},
    id::restart_id,
    view::{Ages, Known, Lookup, NO_SOURCES, Pods, Subject},
};
use super::{
    digest::DigestKey,
    observed::{Entries, Entry, Fold, Formers, Observed, Unrecorded},
    source::SourceName,
    version::used_keys,
};

/// How long after `creationTimestamp` the webhook's own time may lie for an `observed` made at CREATE, in seconds.
pub const CREATE_WINDOW: i64 = 30;

/// Decides for one workload.
pub fn decide<'a>(
    subject: &Subject,
    known: Known,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
) -> Decision {
    decide_where(subject, known, live, key, true)
}

/// Returns what `observed` becomes while a restart that is due waits; `None` where that is nothing new. What needs no restart
/// counts from when it was seen: else the next change of it would be taken for the first, should what the restart is for
/// become again what it was.
pub fn meanwhile<'a>(
    subject: &Subject,
    known: Known,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
) -> Option<Observed> {
    let (Known::Observed(before) | Known::Previous(before)) = known else {
        return None;
    };
    if !belongs(before, subject) {
        return None;
    }
    match decide_where(subject, known, live, key, false) {
        Decision::Record(next) | Decision::Wait { next, .. } if next != *before => Some(next),
        _ => None,
    }
}

/// Decides where a restart is made, or is not.
fn decide_where<'a>(
    subject: &Subject,
    known: Known,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
    is_made: bool,
) -> Decision {
    let rekeyed;
    let (before, comparable) = match known {
        Known::Newer => return Decision::Undecided(Undecided::NewerFormat),
        Known::UnknownKey => return Decision::Undecided(Undecided::UnknownKey),
        Known::Observed(observed) if belongs(observed, subject) => (Some(observed), true),
        Known::Previous(observed) if belongs(observed, subject) => {
            rekeyed = rotation::rekey(observed, subject.uses, live, key);
            (Some(&rekeyed), true)
        }
        Known::OtherKey(observed) if belongs(observed, subject) => (Some(observed), false),
        _ => (None, true),
    };
    let narrowed = before.map(|observed| subject.templates.under(&observed.lists));
    let subject = &subject.with_templates(narrowed.as_ref());
    let none = Formers::none();
    let formers = before.map_or(&none, |observed| subject.formers(observed));
    let rule = Rule {
        subject,
        comparable,
        gains: Gains::new(subject, before, formers),
    };
    let mut rulings = Vec::new();
    let (mut kept, mut rolled) = (Entries::new(), Entries::new());
    let mut folded = Vec::new();
    let mut gained = false;
    for (source, usage) in subject.uses {
        let entry = before.and_then(|observed| observed.entries.get(source));
        let regained = formers.regained(source, usage, entry);
        let entry = regained.as_ref().or(entry);
        if !usage.is_read() {
            rulings.push((vec![source.clone()], judge_unread(usage, live(source))));
            continue;
        }
        if entry.is_none() && before.is_some_and(|observed| observed.fold.is_some()) {
            folded.push((source, usage));
            continue;
        }
        let version = live(source).version();
        let all_known = formers.unrecorded() == Unrecorded::Nothing;
        let as_used = entry
            .zip(version.filter(|_| all_known))
            .and_then(|(entry, version)| entry.as_used(version, usage, comparable));
        let entry = as_used.as_ref().or(entry);
        let mut lacking = used_keys(usage).filter(|key| entry.is_none_or(|entry| entry.lacks(key)));
        gained |= lacking.any(|key| rule.gains.by_template(source, key));
        let verdict = rule.judge(source, usage, entry, live(source));
        rulings.push((vec![source.clone()], verdict.ruling));
        let with_held = |next: Entry, before: Option<&Entry>| match version {
            Some(version) => next.with_held(before, version, usage),
            None => next,
        };
        let next = verdict.kept.map(|next| with_held(next, entry));
        kept.extend(next.map(|next| (source.clone(), next)));
        let next = verdict.rolled.map(|next| with_held(next, None));
        rolled.extend(next.map(|next| (source.clone(), next)));
    }
    let (mut fold, mut refolds) = (Fate::None, false);
    if let Some(old) = before.and_then(|observed| observed.fold.as_ref()) {
        let held = before.and_then(|before| subject.folded_as_held(before));
        let judged = rule.judge_fold(old, &folded, held.as_ref(), live, key);
        rulings.extend(judged.rulings);
        refolds = judged.other_names;
        fold = match judged.kept {
            Some(standing) => Fate::Stays(standing, judged.found),
            None => Fate::TakenApart(judged.found),
        };
    }
    if before.is_some_and(|old| subject.is_undone(old)) {
        let cause = Cause::plain(CauseKind::RolledBack, None);
        rulings.push((Vec::new(), Ruling::Restart(cause)));
    }
    let mut serving = subject
        .pods
        .aborted
        .then(|| Serving::judge(subject, formers, &rule, live));
    if let Some(serving) = &mut serving {
        rulings.append(&mut serving.rulings);
    }
    let next = Next {
        kept,
        rolled,
        fold,
        refolds,
        gained,
        serving,
    };
    combine(subject, before, rulings, next, (key, is_made))
}

/// Whether an `observed` is this workload's own, and not a copy that came with another's manifest.
pub(super) fn belongs(observed: &Observed, subject: &Subject) -> bool {
    is_own(observed, subject.uid, subject.created)
}

/// Returns the same, of a workload with this uid that was created then, in unix seconds.
pub(super) fn is_own(observed: &Observed, uid: &str, created: i64) -> bool {
    match observed.created_at {
        Some(at) if observed.lacks_uid() => at.abs_diff(created) <= CREATE_WINDOW.unsigned_abs(),
        _ => observed.workload_uid == uid,
    }
}

fn combine(
    subject: &Subject,
    before: Option<&Observed>,
    rulings: Vec<(Vec<SourceName>, Ruling)>,
    mut parts: Next,
    (key, is_made): (&DigestKey, bool),
) -> Decision {
    let (mut causes, mut missing, mut unsure) = (Vec::new(), Vec::new(), Vec::new());
    let (mut holds, mut waits) = (false, false);
    let mut undecided: Option<(Doubt, Vec<SourceName>)> = None;
    for (sources, ruling) in rulings {
        match ruling {
            Ruling::Keep => {}
            // A source may be used and former at once, by different keys.
            Ruling::Restart(cause) if causes.contains(&cause) => {}
            Ruling::Restart(cause) => causes.push(cause),
            Ruling::Wait {
                holds: held,
                unsure: doubtful,
                pending,
            } => {
                causes.extend(pending);
                (holds, waits) = (holds || held, true);
                if doubtful {
                    unsure.extend(sources.clone());
                }
                missing.extend(sources);
            }
            Ruling::Doubt(doubt) => {
                let (_, all) = undecided.get_or_insert((doubt, Vec::new()));
                all.extend(sources);
            }
        }
    }
    if let Some((doubt, sources)) = undecided {
        return Decision::doubted(doubt, sources);
    }
    let restart = is_made && !causes.is_empty() && !holds;
    if restart && !unsure.is_empty() {
        return Decision::doubted(Doubt::Behind, unsure);
    }
    let formers = parts.formers(subject, before, restart);
    let entries = parts.take_entries(restart);
    // A restart reaches all pods, whichever were adopted.
    let unexamined = !restart && !subject.examined && before.is_some_and(Observed::is_unexamined);
    let mut next = Observed {
        format: before.map_or(key.format(), |old| old.format),
        key_id: key.id().to_owned(),
        workload_uid: subject.uid.to_owned(),
        created_at: None,
        // Others count for themselves, and whoever forges counts as he likes.
        sequence: match before {
            Some(old) if key.by_id(&old.key_id).is_some() => old.sequence,
            _ => subject.sequence,
        },
        restarted_for: match (before, subject.restarted_for) {
            (Some(old), _) => old.restarted_for.clone(),
            (None, Some(mark)) => mark.to_owned(),
            (None, None) => String::new(),
        },
        entries,
        fold: None,
        formers,
        lists: subject.lists(),
    };
    // What has no mark of its own begins a chain of marks here, for it may have had one before.
    if restart || (before.is_none() && subject.restarted_for.is_none()) {
        next.restarted_for = fresh(subject, before, &next, key);
    }
    let next = match parts.fold {
        Fate::Stays(fold, now) if !restart => next.beside(&fold, || now.as_if(), key, subject.uses),
        _ => next.fitted(key, subject.uses, &missing),
    };
    let next = if unexamined {
        let at = before.and_then(|old| old.created_at);
        next.unexamined(at.unwrap_or(subject.created))
    } else {
        next
    };
    // That what was former is gone is written with the next write, not by one of its own.
    let changed = match before {
        Some(before) if *subject.formers(before) != before.formers => {
            let left = Observed {
                formers: subject.formers_left(before),
                ..before.clone()
            };
            left != next
        }
        before => before != Some(&next),
    };
    let next = match before {
        Some(before) if !changed => before.clone(),
        _ => numbered(next, subject, key),
    };
    match (restart, waits, changed) {
        (true, ..) => Decision::Restart(Restart {
            next,
            causes,
            missing,
        }),
        (_, true, _) => Decision::Wait {
            next,
            causes,
            missing,
        },
        (.., true) => Decision::Record(next),
        _ => Decision::Keep(next),
    }
}

/// Returns the same as the next in the sequence of this workload, in a format of this release.
///
/// The sequence counts on from all that were ever written, not from the text at hand alone: that may be an old one that a
/// rollback restored, and another process may have read newer ones.
pub(super) fn numbered(observed: Observed, subject: &Subject, key: &DigestKey) -> Observed {
    let last = observed.sequence.max(subject.sequence);
    let sequence = last.saturating_add(1);
    Observed {
        sequence,
        ..observed.in_format(key.format())
    }
}

/// Restarts for a cause that lies outside of versions, such as what was found at adoption.
#[must_use]
pub fn restart_for(
    subject: &Subject,
    observed: &Observed,
    causes: Vec<Cause>,
    key: &DigestKey,
) -> Restart {
    let mut next = observed.clone();
    (next.workload_uid, next.created_at) = (subject.uid.to_owned(), None);
    next.restarted_for = fresh(subject, Some(observed), observed, key);
    next.formers = subject.formers_after(observed, subject.formers(observed), true);
    Restart {
        next: numbered(next, subject, key),
        causes,
        missing: Vec::new(),
    }
}

/// Returns a `restarted-for` that was never used before: a digest of the one it follows, of the one in the template,
/// of the workload's generation and of the versions it is for. Replicas that decide from the same state get the same.
///
/// A run is made first, and the mark that names it is written afterwards. A replica that decides again in between must find
/// the same, although the workload, or labels of a source, were written meanwhile: only what was observed, and data, count.
pub fn fresh(
    subject: &Subject,
    before: Option<&Observed>,
    next: &Observed,
    key: &DigestKey,
) -> String {
    let versions = Fold::of(key, &next.entries, subject.uses);
    let next_run = before.is_some() && subject.restarted_for.is_none();
    let unless_run = |part: String| (!next_run).then_some(part);
    let mut parts = vec![
        Some("restarted-for".to_owned()),
        Some(subject.uid.to_owned()),
        unless_run(subject.generation.to_string()),
        unless_run(subject.restarted_for.unwrap_or_default().to_owned()),
        Some(before.map_or_else(String::new, |old| old.restarted_for.clone())),
        unless_run(before.map_or(0, |old| old.sequence).to_string()),
    ];
    for fold in [Some(&versions), next.fold.as_ref()].into_iter().flatten() {
        parts.extend([
            Some(fold.names.clone()),
            Some(fold.uids.clone()),
            Some(fold.data.clone()),
        ]);
        let newest = fold.newest.numbers();
        parts.extend(newest.map(|number| unless_run(number.to_string())));
    }
    let parts = parts.iter().flatten().map(String::as_bytes);
    key.digest(parts).to_string()
}

#[cfg(test)]
pub(crate) mod tests;
