//! Who goes first of those that wait for room.
//!
//! First goes whose restart for the version before has no verdict yet: its pods are being replaced in any case. Then those that are
//! behind by one source alone, so that a good source is not blamed for a bad one that changed with it. Of
//! them, before anybody was good, who risks least and shows most: a readiness probe, more than one pod, available for longest.
//! After that whoever has been behind for longest, of these whose last restart is longest ago. Somebody else's rollout is waited
//! for. Each needs room in every source that it is for.
//!
//! Who has nothing to lose goes at once and takes no room: no pod of it is available, or its last restart failed, so that a fix
//! reaches it first.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;

use super::{Verdict, slow_start::Room};
use crate::model::workload::{Changed, Progress, VersionId};

/// What room is counted for: a version of a source, in one namespace.
pub type Counted = (Changed, VersionId);

/// A restart that waits for room.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the workload"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// For which versions.
    pub versions: BTreeMap<Changed, VersionId>,
    /// Since when it is behind.
    pub since: Timestamp,
    /// When it was restarted last.
    pub restarted: Option<Timestamp>,
    /// It has nothing to lose.
    pub freely: bool,
    /// It was restarted for the same source before, and is not good yet.
    pub goes_on: bool,
    /// Somebody else's rollout of it is under way.
    pub rolls: bool,
    /// It has a readiness probe.
    pub probed: bool,
    /// It has more than one pod.
    pub several: bool,
    /// Since when it has been available, in unix seconds, as far as that is known.
    pub available: i64,
}

/// That one may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goes {
    /// Which, by its place in the list.
    pub which: usize,
    /// Whether it goes alone.
    pub alone: bool,
}

/// Whether a workload has nothing to lose: no pod of it is available, or comes by itself, or its last restart failed. `starts`: pods of
/// it may be about to start.
pub fn has_nothing_to_lose(progress: &Progress, verdict: Option<&Verdict>, starts: bool) -> bool {
    let failed = matches!(verdict, Some(Verdict::Failed(_)));
    progress.void.is_some() || progress.is_down() && !starts || failed
}

/// Returns who may go now. `rooms` has the room of each version that anybody is for.
pub fn choose(candidates: &[Candidate], rooms: &BTreeMap<Counted, Room>) -> Vec<Goes> {
    let room = |counted: &Counted| rooms.get(counted).copied();
    let mut left: BTreeMap<_, _> = rooms.iter().map(|(one, room)| (one, room.more())).collect();
    let mut order: Vec<_> = candidates.iter().enumerate().collect();
    // Nobody was good yet: there is room for one.
    let first = |one: &Candidate| {
        let counted = one
            .versions
            .iter()
            .map(|(changed, id)| (changed.clone(), *id));
        let mut rooms = counted.filter_map(|counted| room(&counted));
        rooms.any(|room| matches!(room, Room::Now { alone: true, .. }))
    };
    order.sort_by_cached_key(|(place, one)| {
        let shows =
            first(one).then_some((Reverse(one.probed), Reverse(one.several), one.available));
        (
            !one.goes_on,
            one.versions.len() > 1,
            shows,
            one.since,
            one.restarted,
            *place,
        )
    });
    let mut goes = Vec::new();
    for (which, one) in order {
        let counted: Vec<_> = one
            .versions
            .iter()
            .map(|(changed, id)| (changed.clone(), *id))
            .collect();
        let is_full = |one: &Counted| left.get(one).is_some_and(|left| *left == 0);
        if !one.freely && (one.rolls || counted.iter().any(is_full)) {
            continue;
        }
        // What becomes of one that goes on counts, however freely it goes.
        if !one.freely || one.goes_on {
            for one in &counted {
                if let Some(left) = left.get_mut(one) {
                    *left = left.saturating_sub(1);
                }
            }
        }
        let alone = if one.freely { one.goes_on } else { first(one) };
        goes.push(Goes { which, alone });
    }
    goes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{digest::Digest, source::SourceName};

    fn version(name: &str) -> Counted {
        (Changed::Source(SourceName::secret(name)), Digest::CHANGED)
    }

    fn candidate(sources: &[&str], since: i64) -> Candidate {
        Candidate {
            versions: sources.iter().map(|name| version(name)).collect(),
            since: Timestamp::from_second(since).unwrap(),
            restarted: None,
            freely: false,
            goes_on: false,
            rolls: false,
            probed: false,
            several: false,
            available: 0,
        }
    }

    type Rooms<'a> = &'a [(&'a str, Room)];

    fn chosen(candidates: &[Candidate], rooms: Rooms<'_>) -> Vec<usize> {
        let rooms = rooms
            .iter()
            .map(|(name, room)| (version(name), *room))
            .collect();
        choose(candidates, &rooms)
            .iter()
            .map(|goes| goes.which)
            .collect()
    }

    #[test]
    fn who_goes_first() {
        let alone = Room::Now {
            more: 1,
            alone: true,
        };
        let two = Room::Now {
            more: 2,
            alone: false,
        };
        let none = Room::AfterVerdict;
        let plain = candidate(&["a"], 5);
        let older = candidate(&["a"], 1);
        let both = candidate(&["a", "b"], 0);
        let probed = Candidate {
            probed: true,
            ..plain.clone()
        };
        let several = Candidate {
            several: true,
            ..plain.clone()
        };
        let long = Candidate {
            available: -9,
            ..plain.clone()
        };
        let lately = Candidate {
            restarted: Some(Timestamp::UNIX_EPOCH),
            ..older.clone()
        };
        let rolls = Candidate {
            rolls: true,
            ..older.clone()
        };
        let free = Candidate {
            freely: true,
            ..plain.clone()
        };
        let rows: [(Vec<Candidate>, Rooms, &[usize]); 10] = [
            (
                vec![both.clone(), older.clone()],
                &[("a", alone), ("b", alone)],
                &[1],
            ),
            (
                vec![older.clone(), several, probed.clone()],
                &[("a", alone)],
                &[2],
            ),
            (vec![older.clone(), long], &[("a", alone)], &[1]),
            // Later whoever waits longest.
            (
                vec![plain.clone(), probed, older.clone()],
                &[("a", two)],
                &[2, 0],
            ),
            (vec![lately, older.clone()], &[("a", two)], &[1, 0]),
            (vec![rolls, plain.clone()], &[("a", two)], &[1]),
            (vec![plain.clone(), free], &[("a", none)], &[1]),
            // Room is needed in each.
            (vec![both.clone()], &[("a", two), ("b", none)], &[]),
            (vec![both.clone()], &[("a", two), ("b", alone)], &[0]),
            (vec![plain, older, both], &[("a", two), ("b", two)], &[1, 0]),
        ];
        for (candidates, rooms, expected) in rows {
            assert_eq!(
                chosen(&candidates, rooms),
                expected,
                "{candidates:?} {rooms:?}"
            );
        }
    }

    #[test]
    fn who_goes_alone_is_said() {
        let rooms = BTreeMap::from([(
            version("a"),
            Room::Now {
                more: 1,
                alone: true,
            },
        )]);
        let goes = choose(&[candidate(&["a"], 1)], &rooms);
        assert_eq!(
            goes,
            [Goes {
                which: 0,
                alone: true
            }]
        );
        // Nothing is known of a version that nobody counts.
        let goes = choose(&[candidate(&["b"], 1)], &rooms);
        assert_eq!(
            goes,
            [Goes {
                which: 0,
                alone: false
            }]
        );
    }
}
