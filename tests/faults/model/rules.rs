//! What follows, by the contract, for one workload and one source. It is written from the contract's words and not from
//! the product.
//!
//! Nothing here knows an API server: a source's life stands for its uid, a number for the data of a key.

use std::collections::BTreeMap;

/// The data of a source by key.
pub type Data = BTreeMap<&'static str, u32>;

/// What of a source a workload uses: one key, or the whole (`None`).
pub type Part = Option<&'static str>;

/// A source that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// Which of the objects that had this name, one after another.
    pub life: u32,
    pub data: Data,
}

/// How a workload uses one source, all its references taken together.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Pods do not start without it.
    pub required: bool,
    /// By part, whether pods do not start without it.
    pub parts: BTreeMap<Part, bool>,
}

/// What a workload asks for beside the opt-in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// A recreation with the same data is no change: `on-recreate: content`, or by default where a machine made the
    /// source and pods do not start without it.
    pub content: bool,
    /// `on-delete: restart`
    pub on_delete: bool,
}

/// What pods were last started with.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    Seen {
        life: u32,
        marks: BTreeMap<Part, Mark>,
    },
    /// It was absent, and pods wait for it.
    Waiting,
    /// It was absent, and pods may run without it.
    Unknown,
    /// Its deletion was restarted for.
    Deleted,
}

/// What pods were last started with, of one part.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    Data(Data),
    Waiting,
    Unknown,
}

/// What follows for one source.
pub struct Verdict {
    /// It asks for a restart.
    pub cause: bool,
    /// Nothing restarts as long as this lasts: new pods could not start.
    pub holds: bool,
    /// The entry if nothing restarts.
    pub kept: Entry,
    /// The entry after a restart.
    pub rolled: Entry,
}

impl Live {
    fn part(&self, part: Part) -> Option<Data> {
        match part {
            None => Some(self.data.clone()),
            Some(key) => Some(Data::from([(key, *self.data.get(key)?)])),
        }
    }
}

impl Usage {
    /// Whether pods cannot start with the source like this.
    pub fn lacks(&self, live: Option<&Live>) -> bool {
        let Some(live) = live else {
            return self.required;
        };
        let mut parts = self.parts.iter();
        parts.any(|(part, required)| *required && live.part(*part).is_none())
    }

    /// Whether a change of this key is any of the workload's business.
    pub fn uses(&self, key: &'static str) -> bool {
        self.parts.contains_key(&None) || self.parts.contains_key(&Some(key))
    }

    /// The entry for pods that start now, or, where pods `run` already, at adoption.
    pub fn started_with(&self, live: Option<&Live>, run: bool) -> Entry {
        let Some(live) = live else {
            let waits = self.required && !run;
            return if waits {
                Entry::Waiting
            } else {
                Entry::Unknown
            };
        };
        let mark = |(part, required): (&Part, &bool)| {
            let absent = if *required && !run {
                Mark::Waiting
            } else {
                Mark::Unknown
            };
            (*part, live.part(*part).map_or(absent, Mark::Data))
        };
        Entry::Seen {
            life: live.life,
            marks: self.parts.iter().map(mark).collect(),
        }
    }
}

/// The table.
pub fn judge(policy: Policy, usage: &Usage, entry: &Entry, live: Option<&Live>) -> Verdict {
    let lacks = usage.lacks(live);
    let now = usage.started_with(live, false);
    let verdict = |cause, kept: &Entry, rolled: Entry| Verdict {
        cause,
        holds: lacks,
        kept: kept.clone(),
        rolled,
    };
    match (entry, live) {
        (Entry::Waiting, _) => verdict(false, &now, now.clone()),
        (Entry::Deleted | Entry::Unknown, None) => verdict(false, entry, entry.clone()),
        (Entry::Unknown | Entry::Deleted, Some(_)) => verdict(true, entry, now),
        // What pods do not start without is waited for.
        (Entry::Seen { .. }, None) if policy.on_delete && !usage.required => {
            verdict(true, entry, Entry::Deleted)
        }
        // Pods that restart for something else start without it.
        (Entry::Seen { .. }, None) => verdict(false, entry, now),
        (Entry::Seen { life, marks }, Some(live)) => {
            let recreated = *life != live.life;
            let (changed, kept) = compare(usage, marks, live);
            let waited = marks.values().all(|mark| *mark == Mark::Waiting);
            let replaced = recreated && !waited && !policy.content;
            if changed || replaced {
                let kept = Entry::Seen {
                    life: *life,
                    marks: kept,
                };
                verdict(true, &kept, now)
            } else if lacks {
                // The life is taken over only when the pods can start with it.
                let kept = Entry::Seen {
                    life: *life,
                    marks: kept,
                };
                verdict(false, &kept, kept.clone())
            } else {
                verdict(false, &now, now.clone())
            }
        }
    }
}

/// Whether data changed that pods have, and what they have if nothing restarts.
fn compare(usage: &Usage, old: &BTreeMap<Part, Mark>, live: &Live) -> (bool, BTreeMap<Part, Mark>) {
    let mut changed = false;
    let mut kept = BTreeMap::new();
    for (part, required) in &usage.parts {
        let now = live.part(*part);
        let mark = match (old.get(part), now) {
            // What pods wait for is what they start with when it comes.
            (Some(Mark::Waiting), now) => now.map_or(Mark::Waiting, Mark::Data),
            (Some(Mark::Data(data)), now) => {
                changed |= now.map_or(!required, |now| now != *data);
                Mark::Data(data.clone())
            }
            (Some(Mark::Unknown), now) => {
                changed |= now.is_some();
                Mark::Unknown
            }
            (None, Some(now)) => Mark::Data(now),
            (None, None) if *required => Mark::Waiting,
            (None, None) => Mark::Unknown,
        };
        kept.insert(*part, mark);
    }
    (changed, kept)
}
