//! The heart: what follows from the versions a workload's pods were started with and the versions that exist now.
//!
//! [`decide`] is pure and total. Every row of the decision table in the documentation is a row of the table test below.
//! A decision says what to do, why, and what `observed` becomes; it never does anything.
//!
//! Invariants:
//! - versions never go backwards: a live version older than the observed one is *behind*, which is no decision;
//! - `observed` advances over a change only together with a fresh `restarted-for` ([`Outcome::Restart`]), except where
//!   the change needs no restart (pods that wait for the source, `on-recreate: content`);
//! - when several sources ask for a restart, one restart carries all causes;
//! - while something that pods require is absent nothing restarts: new pods could not start.

mod folded;

use std::{collections::BTreeMap, fmt};

use super::{
    fold::Fold,
    observed::{Entry, Mark, Observed, Reading},
    policy::{OnDelete, OnRecreate, Policy},
    source::{Need, References, SourceName, Usage},
    version::{DigestKey, Version},
};

/// How long after `creationTimestamp` the webhook's own time may lie for an `observed` made at CREATE, in seconds.
pub const CREATE_WINDOW: i64 = 30;

/// A source as known right now.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// The first list is not complete: nothing can be said.
    Unsynced,
    /// It does not exist.
    Absent {
        /// The version it last had, as far as remembered.
        last: Option<&'a Version>,
        /// Known to be absent at this resourceVersion or later; `u64::MAX` where the API server was asked just now.
        since: u64,
    },
    /// It exists.
    Present {
        /// Its version.
        version: &'a Version,
        /// Read from the API server after the workload was: not merely what a watch delivered so far.
        fresh: bool,
    },
}

/// What is known of what was observed.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// Nothing that counts: adopt.
    Nothing,
    /// Written by a newer release: leave it alone.
    Newer,
    /// Written under another digest key: uids count, digests do not.
    OtherKey(&'a Observed),
    /// What the pods were last started with.
    Observed(&'a Observed),
}

impl<'a> From<Option<&'a Reading>> for Known<'a> {
    fn from(reading: Option<&'a Reading>) -> Self {
        match reading {
            None | Some(Reading::Foreign) => Self::Nothing,
            Some(Reading::Newer(_)) => Self::Newer,
            Some(Reading::OtherKey(observed)) => Self::OtherKey(observed),
            Some(Reading::Genuine(observed)) => Self::Observed(observed),
        }
    }
}

/// The workload that is decided on.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `metadata.uid`
    pub uid: &'a str,
    /// `metadata.creationTimestamp`, unix seconds.
    pub created: i64,
    /// `metadata.generation`: never seen twice, so it makes every `restarted-for` new.
    pub generation: i64,
    /// The template's `restarted-for`, empty where it has none.
    pub restarted_for: &'a str,
    /// What counts of what it uses.
    pub uses: &'a References,
    /// What it asks for.
    pub policy: &'a Policy,
    /// Whether a container that needs what is absent has ever started; `None` where nobody looked yet.
    pub started: Option<bool>,
}

/// Why no decision was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Undecided {
    /// `observed` was written by a newer release.
    NewerFormat,
    /// A list is not complete yet.
    Unsynced,
    /// A source is known only in an older version than the observed one.
    Behind,
    /// Whether its pods have ever started must be looked up first.
    AskPods,
    /// The opt-in cannot be read.
    Unreadable,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing can be said yet.
    Undecided(Undecided),
    /// Nothing.
    Keep,
    /// `observed` is brought up to date; nothing restarts.
    Record,
    /// Something required is absent; what changed is restarted for when it is back.
    Wait,
    /// Restart.
    Restart,
}

impl Outcome {
    /// For metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecided(Undecided::NewerFormat) => "undecided_newer_format",
            Self::Undecided(Undecided::Unsynced) => "undecided_unsynced",
            Self::Undecided(Undecided::Behind) => "undecided_behind",
            Self::Undecided(Undecided::AskPods) => "undecided_ask_pods",
            Self::Undecided(Undecided::Unreadable) => "undecided_unreadable",
            Self::Keep => "keep",
            Self::Record => "record",
            Self::Wait => "wait",
            Self::Restart => "restart",
        }
    }
}

/// What kind of change asks for a restart. Events, metrics, logs and `last-restart` all use these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CauseKind {
    /// Other data under the same uid.
    Updated,
    /// Deleted and created again: another uid.
    Recreated,
    /// It appeared after pods had started without it.
    Created,
    /// It was deleted, and `on-delete: restart` asks to restart for that.
    Deleted,
    /// The pod template was taken back behind the webhook.
    RolledBack,
    /// Written after the current revision was made, found at adoption with `on-adopt: restart`.
    Outdated,
}

impl CauseKind {
    /// For metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Recreated => "recreated",
            Self::Created => "created",
            Self::Deleted => "deleted",
            Self::RolledBack => "rolled_back",
            Self::Outdated => "outdated",
        }
    }
}

/// Why a workload is restarted. `Display` gives the sentence that people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What kind of change.
    pub kind: CauseKind,
    /// Of which source; `None` for the template itself, and where entries were folded.
    pub source: Option<SourceName>,
    /// The uid before and after, where it changed.
    pub uids: Option<(String, String)>,
    /// Keys that changed, where they are known by name.
    pub keys: Vec<String>,
}

impl Cause {
    pub(crate) fn plain(kind: CauseKind, source: Option<&SourceName>) -> Self {
        Self {
            kind,
            source: source.cloned(),
            uids: None,
            keys: Vec::new(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == CauseKind::RolledBack {
            return f.write_str("the pod template was rolled back behind reroll");
        }
        match &self.source {
            Some(source) => write!(f, "{}", source.spoken())?,
            None => f.write_str("one of its many sources")?,
        }
        f.write_str(match self.kind {
            CauseKind::Updated => " was updated",
            CauseKind::Recreated => " was recreated",
            CauseKind::Created => " was created",
            CauseKind::Deleted => " was deleted",
            CauseKind::RolledBack | CauseKind::Outdated => {
                " was written after the current revision was made"
            }
        })?;
        if let Some((before, after)) = &self.uids {
            write!(f, " (uid {} → {})", short(before), short(after))?;
        }
        match self.keys.as_slice() {
            [] => Ok(()),
            [one] => write!(f, " (key {one})"),
            [first @ .., last] if first.len() < 3 => {
                write!(f, " (keys {} and {last})", first.join(", "))
            }
            many => write!(
                f,
                " (keys {}, {} and {} more)",
                many[0],
                many[1],
                many.len() - 2
            ),
        }
    }
}

fn short(uid: &str) -> String {
    if uid.len() > 8 {
        format!("{}…", uid.chars().take(8).collect::<String>())
    } else {
        uid.to_owned()
    }
}

/// What follows for one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub outcome: Outcome,
    /// Why it is restarted, or will be as soon as what is waited for is back.
    pub causes: Vec<Cause>,
    /// What `observed` becomes; `None` where nothing was decided.
    pub next: Option<Observed>,
    /// The sources that are absent, or known only in an older version.
    pub missing: Vec<SourceName>,
}

impl Decision {
    /// No decision.
    pub fn undecided(why: Undecided, missing: Vec<SourceName>) -> Self {
        Self {
            outcome: Outcome::Undecided(why),
            causes: Vec::new(),
            next: None,
            missing,
        }
    }
}

/// What follows for one source.
#[derive(Clone, Debug)]
enum Step {
    Keep,
    /// `holds`: nothing restarts meanwhile. `unsure`: a restart must know first that it is really absent.
    Wait {
        holds: bool,
        unsure: bool,
    },
    Restart(Cause),
    Undecided(Undecided),
}

/// One source's step, and the entry without and with a restart (`None`: no entry).
struct Verdict {
    step: Step,
    kept: Option<Entry>,
    rolled: Option<Entry>,
}

impl Verdict {
    fn keep(entry: Entry) -> Self {
        Self {
            step: Step::Keep,
            rolled: Some(entry.clone()),
            kept: Some(entry),
        }
    }

    fn wait(entry: Entry, holds: bool) -> Self {
        Self {
            step: Step::Wait {
                holds,
                unsure: false,
            },
            rolled: Some(entry.clone()),
            kept: Some(entry),
        }
    }

    fn restart(kept: Entry, rolled: Entry, cause: Cause) -> Self {
        Self {
            step: Step::Restart(cause),
            kept: Some(kept),
            rolled: Some(rolled),
        }
    }

    fn undecided(why: Undecided) -> Self {
        Self {
            step: Step::Undecided(why),
            kept: None,
            rolled: None,
        }
    }
}

/// Decides for one workload.
pub fn decide<'a>(
    subject: &Subject,
    known: Known,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
) -> Decision {
    let (before, comparable) = match known {
        Known::Newer => return Decision::undecided(Undecided::NewerFormat, Vec::new()),
        Known::Observed(observed) if belongs(observed, subject) => (Some(observed), true),
        Known::OtherKey(observed) if belongs(observed, subject) => (Some(observed), false),
        _ => (None, true),
    };
    let rule = Rule {
        policy: subject.policy,
        started: subject.started,
        comparable,
    };
    let mut steps = Vec::new();
    let (mut kept, mut rolled) = (BTreeMap::new(), BTreeMap::new());
    let mut folded = References::new();
    for (source, usage) in subject.uses {
        let entry = before.and_then(|observed| observed.entries.get(source));
        if entry.is_none() && before.is_some_and(|observed| observed.fold.is_some()) {
            folded.insert(source.clone(), usage.clone());
            continue;
        }
        let verdict = rule.judge(source, usage, entry, live(source));
        steps.push((vec![source.clone()], verdict.step));
        kept.extend(verdict.kept.map(|entry| (source.clone(), entry)));
        rolled.extend(verdict.rolled.map(|entry| (source.clone(), entry)));
    }
    let mut fold = Fate::None;
    if let Some(old) = before.and_then(|observed| observed.fold.as_ref()) {
        let judged = rule.judge_fold(old, &folded, live, key);
        steps.extend(judged.steps);
        match judged.kept {
            Some(standing) => fold = Fate::Kept(standing, judged.as_if),
            None => kept.extend(judged.as_if),
        }
        rolled.extend(judged.now);
    }
    if before.is_some_and(|old| old.restarted_for != subject.restarted_for) {
        let cause = Cause::plain(CauseKind::RolledBack, None);
        steps.push((Vec::new(), Step::Restart(cause)));
    }
    combine(subject, before, steps, kept, rolled, fold, key)
}

/// Whether an `observed` is this workload's own, and not a copy that came with another's manifest.
pub(super) fn belongs(observed: &Observed, subject: &Subject) -> bool {
    match observed.created_at {
        Some(at) if observed.workload_uid.is_empty() => {
            at.abs_diff(subject.created) <= CREATE_WINDOW.unsigned_abs()
        }
        _ => observed.workload_uid == subject.uid,
    }
}

type Entries = BTreeMap<SourceName, Entry>;

/// What becomes of the fold if nothing restarts.
enum Fate {
    /// There is none, or it was taken apart.
    None,
    /// It stays like this; its sources, with what is absent as it last was.
    Kept(Fold, Entries),
}

fn combine(
    subject: &Subject,
    before: Option<&Observed>,
    steps: Vec<(Vec<SourceName>, Step)>,
    kept: Entries,
    rolled: Entries,
    fold: Fate,
    key: &DigestKey,
) -> Decision {
    let (mut causes, mut missing, mut unsure) = (Vec::new(), Vec::new(), Vec::new());
    let (mut holds, mut waits) = (false, false);
    let mut undecided: Option<(Undecided, Vec<SourceName>)> = None;
    for (sources, step) in steps {
        match step {
            Step::Keep => {}
            Step::Restart(cause) => causes.push(cause),
            Step::Wait {
                holds: held,
                unsure: doubtful,
            } => {
                (holds, waits) = (holds || held, true);
                if doubtful {
                    unsure.extend(sources.clone());
                }
                missing.extend(sources);
            }
            Step::Undecided(why) => {
                let (_, all) = undecided.get_or_insert((why, Vec::new()));
                all.extend(sources);
            }
        }
    }
    if let Some((why, sources)) = undecided {
        return Decision::undecided(why, sources);
    }
    let restart = !causes.is_empty() && !holds;
    if restart && !unsure.is_empty() {
        return Decision::undecided(Undecided::Behind, unsure);
    }
    let mut next = Observed {
        key_id: key.id().to_owned(),
        workload_uid: subject.uid.to_owned(),
        created_at: None,
        sequence: before.map_or(0, |old| old.sequence),
        restarted_for: before
            .map_or(subject.restarted_for, |old| &old.restarted_for)
            .to_owned(),
        entries: if restart { rolled } else { kept },
        fold: None,
    };
    if restart {
        next.restarted_for = fresh(subject, before, &next, key);
    }
    let next = match fold {
        Fate::Kept(fold, now) if !restart => next.beside(fold, &now, key, subject.uses),
        _ => next.fitted(key, subject.uses, &missing),
    };
    let changed = before != Some(&next);
    let outcome = match (restart, waits, changed) {
        (true, ..) => Outcome::Restart,
        (_, true, _) => Outcome::Wait,
        (.., true) => Outcome::Record,
        _ => Outcome::Keep,
    };
    let sequence = next.sequence.saturating_add(u64::from(changed));
    Decision {
        outcome,
        causes,
        next: Some(Observed { sequence, ..next }),
        missing,
    }
}

/// Restarts for a cause that lies outside of versions, such as what was found at adoption.
#[must_use]
pub fn restart_for(
    subject: &Subject,
    observed: &Observed,
    causes: Vec<Cause>,
    key: &DigestKey,
) -> Decision {
    let mut next = observed.clone();
    next.restarted_for = fresh(subject, Some(observed), observed, key);
    next.sequence = next.sequence.saturating_add(1);
    Decision {
        outcome: Outcome::Restart,
        causes,
        next: Some(next),
        missing: Vec::new(),
    }
}

/// A `restarted-for` that was never used before: a digest of the one it follows, of the one in the template, of the
/// workload's generation and of the versions it is for. Replicas that decide from the same state get the same.
pub fn fresh(
    subject: &Subject,
    before: Option<&Observed>,
    next: &Observed,
    key: &DigestKey,
) -> String {
    let versions = Fold::of(key, &next.entries, subject.uses);
    let mut parts = vec![
        "restarted-for".to_owned(),
        subject.uid.to_owned(),
        subject.generation.to_string(),
        subject.restarted_for.to_owned(),
        before.map_or_else(String::new, |old| old.restarted_for.clone()),
        before.map_or(0, |old| old.sequence).to_string(),
    ];
    for fold in [Some(&versions), next.fold.as_ref()].into_iter().flatten() {
        parts.extend([
            fold.names.clone(),
            fold.uids.clone(),
            fold.data.clone(),
            fold.c.to_string(),
            fold.s.to_string(),
        ]);
    }
    key.digest(parts.iter().map(String::as_bytes)).to_string()
}

struct Rule<'a> {
    policy: &'a Policy,
    started: Option<bool>,
    comparable: bool,
}

impl Rule<'_> {
    fn judge(
        &self,
        source: &SourceName,
        usage: &Usage,
        entry: Option<&Entry>,
        live: Lookup,
    ) -> Verdict {
        match live {
            Lookup::Unsynced => Verdict::undecided(Undecided::Unsynced),
            Lookup::Absent { since, .. } => self.judge_absent(source, usage, entry, since),
            Lookup::Present { version, fresh } => {
                let behind =
                    entry.is_some_and(|entry| version.resource_version < entry.resource_version());
                if behind && !fresh {
                    return Verdict::undecided(Undecided::Behind);
                }
                self.judge_present(source, usage, entry, version, fresh)
            }
        }
    }

    fn judge_absent(
        &self,
        source: &SourceName,
        usage: &Usage,
        entry: Option<&Entry>,
        since: u64,
    ) -> Verdict {
        let required = usage.need == Need::Required;
        match entry {
            None => match (required, self.started) {
                (false, _) => Verdict::keep(Entry::Unknown),
                (true, None) => Verdict::undecided(Undecided::AskPods),
                (true, Some(true)) => Verdict::wait(Entry::Unknown, true),
                (true, Some(false)) => Verdict::wait(Entry::Waiting, true),
            },
            Some(Entry::Seen {
                uid,
                resource_version,
                ..
            }) if self.policy.on_delete == OnDelete::Restart => {
                if since < *resource_version {
                    return Verdict::undecided(Undecided::Behind);
                }
                let deleted = Entry::Deleted {
                    uid: uid.clone(),
                    resource_version: *resource_version,
                };
                Verdict::restart(
                    entry_clone(entry),
                    deleted,
                    Cause::plain(CauseKind::Deleted, Some(source)),
                )
            }
            // Pods that restart for something else start without it; that its content is the same says nothing then.
            Some(Entry::Seen {
                resource_version, ..
            }) if !required && self.policy.on_recreate == OnRecreate::Content => Verdict {
                step: Step::Wait {
                    holds: false,
                    unsure: since < *resource_version,
                },
                kept: entry.cloned(),
                rolled: Some(Entry::Unknown),
            },
            Some(deleted @ Entry::Deleted { .. }) => Verdict::keep(deleted.clone()),
            // A source that became optional is not waited for: pods start without it.
            Some(Entry::Unknown | Entry::Waiting) if !required => Verdict::keep(Entry::Unknown),
            Some(other) => Verdict::wait(other.clone(), required),
        }
    }

    fn judge_present(
        &self,
        source: &SourceName,
        usage: &Usage,
        entry: Option<&Entry>,
        version: &Version,
        fresh: bool,
    ) -> Verdict {
        let now = Entry::of(version, usage);
        let lacks = lacks(usage, version);
        match entry {
            None if lacks => match self.started {
                None => Verdict::undecided(Undecided::AskPods),
                Some(true) => Verdict::wait(unknown_keys(now), true),
                Some(false) => Verdict::wait(now, true),
            },
            None => Verdict::keep(now),
            Some(Entry::Waiting) if lacks => Verdict::wait(now, true),
            Some(Entry::Waiting) => Verdict::keep(now),
            Some(Entry::Deleted { uid, .. }) if *uid == version.uid && !fresh => {
                Verdict::undecided(Undecided::Behind)
            }
            Some(Entry::Deleted { .. }) if usage.need == Need::Required && lacks => {
                Verdict::wait(now, true)
            }
            Some(Entry::Deleted { .. }) if usage.need == Need::Required => Verdict::keep(now),
            Some(old @ (Entry::Unknown | Entry::Deleted { .. })) => {
                if lacks {
                    return Verdict::wait(old.clone(), true);
                }
                Verdict::restart(
                    old.clone(),
                    now,
                    Cause::plain(CauseKind::Created, Some(source)),
                )
            }
            Some(Entry::Seen {
                uid,
                resource_version,
                marks,
            }) => {
                let seen = Seen {
                    uid,
                    resource_version: *resource_version,
                    marks,
                };
                self.judge_seen(source, usage, &seen, version, now)
            }
        }
    }

    fn judge_seen(
        &self,
        source: &SourceName,
        usage: &Usage,
        old: &Seen,
        version: &Version,
        now: Entry,
    ) -> Verdict {
        let Entry::Seen {
            marks: new_marks, ..
        } = &now
        else {
            return Verdict::keep(now);
        };
        let recreated = *old.uid != version.uid;
        let compared = Compared::of(old.marks, new_marks, usage, self.comparable);
        // What has not changed keeps its old entry, so that nothing is written for it. A mark that is taken over must
        // not be compared with anything older than the version it came from.
        let resource_version = if compared.adopted {
            old.resource_version.max(version.resource_version)
        } else {
            old.resource_version
        };
        let same = Entry::Seen {
            uid: old.uid.to_owned(),
            resource_version,
            marks: compared.kept.clone(),
        };
        if lacks(usage, version) {
            return Verdict::wait(same, true);
        }
        let all_waited =
            !old.marks.is_empty() && old.marks.values().all(|mark| *mark == Mark::Waiting);
        if recreated && !all_waited {
            // Under another digest key nobody can tell whether the content is the same.
            let same_content = self.comparable && compared.changed.is_empty();
            if self.policy.on_recreate == OnRecreate::Content && same_content {
                return Verdict::keep(now);
            }
            let cause = Cause {
                kind: CauseKind::Recreated,
                source: Some(source.clone()),
                uids: Some((old.uid.to_owned(), version.uid.clone())),
                keys: Vec::new(),
            };
            return Verdict::restart(same, now, cause);
        }
        if compared.changed.is_empty() {
            let kept = if recreated { now.clone() } else { same };
            return Verdict {
                step: Step::Keep,
                kept: Some(kept),
                rolled: Some(now),
            };
        }
        let keys = compared
            .changed
            .into_iter()
            .filter(|key| key != super::version::WHOLE)
            .collect();
        let cause = Cause {
            kind: CauseKind::Updated,
            source: Some(source.clone()),
            uids: None,
            keys,
        };
        Verdict::restart(same, now, cause)
    }
}

struct Seen<'a> {
    uid: &'a str,
    resource_version: u64,
    marks: &'a BTreeMap<String, Mark>,
}

/// One source's marks, old beside new, on the keys that are used now.
struct Compared {
    /// Keys whose data is other than what was seen.
    changed: Vec<String>,
    /// The marks if nothing restarts: old ones where there are, new ones where the key is new or was waited for.
    kept: BTreeMap<String, Mark>,
    /// Whether any of `kept` is a new one.
    adopted: bool,
}

impl Compared {
    fn of(
        old: &BTreeMap<String, Mark>,
        new: &BTreeMap<String, Mark>,
        usage: &Usage,
        comparable: bool,
    ) -> Self {
        let mut compared = Self {
            changed: Vec::new(),
            kept: BTreeMap::new(),
            adopted: false,
        };
        for (key, new_mark) in new {
            let required = usage.keys.get(key) == Some(&Need::Required);
            let (kept, changed) = match (old.get(key), new_mark) {
                (None, new) => (*new, false),
                (Some(Mark::Seen(_)), Mark::Seen(_)) if !comparable => (*new_mark, false),
                (Some(old @ Mark::Seen(before)), Mark::Seen(after)) => (*old, before != after),
                (Some(old @ Mark::Seen(_)), Mark::Waiting | Mark::Unknown) => (*old, !required),
                (Some(Mark::Waiting), new) => (*new, false),
                (Some(old @ Mark::Unknown), Mark::Seen(_)) => (*old, true),
                (Some(old @ Mark::Unknown), Mark::Waiting | Mark::Unknown) => (*old, false),
            };
            compared.adopted |= old.get(key) != Some(&kept);
            compared.kept.insert(key.clone(), kept);
            if changed {
                compared.changed.push(key.clone());
            }
        }
        compared
    }
}

/// Whether a key is absent that pods cannot start without.
fn lacks(usage: &Usage, version: &Version) -> bool {
    usage
        .keys
        .iter()
        .any(|(key, need)| *need == Need::Required && version.key(key).is_none())
}

fn entry_clone(entry: Option<&Entry>) -> Entry {
    entry.cloned().unwrap_or(Entry::Unknown)
}

/// Required keys that are absent although pods run: they may run without them.
fn unknown_keys(entry: Entry) -> Entry {
    match entry {
        Entry::Seen {
            uid,
            resource_version,
            mut marks,
        } => {
            marks
                .values_mut()
                .filter(|mark| **mark == Mark::Waiting)
                .for_each(|mark| *mark = Mark::Unknown);
            Entry::Seen {
                uid,
                resource_version,
                marks,
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
