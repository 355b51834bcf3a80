//! What holds a restart that is due before it matters what becomes of others: its window, what belongs together, and users of lower
//! waves. It is told as
//! of what was read once; the controller writes the same on the workload a moment later.

use jiff::Timestamp;

use super::{Sight, read::take_workloads_of, sources::source_of};
use crate::{
    cli::{error::Error, session::Session},
    model::{
        Decision, SourceName, WorkloadKey,
        annotation::{TOGETHER, WAVE, WINDOW},
        brake::{
            Verdict, later,
            needed::taken,
            once::Failure,
            together::{apart, shown},
            wave::{Behind, Restarted, Through},
        },
        decide::Restart,
        gate::{together::listed, window::Closed},
        held::Held,
        index::{Judged, Overlay, Tracked, gates, windows},
        pending::Pending,
        text::minutes,
        version::key_of,
        workload::{Changed, VersionId},
    },
};

/// What holds a restart.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Gated {
    pub(in crate::cli) held: Held,
    /// What holds it, by name.
    pub(in crate::cli) words: String,
}

/// Returns what holds a restart that is due, where nothing else does.
pub(in crate::cli) fn gated(
    sight: &Sight,
    key: &WorkloadKey,
    (judged, held): (&Judged, Option<Held>),
) -> Option<Gated> {
    let Some(Decision::Restart(restart)) = judged.decision.as_ref().filter(|_| held.is_none())
    else {
        return None;
    };
    let tracked = sight.index.workload(key)?;
    if judged.released {
        return None;
    }
    let first = restart.causes.iter().filter_map(|cause| {
        let source = key_of(&key.namespace, cause.source.as_ref()?);
        sight.written(&source).at
    });
    let changed_at = |written: Option<Timestamp>| written.unwrap_or(sight.now);
    window(sight, key, tracked, first.min().unwrap_or(sight.now))
        .or_else(|| together(sight, key, restart, changed_at))
        .or_else(|| wave(sight, key, tracked, restart))
}

/// Returns why a restart is not made: what is known to hold it now, or else the reason that stands on the workload, where that may
/// still hold. (What somebody lets go is told until the next write.)
pub(in crate::cli) fn reason(
    judged: &Judged,
    held: Option<Held>,
    gated: Option<&Gated>,
    stands: Option<&Pending>,
) -> Option<Held> {
    let now = held.or(gated.map(|gated| gated.held));
    now.or_else(|| {
        let reason = stands?.reason;
        let is_over = match reason {
            Held::Suspended => judged.stop.is_none(),
            Held::Aborted => !judged.aborted,
            Held::Missing => judged.absent.is_empty(),
            _ => false,
        };
        (!is_over).then_some(reason)
    })
}

/// Returns the window that is closed for a workload that has been behind since then.
pub(in crate::cli) fn window(
    sight: &Sight,
    key: &WorkloadKey,
    tracked: &Tracked,
    since: Timestamp,
) -> Option<Gated> {
    let (window, latest) = windows::of(&sight.index, &key.namespace, tracked)?;
    let since = shown(tracked).map_or(since, |pending| pending.since.min(since));
    let closed = window.holds(since, latest, sight.now)?;
    let whose = if windows::is_own(tracked) {
        format!("its window ({WINDOW})")
    } else {
        format!("the window of Namespace {} ({WINDOW})", key.namespace)
    };
    let words = match closed {
        // It may open later than so long after the first change.
        Closed::Until(Some(at)) => format!("{whose} holds it until {}", minutes(at)),
        Closed::Until(None) => format!("{whose} never opens, which holds it"),
        Closed::Unreadable { .. } => format!("{whose} cannot be read, which holds it"),
    };
    let held = Held::Window;
    Some(Gated { held, words })
}

/// Returns what belongs together with what has changed, and has not. `changed_at` makes of when a source was written when it changed.
pub(in crate::cli) fn together(
    sight: &Sight,
    key: &WorkloadKey,
    restart: &Restart,
    changed_at: impl Fn(Option<Timestamp>) -> Timestamp,
) -> Option<Gated> {
    let (index, overlay) = (&sight.index, Overlay::new());
    let apart = apart(index, key, restart, &overlay, changed_at, sight.now)?;
    let words = format!(
        "{} has not changed yet, which belongs together with what has ({TOGETHER}): it waits until {} at the latest",
        listed(&apart.stay),
        minutes(apart.until)
    );
    let held = Held::Together;
    Some(Gated { held, words })
}

/// Returns who of a lower wave goes first.
fn wave(sight: &Sight, key: &WorkloadKey, tracked: &Tracked, restart: &Restart) -> Option<Gated> {
    if !windows::has_waves(&sight.index, &key.namespace) {
        return None;
    }
    let mut first: Option<(Through, WorkloadKey)> = None;
    for (changed, id) in taken(&sight.index, key, restart) {
        let Changed::Source(source) = &changed else {
            continue;
        };
        for user in lower(sight, key, tracked, source) {
            let through = through(sight, &user, source, (&changed, id));
            let is_worse = first.as_ref().is_none_or(|(before, _)| *before < through);
            if through != Through::Yes && is_worse {
                first = Some((through, user));
            }
        }
    }
    let (through, user) = first?;
    let name = user.spoken();
    let failure = sight.failures.get(&user).map(Failure::spoken);
    let words = match (through, failure) {
        (Through::Stopped, Some(failure)) => {
            format!("{name} of a lower wave ({WAVE}): {failure}")
        }
        (Through::Stopped, None) => format!("{name} of a lower wave ({WAVE}) goes no further"),
        _ => format!("{name} of a lower wave ({WAVE}) is not complete yet"),
    };
    let held = Held::Wave;
    Some(Gated { held, words })
}

/// Returns the users of a source whose waves are lower than that of one of them.
fn lower(
    sight: &Sight,
    key: &WorkloadKey,
    tracked: &Tracked,
    source: &SourceName,
) -> Vec<WorkloadKey> {
    let wave = tracked.policy.wave();
    let users = sight.index.users(&key_of(&key.namespace, source));
    let is_lower = |user: &WorkloadKey| {
        let known = sight.index.workload(user);
        known.is_some_and(|known| known.policy.opted_in() && known.policy.wave() < wave)
    };
    users.into_iter().filter(is_lower).collect()
}

/// Returns whether those of higher waves wait for a user of a version, by the rules of the controller. That it goes no further, but
/// did not fail, only shows to who looks for longer.
fn through(
    sight: &Sight,
    user: &WorkloadKey,
    source: &SourceName,
    (changed, id): (&Changed, VersionId),
) -> Through {
    let Some(tracked) = sight.index.workload(user) else {
        return Through::Yes;
    };
    let (workload, progress) = (&tracked.workload, &tracked.workload.progress);
    let last = workload.last.as_ref();
    if let Some(last) = last.filter(|last| last.opened.versions.get(changed) == Some(&id)) {
        let seen = workload.observed_generation;
        let patience = sight.installation.flags.patience;
        let deadline = patience.as_asked(&tracked.policy.brakes, progress).deadline;
        let failed = sight.failures.get(user).map(|it| it.failed.clone());
        let void = progress.void.map(Verdict::Void);
        let verdict = failed.map(Verdict::Failed).or(void);
        let verdict = verdict.or_else(|| last.is_ours.then_some(Verdict::Good));
        return Restarted {
            verdict: verdict.as_ref(),
            well: last.opened.well,
            complete: progress.is_complete(&last.opened, seen),
            rolls: progress.rolls() && sight.now < later(last.opened.at, deadline),
            hangs: false,
        }
        .through();
    }
    let decision = sight.index.assess(user, &Overlay::new());
    let is_behind = matches!(decision, Some(Decision::Restart(restart))
        if restart.causes.iter().any(|cause| cause.source.as_ref() == Some(source)));
    Behind {
        comes: is_behind && !gates::is_held_back(&sight.index, user),
        shows: progress.void.is_none() && progress.is_well(),
    }
    .through()
}

/// Reads those of lower waves that a restart of this workload would wait for, and what they use.
pub(in crate::cli) async fn read_lower(
    sight: &mut Sight,
    session: &Session,
    key: &WorkloadKey,
) -> Result<(), Error> {
    let (judged, held) = sight.judge(key);
    let Some(Decision::Restart(restart)) = judged.decision.filter(|_| held.is_none()) else {
        return Ok(());
    };
    take_workloads_of(sight, session, &key.namespace).await?;
    let Some(tracked) = sight.index.workload(key) else {
        return Ok(());
    };
    let sources = restart.causes.iter().filter_map(|it| it.source.as_ref());
    let users = sources.flat_map(|source| lower(sight, key, tracked, source));
    let tracked = users.filter_map(|user| sight.index.workload(&user));
    let used = tracked.flat_map(|tracked| tracked.uses().keys());
    let mut unread: Vec<_> = used.map(|source| key_of(&key.namespace, source)).collect();
    unread.retain(|source| !sight.written.contains_key(source));
    unread.sort();
    unread.dedup();
    for source in unread {
        source_of(sight, session, &source).await?;
    }
    Ok(())
}
