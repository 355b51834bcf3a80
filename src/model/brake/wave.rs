//! Waves: users of a source that are restarted in an order that was asked for, `reroll.dev/wave`, lower first.
//!
//! A user of a source is due when each lower user in its namespace that is behind this version, or was restarted for it, is
//! complete. Nobody waits for one that nothing brings on: whatever else holds it, that is void, or that was not well before. Behind
//! one that failed it is stopped until that one is good, the source changes, or somebody releases it.
//!
//! Each workload has one number, so there are no circles.

use super::Verdict;

/// What becomes of one user, as those of higher waves see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Through {
    /// It is complete, or nobody waits for it.
    Yes,
    /// Not yet.
    NotYet,
    /// It failed, or hangs.
    Stopped,
}

/// A user that was restarted for a version.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the restart"
)]
#[derive(Clone, Copy, Debug)]
pub struct Restarted<'a> {
    /// What became of that; `None` where the rollout is somebody else's.
    pub verdict: Option<&'a Verdict>,
    /// Whether it was well before.
    pub well: bool,
    /// Whether its rollout is complete.
    pub complete: bool,
    /// Whether pods of it are still being replaced, by anybody's rollout, and that is waited for.
    pub rolls: bool,
    /// Whether its rollout goes no further.
    pub hangs: bool,
}

/// A user that is behind a version, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Whether a restart of it is filed, or about to be, that nothing but time and others holds.
    pub comes: bool,
    /// Whether it would show what becomes of it: it is neither void, nor was it unwell before.
    pub shows: bool,
}

impl Restarted<'_> {
    /// Returns whether those of higher waves wait for it.
    pub fn through(self) -> Through {
        if !self.well {
            return Through::Yes;
        }
        match self.verdict {
            Some(Verdict::Failed(_)) => Through::Stopped,
            Some(Verdict::Good) if self.complete => Through::Yes,
            Some(Verdict::Good | Verdict::Rolling { .. }) if self.hangs => Through::Stopped,
            Some(Verdict::Good | Verdict::Rolling { .. }) => Through::NotYet,
            // Somebody deployed it since. That rollout is waited for, and what becomes of it is theirs.
            None if self.rolls => Through::NotYet,
            Some(Verdict::Void(_)) | None => Through::Yes,
        }
    }
}

impl Behind {
    /// Returns whether those of higher waves wait for it.
    pub fn through(self) -> Through {
        if self.comes && self.shows {
            Through::NotYet
        } else {
            Through::Yes
        }
    }
}

/// How far the users of a version are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Front {
    not_yet: Option<i64>,
    /// Of the lowest, the first by name.
    stopped: Option<(i64, String)>,
}

impl Front {
    /// Returns it for users with these waves, and these names where they stop others.
    pub fn of(users: impl IntoIterator<Item = (i64, Through, String)>) -> Self {
        let mut front = Self::default();
        for (wave, through, name) in users {
            match through {
                Through::Yes => {}
                Through::NotYet => {
                    let lowest = front.not_yet.unwrap_or(wave);
                    front.not_yet = Some(lowest.min(wave));
                }
                Through::Stopped => {
                    let stopped = [front.stopped.take(), Some((wave, name))];
                    front.stopped = stopped.into_iter().flatten().min();
                }
            }
        }
        front
    }

    /// Returns what a user of this wave waits for: [`Through::Yes`] for nothing.
    pub fn before(&self, wave: i64) -> Through {
        if self.stopped_by(wave).is_some() {
            Through::Stopped
        } else if self.not_yet.is_some_and(|one| one < wave) {
            Through::NotYet
        } else {
            Through::Yes
        }
    }

    /// Returns the name of one who stops a user of this wave.
    pub fn stopped_by(&self, wave: i64) -> Option<&str> {
        let stopped = self.stopped.as_ref().filter(|(one, _)| *one < wave);
        stopped.map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{brake::failed::Failed, workload::Void};

    #[test]
    fn who_is_waited_for_of_those_that_were_restarted() {
        let next = Timestamp::UNIX_EPOCH;
        let rolling = Some(Verdict::Rolling { next });
        let failed = Some(Verdict::Failed(Failed::Deadline));
        let void = Some(Verdict::Void(Void::Paused));
        let (good, none) = (Some(Verdict::Good), None);
        // verdict, well, complete, rolls, hangs, expected
        let rows = [
            (&rolling, true, false, true, false, Through::NotYet),
            // One that is complete and has not run for long enough may fail yet.
            (&rolling, true, true, false, false, Through::NotYet),
            (&good, true, false, true, false, Through::NotYet),
            (&good, true, true, false, false, Through::Yes),
            (&good, true, false, true, true, Through::Stopped),
            // What is complete does not hang.
            (&good, true, true, false, true, Through::Yes),
            (&failed, true, false, true, false, Through::Stopped),
            (&failed, true, true, false, false, Through::Stopped),
            (&failed, false, false, true, false, Through::Yes),
            (&rolling, false, false, true, false, Through::Yes),
            (&void, true, false, false, false, Through::Yes),
            (&none, true, false, true, false, Through::NotYet),
            (&none, true, false, false, false, Through::Yes),
        ];
        for (verdict, well, complete, rolls, hangs, expected) in rows {
            let restarted = Restarted {
                verdict: verdict.as_ref(),
                well,
                complete,
                rolls,
                hangs,
            };
            assert_eq!(restarted.through(), expected, "{restarted:?}");
        }
    }

    #[test]
    fn who_is_waited_for_of_those_that_are_behind() {
        for (comes, shows, expected) in [
            (true, true, Through::NotYet),
            (false, true, Through::Yes),
            (true, false, Through::Yes),
        ] {
            assert_eq!(Behind { comes, shows }.through(), expected);
        }
    }

    #[test]
    fn each_waits_for_those_that_are_lower() {
        use Through::{NotYet, Stopped, Yes};
        let named = |users: &[(i64, Through)]| {
            let users = users.iter().enumerate();
            Front::of(users.map(|(number, (wave, through))| (*wave, *through, format!("{number}"))))
        };
        let front = named(&[
            (0, Yes),
            (-1, NotYet),
            (5, Stopped),
            (5, Stopped),
            (7, NotYet),
        ]);
        assert_eq!(front.stopped_by(6), Some("2"));
        assert_eq!(front.stopped_by(5), None);
        for (wave, expected) in [(-2, Yes), (-1, Yes), (0, NotYet), (5, NotYet), (6, Stopped)] {
            assert_eq!(front.before(wave), expected, "{wave}");
        }
        let extremes = named(&[(i64::MAX, NotYet), (i64::MIN, Yes)]);
        assert_eq!(extremes.before(i64::MAX), Yes);
        assert_eq!(named(&[(i64::MIN, NotYet)]).before(i64::MAX), NotYet);
    }
}
