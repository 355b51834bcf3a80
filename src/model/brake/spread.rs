//! How many namespaces may have restarts under way: a bad value that was copied into every namespace must not take all of
//! them, and one tenant must not hold up the others.
//!
//! It is the control of [`super::slow_start`] with namespaces in place of users, each by its last verdict within [`WITHIN`]. It
//! begins at [`FIRST`], and is never less than one. There is no time to wait for: those whose last restart failed go last, and not at
//! all while others wait. Where all that take the room have had no verdict for [`YOUNG`], one more may go: rollouts that hang hold up
//! nobody for longer.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::slow_start::Stands;

/// Older verdicts do not count.
pub const WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// So many may have restarts under way before any verdict.
pub const FIRST: usize = 50;
/// For so long restarts without a verdict take all the room.
pub const YOUNG: SignedDuration = SignedDuration::from_mins(2);
/// So many good ones make up for one that failed.
const GOOD_FOR_A_FAILURE: usize = 10;

/// A namespace by its last restart that has a verdict, and whether one is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace<'a> {
    /// Its name.
    pub name: &'a str,
    /// When its last restart was made that has a verdict, and whether that is good.
    pub last: Option<(Timestamp, bool)>,
    /// When the first was made of its restarts that have no verdict.
    pub rolling: Option<Timestamp>,
}

impl<'a> Namespace<'a> {
    /// Returns a namespace of which these restarts are known.
    pub fn of(name: &'a str, restarted: impl IntoIterator<Item = (Timestamp, Stands)>) -> Self {
        let mut namespace = Self {
            name,
            last: None,
            rolling: None,
        };
        for (at, stands) in restarted {
            if stands == Stands::Rolling {
                namespace.rolling = namespace.rolling.into_iter().chain([at]).min();
            } else if namespace.last.is_none_or(|(last, _)| last < at) {
                namespace.last = Some((at, stands == Stands::Good));
            }
        }
        namespace
    }

    fn stands(&self, now: Timestamp) -> Option<(Timestamp, bool)> {
        self.last
            .filter(|(at, _)| now.duration_since(*at) <= WITHIN)
    }
}

/// Which namespaces may have one more restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    rolling: BTreeSet<String>,
    /// How many of them are young.
    young: usize,
    unsure: bool,
    failed: BTreeSet<String>,
    most: usize,
}

impl Spread {
    /// Returns what follows from these namespaces at `now`; of those that are not named nothing is known.
    pub fn of(namespaces: &[Namespace<'_>], now: Timestamp) -> Self {
        let (mut good, mut failed) = (Vec::new(), Vec::new());
        let (mut rolling, mut names, mut young) = (BTreeSet::new(), BTreeSet::new(), 0);
        for namespace in namespaces {
            if let Some(at) = namespace.rolling {
                rolling.insert(namespace.name.to_owned());
                young += usize::from(now.duration_since(at) < YOUNG);
            }
            match namespace.stands(now) {
                Some((at, true)) => good.push(at),
                Some((at, false)) => {
                    failed.push(at);
                    names.insert(namespace.name.to_owned());
                }
                None => {}
            }
        }
        let last_failure = failed.iter().max();
        let since = good
            .iter()
            .filter(|at| last_failure.is_none_or(|last| *at > last));
        let in_spite = (FIRST - 1 + good.len())
            .saturating_sub(failed.len().saturating_mul(GOOD_FOR_A_FAILURE));
        Self {
            rolling,
            young,
            unsure: false,
            failed: names,
            most: 1 + since.count().max(in_spite),
        }
    }

    /// Whether one more restart may be made in a namespace. One that has restarts under way takes no more room by another.
    pub fn allows(&self, namespace: &str) -> bool {
        let allows =
            self.rolling.contains(namespace) || self.rolling.len() < self.most || self.young == 0;
        allows && !self.unsure
    }

    /// Returns the same where there may be verdicts that are not known yet: nobody goes.
    #[must_use]
    pub fn unsure(self) -> Self {
        Self {
            unsure: true,
            ..self
        }
    }

    /// Whether some failed or hang, so that others have to wait for longer.
    pub fn is_slowed(&self) -> bool {
        !self.failed.is_empty() || self.young < self.rolling.len()
    }

    /// Takes room for one more restart in a namespace. Returns whether there is any.
    pub fn take(&mut self, namespace: &str) -> bool {
        let allows = self.allows(namespace);
        if allows && self.rolling.insert(namespace.to_owned()) {
            self.young += 1;
        }
        allows
    }

    /// Whether others go before it: its last restart failed.
    pub fn goes_last(&self, namespace: &str) -> bool {
        self.failed.contains(namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn who_may_go() {
        let names: Vec<_> = (0..100).map(|number| format!("n{number:03}")).collect();
        let of = |good: usize, failed: usize, rolling: usize| {
            let all = names.iter().take(good + failed + rolling).enumerate();
            let all = all.map(|(number, name)| Namespace {
                name,
                last: (number < good + failed).then_some((at(100), number >= failed)),
                rolling: (number >= good + failed).then_some(at(150)),
            });
            all.collect::<Vec<_>>()
        };
        let rows = [
            ((0, 0, 0), true),
            ((0, 0, 49), true),
            ((0, 0, 50), false),
            ((10, 0, 59), true),
            // One hostile namespace, or four, hold up nobody.
            ((0, 1, 39), true),
            ((0, 4, 9), true),
            // Fifty that failed: one at a time.
            ((0, 50, 0), true),
            ((0, 50, 1), false),
        ];
        for ((good, failed, rolling), expected) in rows {
            let namespaces = of(good, failed, rolling);
            let spread = Spread::of(&namespaces, at(200));
            assert_eq!(
                spread.allows("another"),
                expected,
                "{good} {failed} {rolling}"
            );
            if rolling > 0 {
                assert!(spread.allows(&names[good + failed]), "it rolls already");
            }
        }
        let spread = of(0, 50, 1);
        assert!(!Spread::of(&spread, at(269)).allows("another"));
        let mut hangs = Spread::of(&spread, at(270));
        assert!(hangs.allows("another"), "one that hangs holds up nobody");
        assert!(hangs.take("another") && !hangs.take("one more"));
        let mut hang = Spread::of(&of(0, 0, 50), at(1_000));
        assert!(hang.take("another") && !hang.take("one more"));
        assert!(!Spread::of(&[], at(1_000)).unsure().allows("another"));
        assert!(
            Spread::of(&spread, at(3_800)).allows("another"),
            "an hour later"
        );
        let spread = Spread::of(&spread, at(200));
        assert!(spread.goes_last("n000") && !spread.goes_last("another"));
    }

    /// When, and what became of it.
    type Made = (i64, Stands);
    /// When, and whether it is good.
    type Last = (i64, bool);

    #[test]
    fn the_last_verdict_counts() {
        use Stands::{Failed, Good, Rolling};
        let rows: [(&[Made], Option<Last>, Option<i64>); 4] = [
            (&[], None, None),
            (&[(1, Good), (2, Failed)], Some((2, false)), None),
            (&[(2, Good), (1, Failed)], Some((2, true)), None),
            (
                &[(1, Good), (3, Rolling), (2, Rolling)],
                Some((1, true)),
                Some(2),
            ),
        ];
        for (restarted, last, rolling) in rows {
            let restarted = restarted
                .iter()
                .map(|(seconds, stands)| (at(*seconds), *stands));
            let namespace = Namespace::of("n", restarted);
            assert_eq!(
                namespace.last,
                last.map(|(seconds, good)| (at(seconds), good))
            );
            assert_eq!(namespace.rolling, rolling.map(at));
        }
    }
}
