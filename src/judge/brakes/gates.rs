//! What holds a restart before it matters what becomes of others: its window, what belongs together, and users of lower waves.

use std::{cell::RefCell, collections::BTreeMap};

use jiff::Timestamp;

use super::{
    Reason,
    elsewhere::{Elsewhere, Filed},
    reason::Gate,
    rooms::Counting,
    waiting::Waiting,
};
use crate::model::{
    Decision, SourceName, WorkloadKey,
    brake::{
        Verdict, later,
        together::shown,
        turns::Counted,
        wave::{Behind, Front, Restarted, Through},
    },
    decide::Undecided,
    gate::together::{Member, holds, listed},
    index::{Overlay, Tracked, together, windows},
    version::key_of,
    workload::{Changed, Opened},
};

/// The gates of one namespace, at one moment.
pub(super) struct Gates<'a> {
    counting: &'a Counting<'a>,
    elsewhere: Elsewhere<'a>,
    /// How far the users of a version are: worked out when it is first asked for.
    fronts: RefCell<BTreeMap<Counted, Front>>,
}

impl<'a> Gates<'a> {
    /// Returns those of the namespace whose users are counted so.
    pub(super) fn new(counting: &'a Counting<'a>, elsewhere: Elsewhere<'a>) -> Self {
        Self {
            counting,
            elsewhere,
            fronts: RefCell::default(),
        }
    }

    /// Returns what holds a restart that no user let past; `None` where nothing does.
    pub(super) fn holds(
        &self,
        key: &WorkloadKey,
        tracked: &Tracked,
        waiting: &Waiting,
    ) -> Option<Gate> {
        let window = self.window(key, tracked, waiting).map(|reason| Gate {
            reason,
            by: String::new(),
        });
        let together = || self.together(key, tracked, waiting);
        let wave = || {
            let reason = self.wave(tracked, waiting)?;
            let by = self.stopped_by(tracked, waiting);
            Some(Gate { reason, by })
        };
        window.or_else(together).or_else(wave)
    }

    /// Returns who of a lower wave stops a restart, in words; none where nobody does.
    fn stopped_by(&self, tracked: &Tracked, waiting: &Waiting) -> String {
        let fronts = self.fronts.borrow();
        let fronts = waiting
            .takes
            .iter()
            .filter_map(|(changed, id)| fronts.get(&(changed.clone(), *id)));
        let mut names = fronts.filter_map(|front| front.stopped_by(tracked.policy.wave()));
        names.next().unwrap_or_default().to_owned()
    }

    fn together(&self, key: &WorkloadKey, tracked: &Tracked, waiting: &Waiting) -> Option<Gate> {
        let Counting { index, now, .. } = *self.counting;
        let latest = tracked.policy.together()?.latest;
        let (namespace, changed) = (&key.namespace, &waiting.changed);
        let groups = together::groups(index, namespace, tracked, changed, &Overlay::new());
        let since = |member: &Member, written: Option<Timestamp>| {
            let seen = waiting.moved.get(member).copied();
            seen.unwrap_or_else(|| written.map_or(now, |written| written.min(now)))
        };
        let apart = holds(&groups, since, latest, now)?;
        Some(Gate {
            reason: Reason::Together { until: apart.until },
            by: listed(&apart.stay),
        })
    }

    fn window(&self, key: &WorkloadKey, tracked: &Tracked, waiting: &Waiting) -> Option<Reason> {
        let Counting { index, now, .. } = *self.counting;
        let (window, latest) = windows::of(index, &key.namespace, tracked)?;
        let behind = waiting.behind_since(index, key);
        // What is live may have been written later than the first change that it lacks.
        let since = shown(tracked).map_or(behind, |pending| pending.since.min(behind));
        window.holds(since, latest, now).map(Reason::Window)
    }

    fn wave(&self, tracked: &Tracked, waiting: &Waiting) -> Option<Reason> {
        let wave = tracked.policy.wave();
        let before = waiting.takes.iter().map(|(changed, id)| {
            let Changed::Source(source) = changed else {
                return Through::Yes;
            };
            let mut fronts = self.fronts.borrow_mut();
            let front = fronts.entry((changed.clone(), *id));
            let front = front.or_insert_with_key(|counted| self.front(source, counted));
            front.before(wave)
        });
        match before.max()? {
            Through::Yes => None,
            Through::NotYet => Some(Reason::Wave { stopped: false }),
            Through::Stopped => Some(Reason::Wave { stopped: true }),
        }
    }

    fn front(&self, source: &SourceName, counted: &Counted) -> Front {
        let Counting {
            index, namespace, ..
        } = *self.counting;
        let users = index.users(&key_of(namespace, source)).into_iter();
        Front::of(users.filter_map(|key| {
            let tracked = index.workload(&key)?;
            let through = self.through(&key, tracked, source, counted);
            let name = match through {
                Through::Stopped => key.spoken(),
                Through::Yes | Through::NotYet => String::new(),
            };
            Some((tracked.policy.wave(), through, name))
        }))
    }

    /// Returns whether those of higher waves wait for a user of a version.
    fn through(
        &self,
        key: &WorkloadKey,
        tracked: &Tracked,
        source: &SourceName,
        (changed, id): &Counted,
    ) -> Through {
        let Counting { made, now, .. } = *self.counting;
        let takes = |takes: &BTreeMap<Changed, _>| takes.get(changed) == Some(id);
        let going = self.counting.going.get(key);
        let waiting = self.counting.waiting.get(key);
        let comes =
            going.is_some_and(|it| takes(&it.takes)) || waiting.is_some_and(|it| takes(&it.takes));
        let workload = &tracked.workload;
        let last = workload.last.as_ref();
        if let Some(last) = last.filter(|last| !comes && takes(&last.opened.versions)) {
            let progress = &workload.progress;
            let seen = workload.observed_generation;
            // Of somebody else's rollout nothing tells since when it is under way.
            let deadline = made.patience(tracked).deadline;
            let is_awaited = |opened: &Opened| now < later(opened.at, deadline);
            let is_through = !last.opened.is_unseen(seen) && !progress.is_under_way();
            return Restarted {
                verdict: made.verdict(key, tracked, now).as_ref(),
                well: last.opened.well,
                complete: is_through || progress.is_complete(&last.opened, seen),
                rolls: progress.rolls() && is_awaited(&last.opened),
                hangs: now >= made.hangs_at(key, tracked),
            }
            .through();
        }
        let comes = match self.elsewhere.filed(key) {
            Filed::Held => false,
            Filed::Intent => comes || self.is_behind(key, source, true),
            Filed::Nothing => comes || self.is_behind(key, source, false),
        };
        let shows = self.shows(key, tracked, changed);
        Behind { comes, shows }.through()
    }

    /// Whether a user is to be restarted for a source. `doubt`: the answer where that is not known yet.
    fn is_behind(&self, key: &WorkloadKey, source: &SourceName, doubt: bool) -> bool {
        match self.counting.index.assess(key, &Overlay::new()) {
            Some(Decision::Restart(restart)) => {
                let mut causes = restart.causes.iter();
                causes.any(|cause| cause.source.as_ref() == Some(source))
            }
            Some(Decision::Undecided(Undecided::Doubt(..))) => doubt,
            _ => false,
        }
    }

    /// Whether a user that is behind is well, or was before its last restart, and its pods come by themselves.
    fn shows(&self, key: &WorkloadKey, tracked: &Tracked, changed: &Changed) -> bool {
        let Counting { made, now, .. } = *self.counting;
        let progress = &tracked.workload.progress;
        let last = tracked.workload.last.as_ref();
        let was_well = last.is_some_and(|last| last.is_ours && last.opened.well);
        let rolls = || {
            let verdict = made.verdict(key, tracked, now);
            matches!(verdict, Some(Verdict::Good | Verdict::Rolling { .. }))
        };
        let goes_on = || made.goes_on(key, tracked, [changed], now).is_some();
        progress.void.is_none() && (progress.is_well() || was_well && rolls() || goes_on())
    }
}
