//! The decision table, one source at a time.

use super::{
    Cause, CauseKind, Doubt, Lookup, Subject,
    compare::{CHANGED, Compared, lacks_more, unknown_keys},
    gains::{Gain, Gains},
};
use crate::model::{
    observed::{Entry, KeyState, KeyStates},
    policy::OnDelete,
    source::{Need, SourceName, Usage},
    version::{Version, WHOLE, used_keys},
};

/// What follows for one source.
#[derive(Clone, Debug)]
pub(super) enum Ruling {
    Keep,
    /// `holds`: nothing restarts meanwhile. `unsure`: a restart must know first that it is really absent. `pending`:
    /// what is restarted for when it is back.
    Wait {
        holds: bool,
        unsure: bool,
        pending: Option<Cause>,
    },
    Restart(Cause),
    Doubt(Doubt),
}

/// One source's ruling, and the entry without and with a restart (`None`: no entry).
pub(super) struct Verdict {
    pub(super) ruling: Ruling,
    pub(super) kept: Option<Entry>,
    pub(super) rolled: Option<Entry>,
}

impl Verdict {
    pub(super) fn keep(entry: Entry) -> Self {
        Self {
            ruling: Ruling::Keep,
            rolled: Some(entry.clone()),
            kept: Some(entry),
        }
    }

    pub(super) fn nothing() -> Self {
        Self {
            ruling: Ruling::Keep,
            kept: None,
            rolled: None,
        }
    }

    fn wait(entry: Entry, holds: bool) -> Self {
        Self {
            ruling: Ruling::Wait {
                holds,
                unsure: false,
                pending: None,
            },
            rolled: Some(entry.clone()),
            kept: Some(entry),
        }
    }

    pub(super) fn restart(kept: Entry, rolled: Entry, cause: Cause) -> Self {
        Self {
            ruling: Ruling::Restart(cause),
            kept: Some(kept),
            rolled: Some(rolled),
        }
    }

    fn doubt(doubt: Doubt) -> Self {
        Self {
            ruling: Ruling::Doubt(doubt),
            kept: None,
            rolled: None,
        }
    }
}

/// The decision table, one source at a time.
pub(super) struct Rule<'a> {
    pub(super) subject: &'a Subject<'a>,
    /// Whether digests were made under the key at hand.
    pub(super) comparable: bool,
    /// What is new in `observed`.
    pub(super) gains: Gains<'a>,
}

impl Rule<'_> {
    /// Returns what follows for one source.
    pub(super) fn judge(
        &self,
        source: &SourceName,
        usage: &Usage,
        entry: Option<&Entry>,
        live: Lookup,
    ) -> Verdict {
        if !source.kind.is_readable()
            && let Some(verdict) = self.judge_provided(source, usage, entry, live.of_data())
        {
            return verdict;
        }
        match live {
            Lookup::Unsynced => Verdict::doubt(Doubt::Unsynced),
            Lookup::Unseen => Verdict::doubt(Doubt::Behind),
            Lookup::Absent { last, since } => self.judge_absent(source, usage, entry, last, since),
            Lookup::Present { version, fresh } => {
                let behind =
                    entry.is_some_and(|entry| version.resource_version < entry.resource_version());
                if behind && !fresh {
                    return Verdict::doubt(Doubt::Behind);
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
        last: Option<&Version>,
        since: u64,
    ) -> Verdict {
        let required = usage.need == Need::Required;
        if let (Some(Entry::Deleted { uid, .. }), Some(later)) = (entry, later(entry, last))
            && required
            && *uid != later.uid
        {
            // Another object has come and gone since: the pods that waited for it have started with it.
            let seen = Entry::of(later, usage);
            return self.judge_absent(source, usage, Some(&seen), last, since);
        }
        match entry {
            None => match (required, self.subject.pods.started) {
                (false, _) => Verdict::keep(Entry::Unknown),
                (true, None) => Verdict::doubt(Doubt::AskPods),
                (true, Some(true)) => Verdict::wait(Entry::Unknown, true),
                (true, Some(false)) => Verdict::wait(Entry::Waiting, true),
            },
            Some(
                seen @ Entry::Seen {
                    uid,
                    resource_version,
                    immutable,
                    ..
                },
            ) if !required && self.subject.policy.on_delete == OnDelete::Restart => {
                if since < *resource_version {
                    return Verdict::doubt(Doubt::Behind);
                }
                // Of several that came and went it answers for the last.
                let later = later(entry, last);
                let deleted = Entry::Deleted {
                    uid: later.map_or(uid, |last| &last.uid).clone(),
                    resource_version: later.map_or(*resource_version, |last| last.resource_version),
                    immutable: later.map_or(*immutable, |last| last.immutable),
                };
                Verdict::restart(
                    seen.clone(),
                    deleted,
                    Cause::plain(CauseKind::Deleted, Some(source)),
                )
            }
            // Pods that restart for something else start without it; that its content is the same says nothing then.
            Some(Entry::Seen {
                resource_version, ..
            }) if !required && self.subject.content_will_decide(source, usage, last) => Verdict {
                ruling: Ruling::Wait {
                    holds: false,
                    unsure: since < *resource_version,
                    pending: None,
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
        let lacks = version.lacks(usage);
        // Pods that start with it now start without a file, too.
        let holds_pods = lacks_more(usage, version, &KeyStates::new());
        match entry {
            None if holds_pods => match self.subject.pods.started {
                None => Verdict::doubt(Doubt::AskPods),
                Some(true) => Verdict::wait(unknown_keys(now), true),
                Some(false) => Verdict::wait(now, true),
            },
            None => self.judge_gained(source, usage, version, now),
            Some(Entry::Waiting) if holds_pods => Verdict::wait(now, true),
            Some(Entry::Waiting) => Verdict::keep(now),
            Some(Entry::Deleted { uid, .. }) if *uid == version.uid && !fresh => {
                Verdict::doubt(Doubt::Behind)
            }
            Some(Entry::Deleted { .. }) if usage.need == Need::Required && holds_pods => {
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
                states,
                immutable,
            }) => {
                let seen = SeenEntry {
                    uid,
                    resource_version: *resource_version,
                    states,
                    immutable: *immutable,
                };
                self.judge_seen(source, usage, &seen, version, now)
            }
        }
    }

    fn judge_gained(
        &self,
        source: &SourceName,
        usage: &Usage,
        version: &Version,
        now: Entry,
    ) -> Verdict {
        match self
            .gains
            .judge(source, used_keys(usage), version.changed_at())
        {
            Gain::Adopt => Verdict::keep(now),
            Gain::Ask => Verdict::doubt(Doubt::AskAges),
            Gain::Changed => {
                let gain = |key: &str| self.gains.judge(source, [key], version.changed_at());
                let kept = now.clone().map_states(|key, state| match gain(key) {
                    Gain::Changed => CHANGED,
                    Gain::Adopt | Gain::Ask => state,
                });
                Verdict::restart(kept, now, Cause::plain(CauseKind::Updated, Some(source)))
            }
        }
    }

    fn judge_seen(
        &self,
        source: &SourceName,
        usage: &Usage,
        old: &SeenEntry,
        version: &Version,
        now: Entry,
    ) -> Verdict {
        let Entry::Seen {
            states: new_states, ..
        } = &now
        else {
            return Verdict::keep(now);
        };
        let recreated = *old.uid != version.uid;
        let gain = |key: &str| self.gains.judge(source, [key], version.changed_at());
        let compared = Compared::of(old.states, new_states, usage, self.comparable, gain);
        if compared.asks {
            return Verdict::doubt(Doubt::AskAges);
        }
        let cause = self.cause(source, usage, old, version, &compared);
        // What has not changed keeps its old entry, so that nothing is written for it. A mark, or a uid, that is taken
        // over must not be compared with anything older than the version it came from.
        let taken_over = recreated && cause.is_none();
        let lacks = lacks_more(usage, version, old.states);
        let mut states = compared.kept.clone();
        if lacks && cause.is_some() {
            // RestartMarks that are not used any more still tell that pods had started: without them the new ones would look as
            // if all of it had been waited for.
            for (key, mark) in old.states {
                states.try_insert(key.clone(), *mark);
            }
        }
        let same = Entry::Seen {
            uid: if taken_over { &version.uid } else { old.uid }.to_owned(),
            resource_version: if compared.adopted || taken_over {
                old.resource_version.max(version.resource_version)
            } else {
                old.resource_version
            },
            states,
            // That it became immutable is written with whatever else is new, not by a write of its own.
            immutable: if taken_over || (compared.adopted && !recreated) {
                version.immutable
            } else {
                old.immutable
            },
        };
        if lacks {
            let ruling = Ruling::Wait {
                holds: true,
                unsure: false,
                pending: cause,
            };
            return Verdict {
                ruling,
                rolled: Some(same.clone()),
                kept: Some(same),
            };
        }
        match cause {
            Some(cause) => Verdict::restart(same, now, cause),
            None if recreated => Verdict::keep(now),
            None => Verdict {
                ruling: Ruling::Keep,
                kept: Some(same),
                rolled: Some(now),
            },
        }
    }

    /// Returns what of a source that was seen asks for a restart.
    fn cause(
        &self,
        source: &SourceName,
        usage: &Usage,
        old: &SeenEntry,
        version: &Version,
        compared: &Compared,
    ) -> Option<Cause> {
        let all_waited =
            !old.states.is_empty() && old.states.values().all(|mark| *mark == KeyState::Waiting);
        if *old.uid != version.uid && !all_waited {
            // Digests under another key do not tell whether the content is the same.
            let same_content = self.comparable && compared.changed.is_empty();
            if same_content && self.subject.content_decides(source, usage, version) {
                return None;
            }
            return Some(Cause {
                kind: CauseKind::Recreated,
                source: Some(source.clone()),
                uids: Some((old.uid.to_owned(), version.uid.clone())),
                keys: Vec::new(),
                change: None,
            });
        }
        if compared.changed.is_empty() {
            return None;
        }
        let named = compared.changed.iter().filter(|key| *key != WHOLE);
        Some(Cause {
            kind: CauseKind::Updated,
            source: Some(source.clone()),
            uids: None,
            keys: named.cloned().collect(),
            change: None,
        })
    }
}

/// Returns what a source last was, where that is later than what was observed of it.
fn later<'a>(entry: Option<&Entry>, last: Option<&'a Version>) -> Option<&'a Version> {
    let known_until = entry.map_or(0, Entry::resource_version);
    last.filter(|last| last.resource_version > known_until)
}

struct SeenEntry<'a> {
    uid: &'a str,
    resource_version: u64,
    states: &'a KeyStates,
    immutable: bool,
}
