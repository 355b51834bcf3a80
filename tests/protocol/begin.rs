//! Where everything begins.

use crate::{
    api::manifest,
    model::Protocol,
    user::OptIn,
    view::View,
    world::{Data, Live, Replica, State, Template},
};

impl Protocol {
    /// Returns where everything begins: the workload was created through the webhook, and has its pods.
    pub(crate) fn begin(&self) -> State {
        let live = Live {
            data: Some(Data { uid: 1, value: 0 }),
            revision: 1,
            written: 0,
            last_uid: 1,
        };
        let replica = Replica {
            view: View::listed([live; 2], None),
            queues: Default::default(),
            flight: None,
        };
        let mut state = State {
            sources: [live; 2],
            workload: None,
            sets: Vec::new(),
            replicas: vec![replica; self.replicas],
            leader: 0,
            ghost: None,
            webhook: self.webhook,
            seen_at_once: self.seen_at_once,
            time: 0,
            done: vec![false; self.operations.len()],
            faults: 0,
            changed: [false; 2],
            mark_moved: false,
            needless: false,
            stuck: false,
            adopting: [false; 2],
        };
        let manifest = manifest(Template::Both, OptIn::Auto.text());
        state.write_workload(&manifest, Some(0));
        while let Some(next) = Self::settled(&state) {
            state = next;
        }
        // What went before does not matter to the replicas.
        for at in 0..state.replicas.len() {
            let view = View::listed(state.sources, state.workload);
            state.replicas[at].view = view;
        }
        state
    }

    /// Returns what comes next by itself; `None` where nothing does.
    fn settled(state: &State) -> Option<State> {
        let mut actions = Vec::new();
        Self::internal(state, &mut actions);
        let next = actions.into_iter().map(|action| Self::apply(state, action));
        next.into_iter().find(|next| next != state)
    }
}
