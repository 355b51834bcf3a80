//! What is filed of a workload besides what the brakes know.

use crate::{
    judge::{held::HeldWorkloads, intents::Intents},
    model::WorkloadKey,
};

/// A restart that failed so often in a row is not waited for: nothing tells when it can be made.
const TRIES: u32 = 5;

/// What is filed of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filed {
    /// Nothing.
    Nothing,
    /// An intent.
    Intent,
    /// That something holds it which neither time nor others end.
    Held,
}

/// What is filed of workloads besides what the brakes know.
#[derive(Clone, Copy, Debug)]
pub struct Elsewhere<'a> {
    intents: &'a Intents,
    held: &'a HeldWorkloads,
}

impl<'a> Elsewhere<'a> {
    /// Returns it by these.
    pub fn of(intents: &'a Intents, held: &'a HeldWorkloads) -> Self {
        Self { intents, held }
    }

    /// Returns what is filed of a workload.
    pub(super) fn filed(&self, key: &WorkloadKey) -> Filed {
        let is_held = self.held.of(key).is_some_and(|held| !held.is_braked());
        match self.intents.attempts(key) {
            _ if is_held => Filed::Held,
            Some(attempts) if attempts >= TRIES => Filed::Held,
            Some(_) => Filed::Intent,
            None => Filed::Nothing,
        }
    }
}
