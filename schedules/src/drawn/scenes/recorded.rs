//! Scenes about what is recorded of a workload, and what takes its place.

use super::{About, rest};
use crate::operation::{OnSource, OnWorkload, Remake, Step};

/// A text that was recorded once takes the place of what is recorded.
pub(super) fn old_text(about: &About) -> Vec<Step> {
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
pub(super) fn text_goes(about: &About) -> Vec<Step> {
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
pub(super) fn narrow_and_wide(about: &About) -> Vec<Step> {
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

/// There is no room for what the webhook writes.
pub(super) fn no_room(about: &About) -> Vec<Step> {
    vec![
        about.workload(OnWorkload::Fill(true), about.times[0]),
        about.workload(OnWorkload::Edit(about.edition), about.times[1]),
        about.workload(OnWorkload::Fill(false), about.times[0]),
        rest(),
    ]
}

/// A workload that was restarted is made again over its pods.
pub(super) fn orphans(about: &About) -> Vec<Step> {
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
