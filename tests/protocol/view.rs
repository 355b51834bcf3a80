//! What a replica knows: the product's own index, told step by step, and what it wants to do next.
//!
//! An index cannot be cloned or compared. So a view is the list of steps by which its index can be built again, and two
//! views are the same where their indexes are the same in every field ([`crate::same`]). Each step from each view is
//! computed once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock, Mutex},
};

use reroll::model::Index;

use crate::{
    intern::{Json, Memo},
    learn::replay,
    plan::{Plan, missing, plan},
    same::canonical,
    world::{Live, News, Source, Time},
};

/// What a replica knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct View(u32);

/// How a replica learns something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// By a watch.
    Event(News),
    /// By the lists of a start.
    List([Live; 2], Option<Json>),
    /// By the answer to a write or a read of the workload.
    Answer(Option<Json>),
    /// By reads of sources.
    Read(Vec<(Source, Live)>),
    /// Whether a pod that needs what is absent has started.
    Started(bool),
    /// When the oldest pods were made that use these.
    Ages(Vec<(Source, Time)>),
    /// It was looked up which pods the workload adopted, and it adopted none.
    AdoptedNone,
}

struct Entry {
    history: Arc<Vec<Step>>,
    plan: Plan,
    /// What it waits for.
    missing: Vec<Source>,
}

#[derive(Default)]
struct Views {
    by_content: HashMap<String, View>,
    all: Vec<Entry>,
}

static VIEWS: LazyLock<Mutex<Views>> = LazyLock::new(Mutex::default);
type Listed = ([Live; 2], Option<Json>);

static LISTS: LazyLock<Memo<Listed, View>> = LazyLock::new(Memo::default);
static STEPS: LazyLock<Memo<(View, Step), View>> = LazyLock::new(Memo::default);

impl View {
    /// Returns what a replica knows that has just listed everything.
    pub(crate) fn listed(sources: [Live; 2], workload: Option<Json>) -> Self {
        LISTS.get((sources, workload), |(sources, workload)| {
            Self::of(vec![Step::List(*sources, *workload)])
        })
    }

    pub(crate) fn after(self, step: Step) -> Self {
        STEPS.get((self, step), |(view, step)| {
            let mut history = (*view.history()).clone();
            history.push(step.clone());
            Self::of(history)
        })
    }

    pub(crate) fn plan(self) -> Plan {
        VIEWS.lock().unwrap().all[self.0 as usize].plan.clone()
    }

    pub(crate) fn missing(self) -> Vec<Source> {
        VIEWS.lock().unwrap().all[self.0 as usize].missing.clone()
    }

    /// Builds its index again.
    pub(crate) fn index(self) -> Index {
        replay(&self.history()).0
    }

    fn history(self) -> Arc<Vec<Step>> {
        Arc::clone(&VIEWS.lock().unwrap().all[self.0 as usize].history)
    }

    fn of(history: Vec<Step>) -> Self {
        let (index, decision) = replay(&history);
        let content = canonical(&format!("{index:?}\n{decision:?}"));
        let entry = Entry {
            history: Arc::new(history),
            plan: plan(&index, decision.as_ref()),
            missing: missing(decision.as_ref()),
        };
        let mut views = VIEWS.lock().unwrap();
        if let Some(known) = views.by_content.get(&content).copied() {
            let before = &mut views.all[known.0 as usize];
            if before.history.len() > entry.history.len() {
                before.history = entry.history;
            }
            return known;
        }
        let new = Self(u32::try_from(views.all.len()).unwrap());
        views.all.push(entry);
        views.by_content.insert(content, new);
        new
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view {} that would do {:?}", self.0, self.plan())
    }
}
