//! The steps of a switch-over. docs/reloader.md has the same, which a test compares.

/// Where they stand with their reasons.
pub(super) const PAGE: &str =
    "https://github.com/reroll-dev/reroll/blob/main/docs/reloader.md#the-switch-over";

/// The steps.
pub(super) const STEPS: [&str; 5] = [
    "Install reroll beside Reloader, with the flags above and the annotations as they are. Nothing rolls for it.",
    "Wait until `kubectl reroll status -A` ends with 0. Until Reloader is gone, both restart for a change.",
    "Scale Reloader to 0. Change a Secret that nobody minds, and look: `kubectl reroll explain deploy/NAME`.",
    "Remove Reloader, and resume what it left paused: `kubectl rollout resume deployment/NAME`.",
    "When you like, put reroll's annotations in the place of Reloader's. Nothing rolls for it; on pod templates leave them until the next deploy.",
];
