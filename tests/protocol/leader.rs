//! What replicas do by what they know, and what goes wrong with them.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use crate::{
    api::mark_of,
    intern::Json,
    plan::Plan,
    view::{Step, View},
    world::{Flight, SOURCES, Set, Source, State, Time},
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// A replica crashes, or is restarted, and what it has sent arrives or does not.
    Crash,
    /// The answer to what was sent is lost.
    NoAnswer,
    /// Another replica leads.
    Move,
    /// The webhook goes away, or is back.
    Webhook,
}

impl State {
    /// The leader does what is next by what it knows.
    pub(crate) fn decide(&mut self) {
        let leader = usize::from(self.leader);
        let view = self.replicas[leader].view;
        let step = match view.plan() {
            Plan::Nothing => return,
            Plan::Write(flight) => {
                self.replicas[leader].flight = Some(flight);
                return;
            }
            Plan::Read(names) => {
                let read = |one: Source| (one, self.sources[one as usize]);
                Step::Read(names.into_iter().map(read).collect())
            }
            Plan::AskStarted(names) => {
                let pods = self.sets.iter().filter(|set| set.pod.is_some());
                let uses = |one: &Set| names.iter().any(|name| one.uses.uses(*name));
                Step::Started(pods.into_iter().any(uses))
            }
            Plan::AskAges(names) => Step::Ages(self.ages(&names)),
            Plan::AskAdopted => Step::AdoptedNone,
        };
        self.replicas[leader].view = view.after(step);
    }

    /// When the oldest pods were made that use these, of those with the workload's mark.
    fn ages(&self, names: &[Source]) -> Vec<(Source, Time)> {
        let Some(object) = self.workload.map(Json::value) else {
            return Vec::new();
        };
        let mark = mark_of(&object["spec"]["template"]).to_owned();
        let marked = |set: &&Set| mark_of(&set.template.value()) == mark;
        let oldest = |name: &Source| {
            let sets = self.sets.iter().filter(marked);
            let pods = sets
                .filter(|set| set.uses.uses(*name))
                .filter_map(|set| set.pod);
            Some((*name, pods.map(|pod| pod.made).min()?))
        };
        names.iter().filter_map(oldest).collect()
    }

    /// A patch of reroll's arrives. Where a test of it fails, nothing is written.
    pub(crate) fn arrive(&mut self, flight: Option<Flight>) {
        let (Some(flight), Some(object)) = (flight, self.workload) else {
            return;
        };
        let patch: Patch = serde_json::from_value((*flight.patch.value()).clone()).unwrap();
        let mut object = (*object.value()).clone();
        if !applies(&patch, &mut object) {
            return;
        }
        if flight.restarts {
            self.restarts();
        }
        self.store(object);
        self.advanced();
    }

    pub(crate) fn fail(&mut self, fault: Fault, at: usize) {
        self.faults += 1;
        let listed = View::listed(self.sources, self.workload);
        match fault {
            Fault::Crash => {
                if at == usize::from(self.leader) {
                    for source in SOURCES {
                        self.adopts_late(source);
                    }
                }
                let replica = &mut self.replicas[at];
                self.ghost = replica.flight.take().or(self.ghost);
                replica.view = listed;
                replica.queues = Default::default();
            }
            Fault::NoAnswer => self.ghost = self.replicas[at].flight.take(),
            Fault::Move => self.leader = 1 - self.leader,
            Fault::Webhook => self.webhook = !self.webhook,
        }
    }
}

/// Applies a patch as the API server does: what is not there is null for a test.
fn applies(patch: &Patch, object: &mut Value) -> bool {
    patch.0.iter().all(|operation| match operation {
        PatchOperation::Test(test)
            if test.value.is_null() && object.pointer(test.path.as_str()).is_none() =>
        {
            true
        }
        _ => json_patch::patch(object, std::slice::from_ref(operation)).is_ok(),
    })
}
