//! What is to be done: intents to restart, writes of `observed`, and the workloads that no intent can help.
//!
//! It is one state with one owner ([`super::Judge`]), so that what belongs together is filed together. Pure: time is an
//! argument.

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    absences::Absences,
    brakes::{self, Answer, Brakes, Elsewhere, News},
    bucket::{Bounds, Bucket, Pacing},
    convergence::Convergence,
    held::HeldWorkloads,
    intents::Intents,
    stopped::Stopped,
    tidying::Tidying,
};
use crate::model::{
    Index, WorkloadKey,
    decide::Restart,
    held::{Held, UnderWay},
    held_back::HeldBack,
};

/// How many Events about opt-ins there are: so many at once, then one in five seconds.
const OPT_INS: Pacing = Pacing {
    rate: Some(0.2),
    burst: 20,
};

/// All that the judge has filed.
#[derive(Debug)]
pub struct Docket {
    /// The workloads that may need a restart.
    pub intents: Intents,
    /// The workloads that no intent can help, and those whose annotations cannot be read.
    pub held: HeldWorkloads,
    /// The workloads that need what is absent.
    pub absences: Absences,
    /// The workloads that people hold although a restart is due.
    pub stopped: Stopped,
    /// The workloads whose `observed` is to be written without a restart.
    pub tidying: Tidying,
    /// The restarts that were made, and those that wait for what becomes of them.
    pub brakes: Brakes,
    /// The versions that their users are about to have.
    pub convergence: Convergence,
    /// How many Events about opt-ins there may be.
    pub opt_ins: Bucket,
}

/// The counts of what waits, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The number of intents that have not ended.
    pub intents: usize,
    /// Since when the oldest intent waits.
    pub oldest: Option<Instant>,
    /// The workloads that are held back. Each reason is named.
    pub held_back: HeldBack,
}

impl Docket {
    /// Makes an empty docket. `adopt_rate` is the most writes of `observed` per second, over all kinds.
    pub fn new(
        bounds: Bounds,
        adopt_rate: Option<f64>,
        brakes: brakes::Settings,
        now: Instant,
    ) -> Self {
        Self {
            intents: Intents::new(bounds, now),
            held: HeldWorkloads::default(),
            absences: Absences::new(now),
            stopped: Stopped::default(),
            tidying: Tidying::new(adopt_rate, now),
            brakes: Brakes::new(brakes),
            convergence: Convergence::default(),
            opt_ins: Bucket::full(OPT_INS, now),
        }
    }

    /// Whether a restart that is due may be made now. If not it waits until [`Self::release`] lets it go.
    pub fn ask(
        &mut self,
        index: &Index,
        key: &WorkloadKey,
        restart: &Restart,
        now: Timestamp,
    ) -> Answer {
        let elsewhere = Elsewhere::of(&self.intents, &self.held);
        self.brakes.ask(index, key, restart, elsewhere, now)
    }

    /// Lets those go that may. Returns them, and what there is to tell.
    pub fn release(
        &mut self,
        index: &Index,
        now: Timestamp,
    ) -> (Vec<WorkloadKey>, Vec<(WorkloadKey, News)>) {
        let elsewhere = Elsewhere::of(&self.intents, &self.held);
        self.brakes.release(index, elsewhere, now)
    }

    /// Forgets a workload that is gone. Returns whether another one may now be written sooner.
    pub fn forget(&mut self, workload: &WorkloadKey) -> bool {
        self.intents.forget(workload);
        self.held.forget(workload);
        self.absences.forget(workload);
        self.stopped.let_go(workload);
        self.brakes.forget(workload);
        self.convergence.changed_in(&workload.namespace);
        self.tidying.forget(workload)
    }

    /// Returns the counts of what waits.
    pub fn pending(&self) -> Pending {
        // Who waits for a brake is shown on the workload only after a while, and counts at once.
        let brakes = self.brakes.each();
        let others = self.held.each();
        // What is absent counts whether or not a restart waits for it.
        let others = others.filter(|(_, held)| !held.is_braked() && *held != Held::Missing);
        let absences = self.absences.each().map(|key| (key, Held::Missing));
        let named = Held::ALL.map(Held::as_str).into_iter();
        let mut held_back = HeldBack::none(named.chain(UnderWay::ALL.map(UnderWay::as_str)));
        for (key, held) in brakes.chain(others).chain(absences) {
            held_back.add(held.as_str(), &key.namespace);
        }
        for key in self.intents.rolling() {
            held_back.add(UnderWay::Rolling.as_str(), &key.namespace);
        }
        Pending {
            intents: self.intents.len(),
            oldest: self.intents.oldest(),
            held_back,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        judge::bucket::Pacing,
        model::{held::Held, workload::KINDS},
    };

    #[test]
    fn what_is_held_is_counted_and_news_only_once() {
        let pacing = Pacing {
            rate: None,
            burst: 1,
        };
        let now = Instant::now();
        let mut docket = Docket::new(Bounds::paced(pacing), None, brakes::Settings::off(), now);
        let workload = WorkloadKey {
            kind: &KINDS[0],
            namespace: "n".to_owned(),
            name: "a".to_owned(),
        };
        assert!(docket.held.hold(&workload, Some(Held::Owned)));
        assert!(!docket.held.hold(&workload, Some(Held::Owned)));
        assert!(docket.pending().held_back.of("owned") == 1);
        docket.forget(&workload);
        assert!(!docket.held.hold(&workload, None));
        assert!(docket.pending().held_back.of("owned") == 0);
    }
}
