//! Slow start: how many users of one version of a source may be restarted now.
//!
//! Of the users that were restarted for a version, some are good, some failed, and some have no verdict yet. Another may go
//! while fewer have none than `1 + max(good since the last failure, good − 10 × failed)`. So one goes alone, then twice as
//! many each round. Fewer than one failure in ten hardly slows it.
//!
//! Where that is 1 because of a failure, the next goes alone, [`FIRST_HOLD`] after the last one went, then twice as long
//! after that one, at most [`LONGEST_HOLD`], until one is good. What fails of one round doubles it once. So a bad value
//! breaks three in the first hour and nine in a weekend, and nothing is held for ever.
//!
//! Who is void, or was not well before, is left out by the caller ([`super::verdict::counted`]).

use jiff::{SignedDuration, Timestamp};

/// How long after a restart that failed the next one goes.
pub const FIRST_HOLD: SignedDuration = SignedDuration::from_mins(10);
/// The longest time between two single restarts.
pub const LONGEST_HOLD: SignedDuration = SignedDuration::from_hours(24);
/// So many good ones make up for one that failed.
const GOOD_FOR_A_FAILURE: usize = 10;

/// A restart that was made for the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restarted {
    /// When.
    pub at: Timestamp,
    /// What became of it.
    pub stands: Stands,
}

/// What became of a restart, as far as it counts for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stands {
    /// A new pod runs.
    Good,
    /// It failed.
    Failed,
    /// Neither is known yet.
    Rolling,
}

/// How many more may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// So many now, at least one.
    Now {
        /// The number.
        more: usize,
        /// Whether there is room for a single one only: it goes alone, and is looked at for longer.
        alone: bool,
    },
    /// None before a verdict.
    AfterVerdict,
    /// None before this time, because of failures: then one alone.
    At(Timestamp),
}

impl Room {
    /// Returns how many may go now.
    #[must_use]
    pub fn more(self) -> usize {
        match self {
            Self::Now { more, .. } => more,
            Self::AfterVerdict | Self::At(_) => 0,
        }
    }
}

/// Returns how many more users of a version may be restarted at `now`, where these were.
#[must_use]
pub fn room(restarted: &[Restarted], now: Timestamp) -> Room {
    let count = |stands| restarted.iter().filter(|one| one.stands == stands).count();
    let (good, failed) = (count(Stands::Good), count(Stands::Failed));
    let rolling = count(Stands::Rolling);
    let most = most(restarted, good, failed);
    if rolling >= most {
        return Room::AfterVerdict;
    }
    if most == 1 && failed > 0 {
        let next = next_single(restarted);
        if next.is_some_and(|next| now < next) {
            return next.map_or(Room::AfterVerdict, Room::At);
        }
    }
    Room::Now {
        more: most - rolling,
        alone: most == 1,
    }
}

/// Returns the most that may be without a verdict.
fn most(restarted: &[Restarted], good: usize, failed: usize) -> usize {
    let of = |stands| move |one: &&Restarted| one.stands == stands;
    let last_failure = restarted
        .iter()
        .filter(of(Stands::Failed))
        .map(|one| one.at);
    let last_failure = last_failure.max();
    let since = |one: &&Restarted| last_failure.is_none_or(|failure| one.at > failure);
    let since = restarted.iter().filter(of(Stands::Good)).filter(since);
    let in_spite = good.saturating_sub(failed.saturating_mul(GOOD_FOR_A_FAILURE));
    1 + since.count().max(in_spite)
}

/// Returns when the next may go alone, after failures.
fn next_single(restarted: &[Restarted]) -> Option<Timestamp> {
    let last = restarted.iter().map(|one| one.at).max()?;
    last.checked_add(hold(rounds(restarted))).ok()
}

/// Returns how many rounds failed since the last good one. Restarts that went before the first of a round could be held for
/// its failure are of that round.
fn rounds(restarted: &[Restarted]) -> u32 {
    let good = restarted.iter().filter(|one| one.stands == Stands::Good);
    let last_good = good.map(|one| one.at).max();
    let failed = restarted.iter().filter(|one| one.stands == Stands::Failed);
    let mut failed: Vec<_> = failed.map(|one| one.at).collect();
    failed.retain(|at| last_good.is_none_or(|good| *at > good));
    failed.sort_unstable();
    let (mut rounds, mut began) = (0, None);
    for at in failed {
        if began.is_none_or(|began: Timestamp| at.duration_since(began) >= FIRST_HOLD) {
            began = Some(at);
            rounds += 1;
        }
    }
    rounds.max(1)
}

/// Returns how long the next waits after so many rounds that failed.
fn hold(rounds: u32) -> SignedDuration {
    let times = 1_i32
        .checked_shl(rounds.saturating_sub(1))
        .unwrap_or(i32::MAX);
    let times = if times > 0 { times } else { i32::MAX };
    let hold = FIRST_HOLD.checked_mul(times).unwrap_or(LONGEST_HOLD);
    hold.min(LONGEST_HOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    /// When, what became of it, and how many.
    type Row = (i64, Stands, usize);

    fn many(rows: &[Row]) -> Vec<Restarted> {
        let rows = rows.iter().flat_map(|(minutes, stands, number)| {
            let one = Restarted {
                at: at(*minutes),
                stands: *stands,
            };
            std::iter::repeat_n(one, *number)
        });
        rows.collect()
    }

    use Stands::{Failed, Good, Rolling};

    #[test]
    fn how_many_go() {
        let now = |more, alone| Room::Now { more, alone };
        let rows: [(&[Row], i64, Room); 14] = [
            (&[], 0, now(1, true)),
            (&[(0, Rolling, 1)], 0, Room::AfterVerdict),
            (&[(0, Good, 1)], 1, now(2, false)),
            (&[(0, Good, 1), (1, Rolling, 1)], 1, now(1, false)),
            (&[(0, Good, 3)], 1, now(4, false)),
            (&[(0, Good, 63), (1, Rolling, 64)], 1, Room::AfterVerdict),
            (&[(0, Failed, 1)], 1, Room::At(at(10))),
            (&[(0, Failed, 1)], 10, now(1, true)),
            (&[(0, Failed, 1), (10, Failed, 1)], 11, Room::At(at(30))),
            // One that is good ends it.
            (&[(0, Failed, 2), (10, Good, 1)], 11, now(2, false)),
            // One round.
            (&[(0, Good, 1), (1, Failed, 2)], 2, Room::At(at(11))),
            // One in eleven is no reason to wait.
            (&[(0, Good, 20), (1, Failed, 1)], 2, now(11, false)),
            (&[(0, Good, 20), (1, Failed, 2)], 2, Room::At(at(11))),
            (&[(0, Failed, 1), (10, Rolling, 1)], 40, Room::AfterVerdict),
        ];
        for (restarted, minutes, expected) in rows {
            let restarted = many(restarted);
            assert_eq!(room(&restarted, at(minutes)), expected, "{restarted:?}");
        }
    }

    #[test]
    fn holds_double_up_to_a_day() {
        let mut went = vec![0];
        for _ in 0..10 {
            let failed: Vec<_> = went.iter().map(|at| (*at, Failed, 1)).collect();
            let Room::At(next) = room(&many(&failed), at(*went.last().unwrap())) else {
                panic!("{went:?}");
            };
            went.push(next.as_second() / 60);
        }
        let day = 24 * 60;
        assert_eq!(went[..8], [0, 10, 30, 70, 150, 310, 630, 1270]);
        assert_eq!(went[8..], [2550, 2550 + day, 2550 + 2 * day]);
    }

    proptest::proptest! {
        /// Whatever happened, somebody may go some day; and more good ones never make room smaller.
        #[test]
        fn nothing_is_held_for_ever(
            rows in proptest::collection::vec((0..5_000_i64, proptest::bool::ANY), 0..40),
        ) {
            let mut restarted: Vec<_> = rows
                .iter()
                .map(|(minutes, good)| (*minutes, if *good { Good } else { Failed }, 1))
                .collect();
            let later = at(5_000 + 24 * 60);
            let before = room(&many(&restarted), later).more();
            proptest::prop_assert!(before > 0);
            restarted.push((5_001, Good, 1));
            proptest::prop_assert!(room(&many(&restarted), later).more() >= before);
        }
    }
}
