//! Scenes about what happens to sources.

use super::{About, rest};
use crate::operation::{OnSource, OnWorkload, Recreation, Step};

/// First with an owner, then without, or the other way round, and with the same data: is that a change?
pub(super) fn made_again_by_a_machine(about: &About) -> Vec<Step> {
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
pub(super) fn away_and_another_changes(about: &About) -> Vec<Step> {
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
pub(super) fn immutable(about: &About) -> Vec<Step> {
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

/// Data comes back that pods ran with before.
pub(super) fn there_and_back(about: &About) -> Vec<Step> {
    vec![
        about.whole(),
        about.source(OnSource::Update, about.times[1]),
        rest(),
        about.source(OnSource::UpdateAndBack(about.times[1] * 4), about.times[0]),
        rest(),
    ]
}

/// What was ignored counts again, and has other data by the same write.
pub(super) fn counts_again(about: &About) -> Vec<Step> {
    let ignore = |ignored, changes, wait| about.source(OnSource::Ignore { ignored, changes }, wait);
    let mut steps = vec![
        about.whole(),
        rest(),
        ignore(true, about.either[0], about.times[1]),
        about.other(OnSource::Update, about.times[0]),
        rest(),
    ];
    if about.either[1] {
        // Then no time tells what the first pods have.
        steps.push(about.workload(OnWorkload::RolloutRestart, about.times[0] / 2));
    }
    steps.extend([ignore(false, true, about.times[1]), rest()]);
    steps
}

/// Something goes, and comes back, that is recorded together with others where there are many, and pods start without it.
pub(super) fn deleted_in_a_fold(about: &About) -> Vec<Step> {
    let about = about.of("bulk", [1, 0]);
    let asks = |asks| about.workload(OnWorkload::OnDelete(asks), about.times[1]);
    vec![
        about.whole(),
        asks(true),
        rest(),
        about.source(OnSource::Delete, about.times[1]),
        rest(),
        about.source(OnSource::Create, about.times[1]),
        rest(),
        asks(false),
    ]
}
