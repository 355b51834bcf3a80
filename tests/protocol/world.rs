//! What there is: sources, the workload and its pods, replicas of reroll with what they have seen. Small and hashable.

use std::collections::VecDeque;

use crate::{intern::Json, view::View};

/// Unix seconds at which the first operation happens; each is [`STEP`] later.
const BEGIN: i64 = 1_800_000_000;
/// Far more than any window in seconds that reroll knows at admission.
const STEP: i64 = 200;

/// How many operations of users there were: the time.
pub(crate) type Time = u8;

pub(crate) fn seconds(time: Time) -> i64 {
    BEGIN + STEP * i64::from(time)
}

/// A source. They are of two kinds, so that each has a watch of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Secret `a`
    A,
    /// ConfigMap `b`
    B,
}

pub(crate) const SOURCES: [Source; 2] = [Source::A, Source::B];

/// One object's data: which object, and which of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Data {
    pub(crate) uid: u8,
    pub(crate) value: u8,
}

/// A source as it is, or as an event shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Live {
    /// `None`: it does not exist.
    pub(crate) data: Option<Data>,
    /// Of its last write, or of its deletion. Each object counts for itself: only those of one object are ever compared.
    pub(crate) revision: u8,
    pub(crate) written: Time,
    /// The uid that the last object had.
    pub(crate) last_uid: u8,
}

/// A template of the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Template {
    /// It uses A.
    One,
    /// It uses A and B.
    Both,
}

impl Template {
    pub(crate) fn uses(self, source: Source) -> bool {
        self == Self::Both || source == Source::A
    }
}

/// A pod that has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pod {
    pub(crate) made: Time,
    /// What it started with of each source; `None` where it does not use it.
    pub(crate) has: [Option<Data>; 2],
    /// It was behind of this source when a user opted in: to opt in is to adopt.
    pub(crate) excused: [bool; 2],
}

/// A `ReplicaSet`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Set {
    pub(crate) uses: Template,
    /// The whole template, with its mark.
    pub(crate) template: Json,
    /// The annotations that it copied of the workload; `None` while it is the one of the workload's template, whose
    /// annotations it has.
    pub(crate) copied: Option<Json>,
    /// It is scaled up.
    pub(crate) wanted: bool,
    pub(crate) pod: Option<Pod>,
}

/// What a watch is to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum News {
    Source(Source, Live),
    Workload(Json),
}

/// A patch that a replica has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    pub(crate) patch: Json,
    /// It changes the mark.
    pub(crate) restarts: bool,
}

/// A replica of reroll.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Replica {
    pub(crate) view: View,
    /// What is under way to it: of source A, of source B, and of workloads. Each is in order; between them there is none.
    pub(crate) queues: [VecDeque<News>; 3],
    pub(crate) flight: Option<Flight>,
}

/// Everything.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) sources: [Live; 2],
    pub(crate) workload: Option<Json>,
    /// Oldest revision first. The one of the workload's template is the last, once its controller has seen that.
    pub(crate) sets: Vec<Set>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) leader: u8,
    /// Sent by a replica that will not see the answer.
    pub(crate) ghost: Option<Flight>,
    pub(crate) webhook: bool,
    /// The controller of the workload sees a write at once, and its status is in the same event.
    pub(crate) seen_at_once: bool,
    /// Operations so far.
    pub(crate) time: Time,
    /// Which operations of the model were done.
    pub(crate) done: Vec<bool>,
    /// Faults so far.
    pub(crate) faults: u8,
    /// The source changed since `observed` was last advanced to what it is.
    pub(crate) changed: [bool; 2],
    /// A user changed the mark or `observed` while the webhook was away.
    pub(crate) mark_moved: bool,
    /// reroll restarted for none of these.
    pub(crate) needless: bool,
    /// reroll sends without end what is refused.
    pub(crate) stuck: bool,
    /// The opt-in selects a source newly, the webhook did not see that, and `observed` does not have it yet.
    pub(crate) adopting: [bool; 2],
}

impl Live {
    pub(crate) fn exists(self) -> bool {
        self.data.is_some()
    }
}

impl State {
    pub(crate) fn live(&self, source: Source) -> Option<Data> {
        self.sources[source as usize].data
    }

    pub(crate) fn tell(&mut self, news: News) {
        let queue = match news {
            News::Source(source, _) => source as usize,
            News::Workload(_) => 2,
        };
        for replica in &mut self.replicas {
            replica.queues[queue].push_back(news);
        }
    }

    pub(crate) fn is_delivered(&self) -> bool {
        let mut queues = self.replicas.iter().flat_map(|replica| &replica.queues);
        queues.all(VecDeque::is_empty)
    }
}
