//! The state machine: what can happen in a state, and what comes of it.

use stateright::{Model, Property};

use crate::{
    leader::Fault,
    plan::Plan,
    user::Operation,
    view::Step,
    world::{News, State},
};

/// A part of what can happen, that is explored completely.
/// Users never do more than that, and whatever can happen beside it happens at any time.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) replicas: usize,
    /// What users may do, each once.
    pub(crate) operations: Vec<Operation>,
    /// How many of them in all.
    pub(crate) most: u8,
    /// What may go wrong.
    pub(crate) faults: Vec<Fault>,
    /// How many of them in all.
    pub(crate) most_faults: u8,
    /// Whether the webhook is there at the beginning.
    pub(crate) webhook: bool,
    /// See [`State::seen_at_once`].
    pub(crate) seen_at_once: bool,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            replicas: 1,
            operations: Vec::new(),
            most: 0,
            faults: Vec::new(),
            most_faults: 0,
            webhook: true,
            seen_at_once: true,
        }
    }
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// A user does what is listed there; `Some`: the replica whose webhook is asked.
    Operate(usize, Operation, Option<usize>),
    /// The next of what is under way on a watch of this replica.
    Deliver(usize, usize),
    /// The leader does what is next.
    Decide,
    /// A patch arrives, and is answered.
    Arrive(usize),
    /// A patch arrives of which the answer is lost.
    ArriveUnanswered,
    /// It is lost instead.
    Lose,
    /// The controller of the workload sees it.
    See,
    /// A pod of this set starts.
    Start(usize),
    /// This set is scaled down.
    Retire(usize),
    /// Something goes wrong, at this replica.
    Fail(Fault, usize),
}

impl Protocol {
    /// What happens by itself.
    pub(crate) fn internal(state: &State, actions: &mut Vec<Action>) {
        for (at, replica) in state.replicas.iter().enumerate() {
            for (queue, news) in replica.queues.iter().enumerate() {
                if !news.is_empty() {
                    actions.push(Action::Deliver(at, queue));
                }
            }
            if replica.flight.is_some() {
                actions.push(Action::Arrive(at));
            }
        }
        if state.ghost.is_some() {
            actions.extend([Action::ArriveUnanswered, Action::Lose]);
        }
        let leader = &state.replicas[usize::from(state.leader)];
        if leader.flight.is_none() && !state.is_idle() {
            actions.push(Action::Decide);
        }
        if state.is_unseen() {
            actions.push(Action::See);
        }
        for at in 0..state.sets.len() {
            if state.can_start(at) {
                actions.push(Action::Start(at));
            }
            if state.can_retire(at) {
                actions.push(Action::Retire(at));
            }
        }
    }

    /// What users do, and what goes wrong.
    fn by_budget(&self, state: &State, actions: &mut Vec<Action>) {
        let askable = if state.webhook {
            state.replicas.len()
        } else {
            0
        };
        let asked = (0..askable).map(Some).chain((askable == 0).then_some(None));
        if state.time < self.most {
            for (at, operation) in self.operations.iter().enumerate() {
                if state.done[at] || !state.can(*operation) {
                    continue;
                }
                if operation.is_of_source() {
                    actions.push(Action::Operate(at, *operation, None));
                } else {
                    actions.extend(asked.clone().map(|by| Action::Operate(at, *operation, by)));
                }
            }
        }
        if state.faults < self.most_faults {
            for fault in &self.faults {
                let one = |at: usize| Action::Fail(*fault, at);
                match fault {
                    Fault::Crash => actions.extend((0..state.replicas.len()).map(one)),
                    Fault::NoAnswer => {
                        let flies = |at: &usize| state.replicas[*at].flight.is_some();
                        actions.extend((0..state.replicas.len()).filter(flies).map(one));
                    }
                    Fault::Move | Fault::Webhook => actions.push(one(0)),
                }
            }
        }
    }

    pub(crate) fn apply(state: &State, action: Action) -> State {
        let mut next = state.clone();
        match action {
            Action::Operate(at, operation, asked) => {
                next.done[at] = true;
                next.operate(operation, asked);
            }
            Action::Deliver(at, queue) => {
                let replica = &mut next.replicas[at];
                if let Some(news) = replica.queues[queue].pop_front() {
                    replica.view = replica.view.after(Step::Event(news));
                    if let (News::Source(source, _), false) = (news, replica.queues[2].is_empty()) {
                        next.adopts_late(source);
                    }
                }
            }
            Action::Decide => next.decide(),
            Action::Arrive(at) => {
                let flight = next.replicas[at].flight.take();
                next.arrive(flight);
                let answer = Step::Answer(next.workload);
                let replica = &mut next.replicas[at];
                let before = replica.view;
                replica.view = replica.view.after(answer);
                // It would send the same again, and again.
                next.stuck |= next.workload == state.workload
                    && next.is_delivered()
                    && before == next.replicas[at].view
                    && flight.is_some_and(|flight| before.plan() == Plan::Write(flight));
            }
            Action::ArriveUnanswered => {
                let flight = next.ghost.take();
                next.arrive(flight);
            }
            Action::Lose => next.ghost = None,
            Action::See => next.see(),
            Action::Start(at) => next.start(at),
            Action::Retire(at) => next.retire(at),
            Action::Fail(fault, at) => next.fail(fault, at),
        }
        next
    }

    /// Whether nothing happens any more by itself.
    fn is_quiet(state: &State) -> bool {
        state.is_quiet(|| !state.is_idle() && Self::apply(state, Action::Decide) != *state)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.begin()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        Self::internal(state, actions);
        self.by_budget(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(Self::apply(state, action)).filter(|next| next != state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no restart without a change", |_, state: &State| {
                !state.needless
            }),
            Property::always("reroll comes to an end", |_, state: &State| {
                state.ends() && !state.stuck
            }),
            Property::always(
                "pods are up to date when all is quiet",
                |_, state: &State| !Self::is_quiet(state) || state.pods_are_up_to_date(),
            ),
            Property::always("observed is true when all is quiet", |_, state: &State| {
                !Self::is_quiet(state) || state.observed_is_true()
            }),
            Property::sometimes("all is quiet at the end", |model: &Self, state: &State| {
                state.time == model.most && Self::is_quiet(state)
            }),
        ]
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.ends()
    }
}
