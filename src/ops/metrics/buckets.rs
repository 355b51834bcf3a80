//! The buckets of histograms, in seconds.

/// An admission review is answered from memory, or within the budget for reads.
pub(super) const ADMISSION_BUCKETS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
];
/// A restart comes at least the settle time after its change, and pacing may add to that.
pub(super) const REACTION_BUCKETS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Rollouts take from seconds to hours, and pods that reroll does not restart live for days.
pub(super) const CONVERGENCE_BUCKETS: [f64; 13] = [
    5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 43_200.0,
    86_400.0,
];
