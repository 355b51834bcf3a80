//! The heart at admission: what reroll's annotations become when a user or another controller writes a workload.
//!
//! Only reroll changes its annotations. So an UPDATE starts from the values of the old object, whatever the request
//! says. The request may have dropped them (`kubectl replace`), pinned old ones (a manifest in git) or restored them
//! (`kubectl rollout undo`). Where the write creates or changes the pod template, pods start anew anyway. So the
//! webhook records the versions of that moment in the same write, and reroll does not restart the workload for them a
//! second time.
//!
//! Invariants:
//! - an advance over a change sets a fresh `restarted-for`: otherwise an undo in the middle of the rollout would
//!   bring back pods that never restarted;
//! - entries never go backwards;
//! - what has not changed is not rewritten, so that stamping twice is stamping once.

mod compare;

use kube::core::DynamicObject;

use self::compare::{is_away, same_data, same_versions, with_keys_of, with_new_keys_of};
use super::{
    annotation::{LAST_RESTART, OBSERVED, PENDING, ROLLOUT_OPENED},
    decide::{CREATE_WINDOW, Known, Lookup, Subject, belongs, fresh, numbered, rotation},
    digest::DigestKey,
    observed::{Entries, Entry, Formers, KeyState, Observed, Reading, Unrecorded},
    source::{Need, SourceName, Usage},
    version::{Version, used_keys},
    workload::{Kind, RestartMarks},
};

/// The values of reroll's annotations on one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnAnnotations {
    /// `reroll.dev/observed`
    pub observed: Option<String>,
    /// `reroll.dev/last-restart`
    pub last_restart: Option<String>,
    /// The template's `reroll.dev/restarted-for`
    pub restarted_for: Option<String>,
    /// `reroll.dev/restarted-at`, of kinds that know it
    pub restarted_at: Option<String>,
    /// `reroll.dev/pending`
    pub pending: Option<String>,
    /// `reroll.dev/rollout`
    pub opened: Option<String>,
    /// The template's `kubectl.kubernetes.io/restartedAt`, which users write, too.
    pub kubectl: Option<String>,
}

impl OwnAnnotations {
    /// Reads them off an object.
    pub fn read(kind: Kind, object: &DynamicObject) -> Self {
        let own = |key: &str| object.metadata.annotations.as_ref()?.get(key).cloned();
        let marks = RestartMarks::read(kind, object);
        Self {
            observed: own(OBSERVED),
            last_restart: own(LAST_RESTART),
            restarted_for: marks.template,
            restarted_at: marks.at,
            pending: own(PENDING),
            opened: own(ROLLOUT_OPENED),
            kubectl: marks.kubectl,
        }
    }
}

/// What a write of the template records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The new `observed`.
    pub observed: Observed,
    /// The mark that it belongs to, empty for none: where it is a new one, the template's `restarted-for` becomes it.
    pub restarted_for: String,
    /// Required sources or keys that do not exist: the new pods will wait for them.
    pub waiting: Vec<SourceName>,
}

/// Returns the stamp for a write that changes the pod template of an existing workload. `None`: leave `observed`
/// alone.
pub fn stamp_update<'a>(
    subject: &Subject,
    known: Known,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
) -> Option<Stamp> {
    let rekeyed;
    let before = match known {
        Known::Newer | Known::UnknownKey => return None,
        // The controller takes over the digests, where it can judge.
        Known::OtherKey(observed) if belongs(observed, subject) => return None,
        Known::Nothing | Known::OtherKey(_) => None,
        Known::Observed(observed) => Some(observed).filter(|known| belongs(known, subject)),
        Known::Previous(observed) if !belongs(observed, subject) => None,
        // Versions that are not of this moment cannot be compared under the other key.
        Known::Previous(_) if !all_read(subject, live) => return None,
        Known::Previous(observed) => {
            rekeyed = rotation::rekey(observed, subject.uses, live, key);
            Some(&rekeyed)
        }
    };
    let narrowed = before.map(|observed| subject.templates.under(&observed.lists));
    let subject = &subject.with_templates(narrowed.as_ref());
    let held = before.map(|observed| subject.before_write(observed));
    // Sources are judged one by one even where the old entries are folded: the fold then differs or not as a whole.
    let none = Formers::none();
    let old = Old {
        entries: held.as_ref().map(|held| &held.entries),
        formers: held.as_ref().map_or(&none, |held| &held.formers),
        suspended: subject.stopped,
    };
    let Recorded {
        entries,
        advanced,
        waiting,
        pending,
    } = entries(subject, &old, live);
    let formers = |marked| {
        held.as_ref().map_or(Formers::none(), |held| {
            subject.formers_after(held, &held.formers, marked)
        })
    };
    let mut next = Observed {
        format: before.map_or(key.format(), |observed| observed.format),
        key_id: key.id().to_owned(),
        workload_uid: subject.uid.to_owned(),
        created_at: None,
        sequence: before.map_or(subject.sequence, |observed| observed.sequence),
        restarted_for: subject.restarted_for.unwrap_or_default().to_owned(),
        entries,
        fold: None,
        formers: formers(false),
        lists: subject.lists(),
    };
    let old_fold = before.and_then(|observed| observed.fold.as_ref());
    let fitted = |next: &Observed| {
        let mut fitted = next.clone().fitted(key, subject.uses, &waiting);
        if let (Some(old), Some(new)) = (old_fold, &fitted.fold)
            && (new.same(old) || (new.behind(old) && !all_read(subject, live)))
        {
            fitted.fold = Some(old.clone());
        }
        fitted
    };
    let refolded = old_fold.is_some() && fitted(&next).fold.as_ref() != old_fold;
    let undone = before.is_some_and(|observed| subject.is_undone(observed));
    let unexamined = before.is_some_and(Observed::is_unexamined);
    if before.is_none() || advanced || refolded || undone || unexamined {
        next.restarted_for = fresh(subject, before, &next, key);
        next.formers = formers(true);
        next.entries.extend(pending);
    }
    let mut observed = fitted(&next);
    if before != Some(&observed) {
        observed = numbered(observed, subject, key);
    }
    Some(Stamp {
        restarted_for: observed.restarted_for.clone(),
        observed,
        waiting,
    })
}

/// Whether everything that is used was read from the API server just now.
fn all_read<'a>(subject: &Subject, live: &dyn Fn(&SourceName) -> Lookup<'a>) -> bool {
    let mut one = subject
        .uses
        .keys()
        .filter(|source| source.kind.is_readable());
    one.all(|source| match live(source) {
        Lookup::Present { fresh, .. } => fresh,
        Lookup::Absent { since, .. } => since == u64::MAX,
        Lookup::Unsynced | Lookup::Unseen => false,
    })
}

/// Returns the stamp for a new workload: it has no uid yet, so it carries the time, in unix seconds. A stamp that is
/// already there (the webhook is called again in the same request) keeps its time.
pub fn stamp_create<'a>(
    subject: &Subject,
    present: Option<&Reading>,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    now: i64,
    key: &DigestKey,
) -> Stamp {
    let none = Formers::none();
    let Recorded {
        entries, waiting, ..
    } = entries(subject, &Old::nothing(&none), live);
    let at = match present {
        Some(Reading::Genuine(observed)) if observed.lacks_uid() => observed.created_at,
        _ => None,
    };
    let created_at = at
        .filter(|at| at.abs_diff(now) <= CREATE_WINDOW.unsigned_abs())
        .unwrap_or(now);
    let observed = Observed {
        format: key.format(),
        key_id: key.id().to_owned(),
        workload_uid: String::new(),
        created_at: Some(created_at),
        sequence: 0,
        restarted_for: subject.restarted_for.unwrap_or_default().to_owned(),
        entries,
        fold: None,
        formers: Formers::none(),
        lists: subject.lists(),
    };
    Stamp {
        restarted_for: observed.restarted_for.clone(),
        observed: observed.fitted(key, subject.uses, &waiting),
        waiting,
    }
}

/// What the write starts from.
struct Old<'a> {
    entries: Option<&'a Entries>,
    formers: &'a Formers,
    /// Nothing is to roll: what changed stays pending.
    suspended: bool,
}

impl<'a> Old<'a> {
    fn nothing(formers: &'a Formers) -> Self {
        Self {
            entries: None,
            formers,
            suspended: false,
        }
    }

    fn entry(&self, source: &SourceName) -> Option<&'a Entry> {
        self.entries?.get(source)
    }

    /// Returns what the entry becomes of something that the template gains again. `content`: only other data is a change.
    fn regain(&self, former: &Entry, now: &Entry, usage: &Usage, content: bool) -> Regained {
        let same = same_versions(former, now) || (content && same_data(former, now));
        if same {
            Regained::Same(with_keys_of(former, now))
        } else if self.suspended || is_away(former, now, usage) {
            Regained::Pending(with_new_keys_of(former, now))
        } else {
            Regained::Changed
        }
    }
}

/// What the template gained again. Pods of the old template may be back with it, and they have what they had.
enum Regained {
    /// That is what there is.
    Same(Entry),
    /// That is not what there is, and nothing is to roll for it now: it is absent, or the workload is suspended.
    Pending(Entry),
    /// That is not what there is.
    Changed,
}

/// The entries that a write records.
#[derive(Default)]
struct Recorded {
    entries: Entries,
    /// Something is other than it was, so that a fresh mark is due.
    advanced: bool,
    /// Required and absent.
    waiting: Vec<SourceName>,
    /// What stays as pods of an older template have it, with what it is where new pods start after all.
    pending: Vec<(SourceName, Entry)>,
}

fn entries<'a>(subject: &Subject, old: &Old, live: &dyn Fn(&SourceName) -> Lookup<'a>) -> Recorded {
    let mut recorded = Recorded::default();
    for (source, usage) in subject.uses {
        let entry = old.entry(source);
        let regained = old.formers.regained(source, usage, entry);
        let before = regained.as_ref().or(entry);
        if !usage.is_read() {
            recorded
                .waiting
                .extend(is_lacking(usage, live(source)).then(|| source.clone()));
            continue;
        }
        let version = live(source).version();
        // What pods have of something that was dropped and is not remembered is not known.
        let noted = old.formers.unrecorded() != Unrecorded::Nothing;
        let as_used = before
            .zip(version.filter(|_| !noted))
            .and_then(|(before, version)| before.as_used(version, usage, true));
        let before = as_used.as_ref().or(before);
        let with_held = |entry: Entry| match version {
            Some(version) => entry.with_held(before, version, usage),
            None => entry,
        };
        let lacks = |key: &str| before.is_none_or(|entry| entry.lacks(key));
        recorded.advanced |= noted && used_keys(usage).any(lacks);
        let live = live(source).of_data();
        let Some(now) = entry_now(source, usage, before, live) else {
            continue;
        };
        let decides = |version| subject.content_decides(source, usage, version);
        let content = live.version().is_some_and(decides);
        if let Some(former) = &regained {
            match old.regain(former, &now, usage, content) {
                Regained::Same(entry) => {
                    recorded.entries.insert(source.clone(), with_held(entry));
                    continue;
                }
                Regained::Pending(entry) => {
                    recorded.entries.insert(source.clone(), with_held(entry));
                    recorded.pending.push((source.clone(), with_held(now)));
                    continue;
                }
                Regained::Changed => {}
            }
        }
        // Where only the uid is other, and that is no change, the controller takes it over later.
        let same = before.is_none_or(|before| {
            same_versions(before, &now) || (content && same_data(before, &now))
        });
        recorded.advanced |= !same;
        // The CSI driver provides nothing before pods mount it.
        let lacks = |version: &Version| now == Entry::of(version, usage) && version.lacks(usage);
        let waits = is_waiting(&now) || version.is_some_and(lacks);
        if waits && source.kind.is_readable() {
            recorded.waiting.push(source.clone());
        }
        let entry = match before {
            Some(before) if same => with_keys_of(before, &now),
            _ => now,
        };
        recorded.entries.insert(source.clone(), with_held(entry));
    }
    recorded
}

/// Returns the entry for pods that start now; `None` where nothing is known, so that it is adopted later.
fn entry_now(
    source: &SourceName,
    usage: &Usage,
    before: Option<&Entry>,
    live: Lookup,
) -> Option<Entry> {
    let known_until = before.map_or(0, Entry::resource_version);
    match live {
        Lookup::Present { version, fresh } if fresh || version.resource_version >= known_until => {
            Some(Entry::of(version, usage))
        }
        Lookup::Absent { since, .. } if !source.kind.is_readable() => {
            before.cloned().or((since > 0).then_some(Entry::Waiting))
        }
        Lookup::Absent { since, .. } if since >= known_until => Some(match before {
            _ if usage.need == Need::Required => Entry::Waiting,
            // Its deletion was answered: pods that start now lack it as those before them.
            Some(deleted @ Entry::Deleted { .. }) => deleted.clone(),
            _ => Entry::Unknown,
        }),
        Lookup::Unsynced | Lookup::Unseen | Lookup::Present { .. } | Lookup::Absent { .. } => {
            before.cloned()
        }
    }
}

/// Whether it is known that what new pods need is absent.
fn is_lacking(usage: &Usage, live: Lookup) -> bool {
    match live {
        Lookup::Present { version, .. } => version.lacks(usage),
        Lookup::Absent { .. } => usage.need == Need::Required,
        Lookup::Unsynced | Lookup::Unseen => false,
    }
}

fn is_waiting(entry: &Entry) -> bool {
    match entry {
        Entry::Waiting => true,
        Entry::Seen { states, .. } => states.values().any(|state| *state == KeyState::Waiting),
        Entry::Unknown | Entry::Deleted { .. } => false,
    }
}

#[cfg(test)]
mod tests;
