//! What stood before a word of a person's, what goes on all the same, and what still holds after it was taken back.

use super::{Target, Work};
use crate::{
    cli::{ending::Ending, error::Error, sight::read},
    model::{
        Policy, WorkloadKey,
        annotation::SUSPEND,
        gate::suspend::{Place, Stop},
        index::gates,
        text::{first_of, or_quotes},
    },
};

/// The most of what holds still that is named.
const NAMED: usize = 5;

impl Work {
    /// Holds a target. Says what it said before, and what goes on all the same. `said`: the text, as people are shown it.
    pub(super) async fn suspend(
        &mut self,
        target: &Target,
        text: &str,
        said: &str,
    ) -> Result<String, Error> {
        let keys = self.read(target).await?;
        let before = self
            .before(target)
            .filter(|before| or_quotes(before) != said);
        self.annotate(target, SUSPEND, Some(text)).await?;
        let before = before.map_or_else(String::new, |before| {
            format!(" (before: {})", or_quotes(&before))
        });
        let goes_on = self.goes_on(target, &keys);
        Ok(format!("suspended: {said}{before}{goes_on}"))
    }

    /// Lets a target go. Says what holds it still, or something in it.
    pub(super) async fn resume(&mut self, target: &Target) -> Result<String, Error> {
        match target {
            Target::Workload(_) | Target::Namespace(_) => drop(self.read(target).await?),
            Target::Lease(..) => {
                read::all_workloads(&mut self.sight, &self.session, None).await?;
            }
        }
        let resumed = match self.before(target) {
            Some(_) => "resumed",
            None => "was not suspended",
        };
        self.annotate(target, SUSPEND, None).await?;
        let holds = self.still_holds(target);
        if holds.is_empty() {
            return Ok(resumed.to_owned());
        }
        self.is_not_through();
        let named = first_of(&holds, NAMED);
        Ok(format!("{resumed}, and still held: {named}"))
    }

    /// Takes note that something is still held of what was let go.
    pub(super) fn is_not_through(&mut self) {
        if self.ending == Ending::Fine {
            self.ending = Ending::NotYet;
        }
    }

    /// Returns what a target said until now, where that held something.
    fn before(&self, target: &Target) -> Option<String> {
        let index = &self.sight.index;
        let of = |stop: Stop, place| (stop.place == place).then_some(stop.said);
        match target {
            Target::Workload(key) => index.workload(key)?.policy.suspend.clone(),
            Target::Namespace(name) => of(gates::stop_in(index, name)?, Place::Namespace),
            Target::Lease(..) => self.sight.installation.stop(),
        }
    }

    /// Whether a CronJob or Job did not opt in only because it is suspended.
    pub(super) fn is_idle(&self, key: &WorkloadKey) -> bool {
        let index = &self.sight.index;
        let defaults = index.defaults_of(&key.namespace);
        let tracked = index.workload(key);
        tracked.is_some_and(|known| Policy::is_idle(&known.workload, defaults))
    }

    /// Returns what goes on rolling although it is held from now on, or that there is nothing to hold.
    fn goes_on(&self, target: &Target, keys: &[WorkloadKey]) -> String {
        let tracked = |key: &WorkloadKey| self.sight.index.workload(key);
        if let Target::Workload(key) = target
            && self.is_idle(key)
        {
            return ". It is suspended (spec.suspend): until it is resumed nothing restarts anyway"
                .to_owned();
        }
        if let Target::Workload(key) = target
            && tracked(key).is_some_and(|known| !known.policy.opted_in())
        {
            return ". It is not opted in: reroll restarts it for nothing anyway".to_owned();
        }
        let rolls = |key: &&WorkloadKey| {
            let opted = tracked(key).filter(|known| known.policy.opted_in());
            opted.is_some_and(|known| known.workload.progress.rolls())
        };
        let rolling: Vec<_> = keys.iter().filter(rolls).map(WorkloadKey::spoken).collect();
        match rolling.as_slice() {
            [] if matches!(target, Target::Lease(..)) => {
                ". Rollouts that were begun go on".to_owned()
            }
            [] => String::new(),
            some => format!(". Rollouts that were begun go on: {}", some.join(", ")),
        }
    }

    /// Returns who holds a target still, or something of it, that says so no more itself.
    fn still_holds(&mut self, target: &Target) -> Vec<String> {
        let index = &mut self.sight.index;
        match target {
            Target::Workload(key) => {
                let stop = gates::stop_of_others(index, key);
                let words = stop.map(|stop| stop.words(&key.namespace));
                return words.into_iter().collect();
            }
            Target::Namespace(name) => drop(gates::set_namespace_stop(index, name, None)),
            Target::Lease(..) => drop(gates::set_stop(index, None)),
        }
        self.held_within(target.namespace())
    }

    /// Returns what holds in a namespace, or anywhere: each place once, with its own words.
    fn held_within(&self, within: Option<&str>) -> Vec<String> {
        let index = &self.sight.index;
        let mut holds = Vec::new();
        for key in index.workloads(None, within) {
            let opted_in = index.workload(&key).is_some_and(|it| it.policy.opted_in());
            let Some(stop) = gates::stop(index, &key).filter(|_| opted_in) else {
                continue;
            };
            let words = match stop.place {
                Place::Workload | Place::Rollout => {
                    let said = &stop.said;
                    format!("{} in {} ({SUSPEND}: {said})", key.spoken(), key.namespace)
                }
                Place::Namespace | Place::Lease => stop.words(&key.namespace),
            };
            if !holds.contains(&words) {
                holds.push(words);
            }
        }
        holds
    }
}
