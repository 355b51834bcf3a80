//! Distance: the least time between two restarts of one workload.
//!
//! It is 0 at first. A restart that follows the one before within the larger of [`CLOSE`] and twice the distance doubles it, from
//! [`SHORTEST`] on; a later one sets it to 0. So two writers that fight over a Secret, or a machine that rewrites one, restart
//! a workload about eight times in six minutes and then ever more rarely, and the last value always wins.
//!
//! A rollout that is good is let through before the next restart, otherwise the low ordinals of a StatefulSet never get a new
//! version. One that is not good is overtaken at once.

use jiff::{SignedDuration, Timestamp};

use super::Verdict;

/// Restarts that follow each other more closely make the distance longer.
pub const CLOSE: SignedDuration = SignedDuration::from_mins(5);
/// The shortest distance that is not 0.
pub const SHORTEST: SignedDuration = SignedDuration::from_secs(5);
/// The longest one, where nothing else is said.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// Returns the distance that holds from a restart at `now` on, where the one before was made at `before` and this distance held
/// from then on. `longest`: 0 for none.
#[must_use]
pub fn after(
    before: Option<(Timestamp, SignedDuration)>,
    now: Timestamp,
    longest: SignedDuration,
) -> SignedDuration {
    let Some((at, held)) = before else {
        return SignedDuration::ZERO;
    };
    let twice = held.checked_mul(2).unwrap_or(SignedDuration::MAX);
    if now.duration_since(at) >= CLOSE.max(twice) {
        return SignedDuration::ZERO;
    }
    twice.max(SHORTEST).min(longest)
}

/// Why a restart waits for the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The distance is not over before this time.
    Until(Timestamp),
    /// The one before is good, and is let through.
    ForRollout,
}

/// Returns why a restart waits for the one before, which was made at `at`; `None` where it may go. `rolls`: pods of older
/// templates are being replaced.
#[must_use]
pub fn wait(
    (at, distance): (Timestamp, SignedDuration),
    verdict: Option<&Verdict>,
    rolls: bool,
    now: Timestamp,
    longest: SignedDuration,
) -> Option<Wait> {
    if longest.is_zero() {
        return None;
    }
    // A clock that was set back holds nothing for longer than its distance.
    let distance = distance.min(longest);
    let next = at.checked_add(distance).ok()?;
    if now < next && at <= now {
        return Some(Wait::Until(next));
    }
    let let_through = rolls && matches!(verdict, Some(Verdict::Good));
    let_through.then_some(Wait::ForRollout)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns when restarts are made of a source that changes at every `every` seconds, within `during` seconds.
    fn restarts(every: i64, during: i64) -> Vec<i64> {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let (mut before, mut made, mut seconds) = (None, Vec::new(), 0);
        let mut changed = false;
        while seconds < during {
            changed |= seconds % every == 0;
            let waits = before.and_then(|before| wait(before, None, false, at(seconds), LONGEST));
            if changed && waits.is_none() {
                before = Some((at(seconds), after(before, at(seconds), LONGEST)));
                made.push(seconds);
                changed = false;
            }
            seconds += 1;
        }
        made
    }

    #[test]
    fn machines_that_rewrite_get_rarer_and_people_do_not() {
        assert_eq!(restarts(20, 361), [0, 20, 40, 60, 80, 120, 200, 360]);
        assert_eq!(restarts(60, 3_600).len(), 11);
        assert_eq!(restarts(61, 3_600).len(), 11);
        assert_eq!(restarts(300, 3_600).len(), 12);
        assert_eq!(restarts(900, 3_600).len(), 4);
    }

    #[test]
    fn who_waits() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let five = SignedDuration::from_secs(5);
        let zero = SignedDuration::ZERO;
        let good = Verdict::Good;
        let rows = [
            ((100, five), None, false, 101, Some(Wait::Until(at(105)))),
            ((100, five), None, false, 105, None),
            ((100, zero), Some(&good), true, 101, Some(Wait::ForRollout)),
            ((100, zero), Some(&good), false, 101, None),
            ((100, zero), None, true, 101, None),
            // The clock was set back.
            ((100, five), None, false, 50, None),
        ];
        for ((made, distance), verdict, rolls, now, expected) in rows {
            let waits = wait((at(made), distance), verdict, rolls, at(now), LONGEST);
            assert_eq!(waits, expected, "{made} {distance} {rolls} {now}");
        }
        let off = wait((at(100), five), Some(&good), true, at(101), zero);
        assert_eq!(off, None);
        assert_eq!(after(Some((at(0), five)), at(1), zero), zero);
    }
}
