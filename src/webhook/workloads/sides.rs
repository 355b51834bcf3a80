//! The two objects of a write, and their marks by `kubectl.kubernetes.io/restartedAt`, which users write, too
//! ([`crate::model::workload::RestartMarks`]).

use jiff::Timestamp;
use kube::core::DynamicObject;

use crate::model::{
    Index, SourceName, Version, WorkloadKey,
    decide::Lookup,
    digest::DigestKey,
    patch::{self, Patch},
    source::References,
    stamp::{OwnAnnotations, Stamp},
    workload::{
        ChangeCause, Workload, is_time_mark, read_at, read_time, standing_time, time_after,
    },
};

/// One of the two objects of a write.
pub(super) struct Side {
    pub(super) workload: Workload,
    pub(super) own: OwnAnnotations,
    /// Not before it is read what it asks for.
    pub(super) opted_in: bool,
}

impl Side {
    pub(super) fn read(key: &WorkloadKey, object: &DynamicObject, index: &Index) -> Self {
        let kind = key.kind;
        let mut workload = Workload::read(kind, object);
        index.relate(key, &mut workload);
        Self {
            own: OwnAnnotations::read(kind, object),
            opted_in: false,
            workload,
        }
    }
}

/// The objects of a write; `old` is there unless it creates one.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) old: Option<&'a Side>,
    pub(super) new: &'a Side,
}

impl Sides<'_> {
    /// Returns a stamp as it is where the workload is restarted in its own way; `mark`: the one that stands.
    pub(super) fn in_its_way(self, stamp: Stamp, mark: Option<&str>, key: &DigestKey) -> Stamp {
        if mark.is_none_or(|mark| stamp.restarted_for == mark) {
            return stamp;
        }
        let restarted_for = self.new.workload.restart_by.mark(&stamp.restarted_for);
        if restarted_for == stamp.restarted_for {
            return stamp;
        }
        Stamp {
            observed: stamp.observed.under(&restarted_for, key),
            restarted_for,
            ..stamp
        }
    }

    /// Returns the time of a fresh mark in a write that comes now, in unix seconds; `stands`: the last one of the pods. A later
    /// value that the user writes after the last change is a restart already. Asked again about its own answer, it says the
    /// same.
    pub(super) fn time_of_mark<'a>(
        self,
        stands: Option<Timestamp>,
        uses: &References,
        live: &dyn Fn(&SourceName) -> Lookup<'a>,
        now: i64,
    ) -> Timestamp {
        let versions = uses.keys().filter_map(|source| live(source).version());
        let changed = versions
            .map(Version::changed_at)
            .max()
            .and_then(|at| Timestamp::from_second(at).ok());
        let asked = read_time(self.new.own.kubectl.as_deref());
        let after = stands.max(changed);
        match asked {
            Some(asked) if Some(asked) > after => asked,
            _ => {
                let now = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
                time_after(now, &[stands, changed])
            }
        }
    }

    /// Returns the same with the template's `kubectl.kubernetes.io/restartedAt`: as the user wrote it, unless a mark that is
    /// set now, or that stands, would not count with that.
    pub(super) fn with_time(self, to: OwnAnnotations) -> OwnAnnotations {
        // A new workload may get the value of the pods that it adopts.
        let carried = to.kubectl.clone().filter(|_| self.old.is_none());
        let asked = carried.or_else(|| self.new.own.kubectl.clone());
        let as_it_was = self
            .old
            .filter(|old| to.restarted_at == old.own.restarted_at);
        let set = match as_it_was {
            Some(old) => old.own.kubectl.clone().filter(|_| self.keeps_time()),
            None => to.restarted_at.as_deref().and_then(|text| {
                let (mark, at) = read_at(text)?;
                let counts = standing_time(text, asked.as_deref()).is_some();
                (is_time_mark(mark) && !counts).then(|| at.to_string())
            }),
        };
        OwnAnnotations {
            kubectl: set.or(asked),
            ..to
        }
    }

    /// Returns the same patch, after which `kubernetes.io/change-cause` tells of a restart of reroll's where the revision is that
    /// restart's, and nowhere else. A write that changes the template and merely keeps the text makes another revision. One that only
    /// takes the mark of the restart back, as `kubectl rollout undo` does, makes none, for the mark stays.
    pub(super) fn tells_of_itself(self, template_changed: bool, patch: Patch) -> Patch {
        let of = |side: &'_ Side| side.workload.change_cause.as_deref().cloned();
        let (before, after) = (self.old.and_then(of), of(self.new));
        let Some(before) = before.filter(ChangeCause::is_ours) else {
            return patch;
        };
        let free = after.as_ref().is_none_or(ChangeCause::is_free);
        let kept = after.is_some_and(|after| after.text == before.text);
        let marks = |side: &Side| (side.own.restarted_for.clone(), side.own.kubectl.clone());
        let takes_back = self.old.map(marks) != Some(marks(self.new));
        let shape = self.new.workload.shape;
        match (template_changed, kept) {
            (true, true) if free => patch::with_change_cause(patch, shape, None),
            (false, false) if free && takes_back => {
                patch::with_change_cause(patch, shape, Some(&before.text))
            }
            _ => patch,
        }
    }

    /// Whether `kubectl.kubernetes.io/restartedAt` stays as it was: it is a mark that would not count any more. From its owner
    /// no mark is kept.
    pub(super) fn keeps_time(self) -> bool {
        self.takes_mark_back() && !self.new.workload.yields_marks()
    }

    /// Whether a mark by `kubectl.kubernetes.io/restartedAt` stands, and would not count with what is asked for.
    pub(super) fn takes_mark_back(self) -> bool {
        let Some(old) = self.old else {
            return false;
        };
        let marked = old.own.restarted_at.as_deref().and_then(read_at);
        marked.is_some_and(|(mark, at)| {
            let stands = is_time_mark(mark) && old.workload.restarted_for == mark;
            let asked = read_time(self.new.own.kubectl.as_deref());
            stands && asked.is_none_or(|asked| asked < at)
        })
    }
}
