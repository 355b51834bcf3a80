//! Scenes where reroll does not see something, or sees it late.

use super::{About, ROLLED, SETTLED, away, crash, fault, hang, rest};
use crate::{
    faults::{Effect, Fault, Lasts, Requests, Watches, Which, Write},
    operation::{Name, OnSource, OnWorkload, Remake, Step},
    world::{EDITIONS, plan},
};

/// The webhook does not see what a template gains.
pub(super) fn deploy(about: &About) -> Vec<Step> {
    let mut steps = vec![
        rest(),
        away(about.times[1]),
        about.workload(OnWorkload::Edit(about.edition), about.times[1]),
    ];
    if about.either[0] {
        steps.push(about.source(OnSource::Update, about.times[0]));
    }
    if about.either[1] {
        steps.push(about.workload(OnWorkload::Edit(1), about.times[0]));
    }
    steps.push(rest());
    steps
}

/// The webhook does not see an undo, but the deploy right after it.
pub(super) fn undo(about: &About) -> Vec<Step> {
    let (short, long) = (about.times[0] / 4, about.times[1]);
    let back = if about.either[0] {
        OnWorkload::Undo
    } else {
        OnWorkload::ReplaceByManifest(EDITIONS)
    };
    vec![
        about.whole(),
        rest(),
        about.source(OnSource::Update, about.times[0] * 2),
        fault(Fault::Watches(Which::Leader, None, Watches::Stall(long))),
        away(short),
        about.workload(back, short),
        about.workload(OnWorkload::Edit(about.edition), long),
        rest(),
    ]
}

/// A write of reroll meets what a person wrote meanwhile, or is refused once.
pub(super) fn late_write(about: &About) -> Vec<Step> {
    let [held, edits] = about.either;
    let effect = if held {
        Effect::Held(about.times[1])
    } else {
        Effect::Refused(409, None)
    };
    let writes = Requests::Write(Write::Workload);
    let meanwhile = if edits {
        OnWorkload::Edit(about.edition)
    } else {
        OnWorkload::RolloutRestart
    };
    let mut steps = vec![about.anew(), rest()];
    steps.push(fault(Fault::Line(
        Which::Leader,
        writes,
        effect,
        Lasts::Next(1),
    )));
    if held {
        steps.push(about.source(OnSource::Update, SETTLED + about.times[0] / 4));
        steps.push(about.workload(meanwhile, about.times[1]));
    } else {
        steps.push(about.source(OnSource::Update, about.times[1]));
    }
    steps.push(rest());
    steps
}

/// A replica that lags, and can read nothing else, answers the review of a deploy.
pub(super) fn stale_review(about: &About) -> Vec<Step> {
    let which = Which::Number(u8::from(about.either[0]));
    let lasts = about.times[1] * 2;
    let refused = Effect::Refused(500, None);
    vec![
        fault(Fault::Scale(2)),
        about.whole(),
        rest(),
        fault(Fault::Watches(which, None, Watches::Stall(lasts))),
        about.source(OnSource::Update, about.times[1]),
        fault(Fault::Line(
            which,
            Requests::Reads,
            refused,
            Lasts::For(lasts),
        )),
        about.workload(OnWorkload::Edit(about.edition), about.times[0]),
        rest(),
    ]
}

/// reroll comes back, something changed meanwhile, nothing is recorded, and something else that pods need is away.
pub(super) fn needed_at_a_start(about: &About) -> Vec<Step> {
    let gone = about.times[1] * 2;
    vec![
        about.whole(),
        about.other(OnSource::Update, about.times[1]),
        about.source(OnSource::Delete, about.times[0]),
        rest(),
        crash(gone, &about.sources[1..]),
        about.workload(OnWorkload::DropObserved, gone),
        rest(),
        about.source(OnSource::Create, about.times[0]),
        rest(),
    ]
}

/// A client replaces a workload while reroll is away, and something changes after that.
pub(super) fn replaced(about: &About) -> Vec<Step> {
    let edition = if about.either[0] {
        EDITIONS
    } else {
        about.edition
    };
    vec![
        about.whole(),
        about.source(OnSource::Update, about.times[1]),
        rest(),
        crash(ROLLED + about.times[1], &[]),
        about.workload(OnWorkload::ReplaceByManifest(edition), ROLLED),
        about.other(OnSource::Update, about.times[1]),
        rest(),
    ]
}

/// The webhook does not see that a rollout which hangs is undone, but a deploy right after it, which hangs and is undone, too.
pub(super) fn undo_that_hangs(about: &About) -> Vec<Step> {
    let (short, long) = (about.times[0] / 4, about.times[1]);
    let undo = |wait| about.workload(OnWorkload::Undo, wait);
    let mut steps = if about.either[0] {
        vec![about.anew(), rest()]
    } else {
        vec![about.whole(), about.source(OnSource::Update, long), rest()]
    };
    steps.extend([
        hang(true),
        about.source(OnSource::Update, SETTLED + long),
        fault(Fault::Watches(Which::Leader, None, Watches::Stall(long))),
        away(short),
        undo(short),
        about.workload(OnWorkload::Edit(about.edition), long),
        undo(long),
        rest(),
    ]);
    steps
}

/// Somebody writes the first annotation of a template at the moment in which reroll does, and the webhook does not see it.
pub(super) fn bare_template(about: &About) -> Vec<Step> {
    let about = about.of("api", [0, 1]);
    let held = Effect::Held(about.times[1] * 2);
    let lasts = Lasts::Next(1);
    let writes = Requests::Write(Write::Workload);
    vec![
        about.anew(),
        rest(),
        fault(Fault::Line(Which::Leader, writes, held, lasts)),
        about.source(OnSource::Update, SETTLED + about.times[0] / 2),
        away(about.times[1]),
        about.workload(OnWorkload::RolloutRestart, about.times[1]),
        rest(),
    ]
}

/// A template comes and goes while reroll is away, or while the workload has not opted in. Pods of it are left, and it is
/// brought back.
pub(super) fn templates(about: &About) -> Vec<Step> {
    let plan = plan(about.workload);
    // It lacks a source.
    let edition = (about.edition % EDITIONS).max(1);
    let used = plan.uses(edition);
    let lacks = |source: &Name| !used.contains(source);
    let lacked = plan.uses(EDITIONS).into_iter().find(lacks);
    let lacked = About {
        sources: [lacked.unwrap_or(about.sources[0]); 2],
        ..about.clone()
    };
    let edit = |edition, wait| about.workload(OnWorkload::Edit(edition), wait);
    let opts_in = |opts_in, wait| about.workload(OnWorkload::OptIn(opts_in), wait);
    let meanwhile = [
        edit(EDITIONS, ROLLED * 2),
        hang(true),
        lacked.source(OnSource::Update, about.times[1]),
        edit(edition, about.times[1]),
    ];
    let mut steps = vec![edit(edition, about.times[1]), rest()];
    if about.either[0] {
        steps.push(opts_in(false, about.times[1]));
        steps.extend(meanwhile);
        steps.push(opts_in(true, about.times[1]));
    } else {
        steps.push(crash(ROLLED * 3, &[]));
        steps.extend(meanwhile);
        steps.push(about.other(OnSource::Label, ROLLED * 2));
    }
    steps.push(about.workload(OnWorkload::Undo, about.times[1]));
    steps.push(rest());
    steps
}

/// A workload is made again over its pods, which are behind by then, and the webhook does not see it.
pub(super) fn orphans(about: &About) -> Vec<Step> {
    let [export, _] = about.either;
    let remake = Remake {
        export,
        edition: EDITIONS,
        gap: about.times[1],
        changes: Some(about.sources[1]),
    };
    vec![
        about.whole(),
        rest(),
        away(ROLLED),
        about.workload(OnWorkload::OrphanAndRemake(remake), ROLLED),
        rest(),
    ]
}

/// What a read brings comes when a watch has shown something later.
pub(super) fn late_answer(about: &About) -> Vec<Step> {
    let [short, long] = about.times;
    let late = Effect::AnsweredLate(long * 4);
    let lasts = Lasts::Next(1);
    let stall = Watches::Stall(SETTLED + short);
    vec![
        about.whole(),
        rest(),
        fault(Fault::Line(Which::Leader, Requests::Reads, late, lasts)),
        fault(Fault::Watches(Which::Leader, Some("secrets"), stall)),
        about.source(OnSource::Update, SETTLED * 4 + short),
        about.source(OnSource::Update, long * 4),
        rest(),
    ]
}
