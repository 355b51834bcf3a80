//! Scenes: steps that belong together. Each leads to where a promise of the design is easily broken, and where steps that are
//! drawn one by one seldom come.

use std::time::Duration;

use proptest::{prelude::*, sample::select, strategy::Union};

use super::{edition, millis, used};
use crate::{
    faults::{Effect, Fault, Hook, Lasts, Requests, Watches, Which, Write},
    operation::{Name, OnSource, OnWorkload, Operation, Recreation, Remake, Step},
    world::EDITIONS,
};

/// After how long a change is restarted for.
const SETTLED: Duration = Duration::from_secs(1);

/// What a scene is about.
#[derive(Clone, Debug)]
struct About {
    workload: Name,
    /// Two sources that its template refers to, or one twice.
    sources: [Name; 2],
    edition: u8,
    /// A short time, and a longer one.
    times: [Duration; 2],
    /// Any two things that are so or not.
    either: [bool; 2],
}

/// Draws a scene about one of these workloads.
pub(super) fn scene(workloads: &[Name]) -> impl Strategy<Value = Vec<Step>> + use<> {
    let scenes: [fn(&About) -> Vec<Step>; 13] = [
        made_again_by_a_machine,
        away_and_another_changes,
        immutable,
        old_text,
        text_goes,
        narrow_and_wide,
        unseen_deploy,
        unseen_undo,
        orphans,
        there_and_back,
        no_room,
        late_write,
        stale_review,
    ];
    let scenes = scenes.map(|scene| about(workloads.to_vec()).prop_map(move |about| scene(&about)));
    Union::new(scenes)
}

fn about(workloads: Vec<Name>) -> impl Strategy<Value = About> {
    let chosen = select(workloads).prop_flat_map(|name| (Just(name), used(name), used(name)));
    let either = (any::<bool>(), any::<bool>());
    let times = (millis(0..1_500), millis(1_500..8_000));
    (chosen, edition(), times, either).prop_map(
        |((workload, one, other), edition, times, either)| About {
            workload,
            sources: [one, other],
            edition,
            times: times.into(),
            either: either.into(),
        },
    )
}

impl About {
    fn source(&self, what: OnSource, wait: Duration) -> Step {
        let operation = Operation::Source(self.sources[0], what);
        Step { operation, wait }
    }

    fn other(&self, what: OnSource, wait: Duration) -> Step {
        let operation = Operation::Source(self.sources[1], what);
        Step { operation, wait }
    }

    fn workload(&self, what: OnWorkload, wait: Duration) -> Step {
        let operation = Operation::Workload(self.workload, what);
        Step { operation, wait }
    }

    /// Its template refers to all that it can.
    fn whole(&self) -> Step {
        self.workload(OnWorkload::Edit(EDITIONS), self.times[1])
    }

    /// It is made anew so, and has never been restarted.
    fn anew(&self) -> Step {
        let remake = Remake {
            export: false,
            edition: EDITIONS,
            gap: self.times[0],
            changes: None,
        };
        self.workload(OnWorkload::Remake(remake), self.times[1])
    }
}

fn rest() -> Step {
    let (operation, wait) = (Operation::Rest, Duration::ZERO);
    Step { operation, wait }
}

fn fault(fault: Fault) -> Step {
    let (operation, wait) = (Operation::Fault(fault), Duration::ZERO);
    Step { operation, wait }
}

/// First with an owner, then without, or the other way round, and with the same data: is that a change?
fn made_again_by_a_machine(about: &About) -> Vec<Step> {
    let [owned_first, same] = about.either;
    let recreate = |owned, same| {
        let recreation = Recreation {
            gap: about.times[0],
            same,
            owned,
            immutable: false,
            meanwhile: None,
        };
        about.source(OnSource::Recreate(recreation), about.times[0])
    };
    let [first, then] = [recreate(owned_first, same), recreate(!owned_first, true)];
    vec![about.whole(), first, rest(), then, rest()]
}

/// Something is away, another thing changes, and what was away comes back, as it was where a machine makes it.
fn away_and_another_changes(about: &About) -> Vec<Step> {
    if about.either[0] {
        let recreation = Recreation {
            gap: about.times[1] * 2,
            same: true,
            owned: true,
            immutable: false,
            meanwhile: Some(about.sources[1]),
        };
        let recreate = about.source(OnSource::Recreate(recreation), about.times[0]);
        return vec![about.whole(), rest(), recreate, rest()];
    }
    vec![
        about.whole(),
        about.source(OnSource::Delete, about.times[0]),
        rest(),
        about.other(OnSource::Update, about.times[1]),
        about.source(OnSource::Create, about.times[0]),
        rest(),
    ]
}

/// To become immutable is no change; to be made again with other data is.
fn immutable(about: &About) -> Vec<Step> {
    vec![
        about.whole(),
        rest(),
        about.source(OnSource::Label, about.times[0]),
        about.source(OnSource::Freeze, about.times[0]),
        rest(),
        about.source(OnSource::Update, about.times[1]),
        rest(),
    ]
}

/// A text that was recorded once takes the place of what is recorded.
fn old_text(about: &About) -> Vec<Step> {
    let back = if about.either[0] {
        OnWorkload::PutBackObserved
    } else {
        OnWorkload::ForgeObserved
    };
    vec![
        about.source(OnSource::Update, about.times[1]),
        rest(),
        about.workload(back, about.times[1]),
        about.other(OnSource::Update, about.times[0]),
        rest(),
    ]
}

/// What is recorded goes before a change is restarted for.
fn text_goes(about: &About) -> Vec<Step> {
    let suspend = |suspends| about.workload(OnWorkload::Suspend(suspends), about.times[0]);
    let mut steps = vec![
        about.source(OnSource::Update, about.times[0]),
        about.workload(OnWorkload::DropObserved, about.times[0]),
    ];
    if about.either[0] {
        steps.insert(0, suspend(true));
        steps.push(suspend(false));
    }
    let begin = if about.either[1] {
        about.anew()
    } else {
        about.whole()
    };
    [vec![begin, rest()], steps, vec![rest()]].concat()
}

/// What changed while a workload had not opted in for it is no reason.
fn narrow_and_wide(about: &About) -> Vec<Step> {
    let narrow = if about.either[0] {
        OnWorkload::OptInFor(about.edition)
    } else {
        OnWorkload::OptIn(false)
    };
    let mut steps = vec![
        about.whole(),
        rest(),
        about.workload(narrow, about.times[1]),
        about.source(OnSource::Update, about.times[1]),
        about.workload(OnWorkload::OptIn(true), about.times[1]),
    ];
    if about.either[1] {
        steps.push(about.workload(OnWorkload::PutBackObserved, about.times[0]));
    }
    steps.push(rest());
    steps
}

/// The webhook does not see what a template gains.
fn unseen_deploy(about: &About) -> Vec<Step> {
    let away = Fault::Hook(Hook::Away, about.times[1]);
    let mut steps = vec![
        rest(),
        fault(away),
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
fn unseen_undo(about: &About) -> Vec<Step> {
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
        fault(Fault::Hook(Hook::Away, short)),
        about.workload(back, short),
        about.workload(OnWorkload::Edit(about.edition), long),
        rest(),
    ]
}

/// A workload that was restarted is made again over its pods.
fn orphans(about: &About) -> Vec<Step> {
    let [export, changes] = about.either;
    let remake = Remake {
        export,
        edition: about.edition,
        gap: about.times[0],
        changes: changes.then_some(about.sources[1]),
    };
    vec![
        about.workload(OnWorkload::Edit(about.edition), about.times[0]),
        about.source(OnSource::Update, about.times[1]),
        rest(),
        about.workload(OnWorkload::OrphanAndRemake(remake), about.times[1]),
        rest(),
    ]
}

/// Data comes back that pods ran with before.
fn there_and_back(about: &About) -> Vec<Step> {
    vec![
        about.whole(),
        about.source(OnSource::Update, about.times[1]),
        rest(),
        about.source(OnSource::UpdateAndBack(about.times[1] * 4), about.times[0]),
        rest(),
    ]
}

/// There is no room for what the webhook writes.
fn no_room(about: &About) -> Vec<Step> {
    vec![
        about.workload(OnWorkload::Fill(true), about.times[0]),
        about.workload(OnWorkload::Edit(about.edition), about.times[1]),
        about.workload(OnWorkload::Fill(false), about.times[0]),
        rest(),
    ]
}

/// A write of reroll meets what a person wrote meanwhile, or is refused once.
fn late_write(about: &About) -> Vec<Step> {
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
fn stale_review(about: &About) -> Vec<Step> {
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
