//! Brakes, and values that pods cannot live with: which ones they are, and how pods fail, follows from the value.
//!
//! Such values are there only where brakes are on. Without brakes all that matters is whether pods become ready or hang.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reroll_simulation::nodes::{Behaviour, Outcome, Started};
use serde_json::Value;

/// Of so many schedules there is one with brakes.
const BRAKED: u64 = 3;
/// Of so many values one is bad.
const BAD: u64 = 4;
/// Of so many workloads one can live with a bad value.
const SPARED: u64 = 4;

/// What brakes nothing.
const UNBRAKED: [[&str; 2]; 2] = [["--slow-start", "off"], ["--max-distance", "0s"]];
/// Brakes that open soon. After a failure the next one waits for ten minutes all the same.
const BRAKES: [[&str; 2]; 4] = [
    ["--max-distance", "20s"],
    ["--soak", "2s"],
    ["--bake", "5s"],
    ["--rollout-deadline", "60s"],
];

/// Returns the flags of reroll with brakes, or without.
pub(crate) fn brakes(braked: bool) -> &'static [[&'static str; 2]] {
    if braked { &BRAKES } else { &UNBRAKED }
}

/// Whether a schedule has brakes, and values that are bad. Tests of single operations have the seed 1, and no brakes.
pub(crate) fn is_braked(seed: u64) -> bool {
    seed.is_multiple_of(BRAKED)
}

/// Of so many schedules there is one with waves and windows.
const GATED: u64 = 4;

/// Whether people ask for an order, and for times of day. Tests of single operations have the seed 1, and do not.
pub(crate) fn is_gated(seed: u64) -> bool {
    seed % GATED == 3
}

/// Of so many schedules there is one whose API servers go on as they are when etcd is restored beneath them.
const OUTLIVING: u64 = 7;

/// Whether API servers are not restarted with their etcd, but when faults end.
pub(crate) fn is_outlived(seed: u64) -> bool {
    seed % OUTLIVING == 4
}

/// Of so many schedules there is one where somebody rotates the digest key.
const ROTATING: u64 = 11;

/// Whether the digest key is rotated at some time. etcd is not restored there, for that could bring back the key before;
/// and no other installation comes, for the oracle tells installations by their keys.
pub(crate) fn is_rotating(seed: u64) -> bool {
    seed % ROTATING == 9
}

/// Of so many schedules there is one with two releases.
const UPGRADED: u64 = 13;

/// Whether all replicas but the first are of a later release, with another format of `observed`, until faults end the first
/// time. From then on all are.
pub(crate) fn is_upgraded(seed: u64) -> bool {
    seed % UPGRADED == 7
}

/// What becomes of pods that start from now on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    /// None becomes ready.
    pub(crate) hangs: bool,
    /// Values with higher numbers may be bad; `None`: none is.
    pub(crate) mended: Option<u64>,
}

impl Fate {
    /// Returns the same as nodes know it.
    pub(crate) fn behaviour(self) -> Behaviour {
        Arc::new(move |pod, started| {
            if self.hangs {
                return Outcome::NeverReady;
            }
            let app = pod["metadata"]["labels"]["app"].as_str();
            let numbers = numbers(started).filter(|number| self.is_bad(*number, app.unwrap_or("")));
            // The first that fails hides the others.
            numbers.map(outcome).next().unwrap_or(Outcome::Ready)
        })
    }

    /// Whether pods of this workload cannot live with the value of this number.
    pub(crate) fn is_bad(self, number: u64, app: &str) -> bool {
        let letters = app.bytes().map(u64::from).sum::<u64>();
        let lives = (number / BAD + letters).is_multiple_of(SPARED);
        self.mended.is_some_and(|mended| number > mended) && number.is_multiple_of(BAD) && !lives
    }
}

/// How pods fail by the value of this number.
fn outcome(number: u64) -> Outcome {
    match number / BAD % 5 {
        0 => Outcome::NoConfig,
        1 => Outcome::NeverReady,
        2 => Outcome::CrashesAfter(Duration::from_millis(20)),
        3 => Outcome::CrashesAfter(Duration::from_secs(4)),
        _ => Outcome::CrashesAfter(Duration::from_secs(12)),
    }
}

/// Returns the numbers of the values that a pod started with.
fn numbers(started: &Started) -> impl Iterator<Item = u64> {
    let versions = started.versions.values().flatten();
    versions.flat_map(|version| {
        let data = version.data();
        let values = data.into_values().filter_map(number);
        values.collect::<Vec<_>>()
    })
}

/// Returns the number of a value: of a Secret in base64.
pub(crate) fn number(value: &str) -> Option<u64> {
    let plain = BASE64_STANDARD.decode(value).ok();
    let plain = plain.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = plain.as_deref().unwrap_or(value);
    text.rsplit(' ').next()?.parse().ok()
}

/// Returns the highest number of the values of a source.
pub(crate) fn highest(source: &Value) -> Option<u64> {
    let data = source["data"].as_object().into_iter().flatten();
    data.filter_map(|(_, value)| number(value.as_str()?)).max()
}
