//! What to do about the certificates that reroll keeps for itself, and when. Pure: times are unix seconds.
//!
//! An API server trusts what `caBundle` holds, and takes up a change of it some time later. Replicas take up a leaf some time
//! after it was written. So a leaf is never signed by an authority that is not trusted yet, and an authority stays trusted
//! while a replica may serve a leaf that it signed:
//! 1. When a third of an authority's life is left, the leader makes another, trusted beside it.
//! 2. When that was published and a grace period has passed, it issues the leaf by the new one.
//! 3. When another grace period has passed, the old one is trusted no more.

use std::time::Duration;

/// How long certificates are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// How long an authority is.
    pub authority: Duration,
    /// How long a leaf is.
    pub leaf: Duration,
}

impl Lifetimes {
    /// Returns how long a step waits until API servers and replicas have seen the one before: ten minutes, unless leaves live
    /// for less than a hundred.
    fn grace(&self) -> Duration {
        (self.leaf / 10).min(Duration::from_mins(10))
    }
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// When it was made.
    pub(super) made: i64,
    /// When it expires.
    pub(super) until: i64,
}

impl Validity {
    fn is_over(self, now: i64) -> bool {
        now >= self.until
    }

    /// Returns whether less than a third of its life is left.
    fn ages(self, now: i64) -> bool {
        (self.until - now).saturating_mul(3) < self.until - self.made
    }
}

/// The leaf, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// When it is valid.
    pub(super) validity: Validity,
    /// Whether the newest authority issued it.
    pub(super) by_newest: bool,
    /// Whether it is for the names that are wanted.
    pub(super) named: bool,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// When the authority that signs is valid.
    pub(super) newest: Validity,
    /// How many other authorities are trusted.
    pub(super) others: usize,
    /// The leaf that is served; `None` where it cannot be.
    pub(super) leaf: Option<Leaf>,
    /// Whether every webhook configuration has the authorities that are trusted.
    pub(super) published: bool,
}

/// What to do now: one step at a time, because each changes the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make everything anew: no authority that was trusted counts any more.
    Begin,
    /// Make another authority, trusted beside those before.
    AddAuthority,
    /// Issue a leaf by the newest authority.
    IssueLeaf {
        /// Whether it is a renewal in time, before any API server was without.
        planned: bool,
    },
    /// Trust only the newest authority from now on.
    Retire,
}

/// Returns what to do now, if anything.
pub(super) fn due(facts: &Facts, now: i64, lifetimes: Lifetimes) -> Option<Step> {
    let grace = i64::try_from(lifetimes.grace().as_secs()).unwrap_or(i64::MAX);
    let since = |made: i64| now.saturating_sub(made);
    if facts.newest.is_over(now) {
        return Some(Step::Begin);
    }
    let Some(leaf) = facts.leaf.filter(|leaf| !leaf.validity.is_over(now)) else {
        return Some(Step::IssueLeaf { planned: false });
    };
    if !leaf.named {
        return Some(Step::IssueLeaf { planned: true });
    }
    if !leaf.by_newest {
        let trusted = facts.published && since(facts.newest.made) >= grace;
        let last_chance = leaf.validity.until - now < grace;
        return (trusted || last_chance).then_some(Step::IssueLeaf { planned: trusted });
    }
    if leaf.validity.ages(now) {
        return Some(Step::IssueLeaf { planned: true });
    }
    if facts.newest.ages(now) {
        return Some(Step::AddAuthority);
    }
    (facts.others > 0 && since(leaf.validity.made) >= grace).then_some(Step::Retire)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFETIMES: Lifetimes = Lifetimes {
        authority: Duration::from_mins(150),
        leaf: Duration::from_mins(15),
    };
    const GRACE: i64 = 90;

    fn made(at: i64, lifetime: Duration) -> Validity {
        Validity {
            made: at,
            until: at + i64::try_from(lifetime.as_secs()).unwrap(),
        }
    }

    fn facts(authority: i64, leaf: i64) -> Facts {
        Facts {
            newest: made(authority, LIFETIMES.authority),
            others: 0,
            leaf: Some(Leaf {
                validity: made(leaf, LIFETIMES.leaf),
                by_newest: true,
                named: true,
            }),
            published: true,
        }
    }

    fn leaf(facts: &mut Facts) -> &mut Leaf {
        facts.leaf.as_mut().unwrap()
    }

    #[test]
    fn each_step_has_its_time() {
        let now = |facts: &Facts, now| due(facts, now, LIFETIMES);
        let planned = Some(Step::IssueLeaf { planned: true });
        let unplanned = Some(Step::IssueLeaf { planned: false });
        let usual = facts(0, 0);
        assert_eq!(now(&usual, 0), None);
        assert_eq!(now(&usual, 600), None);
        assert_eq!(now(&usual, 601), planned, "a third is left");
        assert_eq!(now(&usual, 900), unplanned, "expired");
        assert_eq!(now(&usual, 9000), Some(Step::Begin));
        assert_eq!(
            now(
                &Facts {
                    leaf: None,
                    ..usual
                },
                1
            ),
            unplanned
        );
        let mut renamed = usual;
        leaf(&mut renamed).named = false;
        assert_eq!(now(&renamed, 1), planned);

        let aging = facts(0, 5900);
        assert_eq!(now(&aging, 6000), None);
        assert_eq!(now(&aging, 6001), Some(Step::AddAuthority));
        // The new one is trusted beside the old one, and signs when API servers have seen that.
        let mut added = Facts {
            others: 1,
            ..facts(6001, 5900)
        };
        leaf(&mut added).by_newest = false;
        assert_eq!(now(&added, 6001 + GRACE - 1), None);
        assert_eq!(now(&added, 6001 + GRACE), planned);
        added.published = false;
        assert_eq!(now(&added, 6001 + GRACE), None);
        assert_eq!(now(&added, 6800 - GRACE), None);
        assert_eq!(now(&added, 6800 - GRACE + 1), unplanned, "it would expire");
        // The old one goes when every replica serves the new leaf.
        let signed = Facts {
            others: 1,
            ..facts(6001, 6100)
        };
        assert_eq!(now(&signed, 6100 + GRACE - 1), None);
        assert_eq!(now(&signed, 6100 + GRACE), Some(Step::Retire));
    }

    #[test]
    fn the_grace_is_ten_minutes_at_most() {
        let long = Lifetimes {
            authority: Duration::from_hours(87600),
            leaf: Duration::from_hours(2160),
        };
        assert_eq!(long.grace(), Duration::from_mins(10));
    }

    /// One authority, and which one issued the leaf, by number.
    struct World {
        facts: Facts,
        trusted: Vec<(usize, Validity)>,
        issuer: usize,
        next: usize,
    }

    impl World {
        fn act(&mut self, step: Step, now: i64) {
            match step {
                Step::Begin | Step::AddAuthority => {
                    self.facts.newest = made(now, LIFETIMES.authority);
                    if step == Step::Begin {
                        self.trusted.clear();
                    }
                    self.trusted.insert(0, (self.next, self.facts.newest));
                    self.next += 1;
                }
                Step::IssueLeaf { .. } => {
                    self.issuer = self.trusted[0].0;
                    self.facts.leaf = facts(0, now).leaf;
                }
                Step::Retire => self.trusted.truncate(1),
            }
            self.facts.others = self.trusted.len() - 1;
            leaf(&mut self.facts).by_newest = self.issuer == self.trusted[0].0;
        }
    }

    proptest! {
        /// A leader that looks often enough always serves what is trusted, by an authority that API servers have known for a
        /// grace period, and keeps trusting what was served a moment ago.
        #[test]
        fn whoever_looks_in_time_is_never_without(pauses in proptest::collection::vec(1..200i64, 400)) {
            let mut world = World {
                facts: facts(0, 0),
                trusted: vec![(0, made(0, LIFETIMES.authority))],
                issuer: 0,
                next: 1,
            };
            let mut now = 0;
            for pause in pauses {
                now += pause;
                let served = world.facts.leaf.unwrap();
                prop_assert!(!served.validity.is_over(now), "expired at {now}");
                let issuer = world.issuer;
                if let Some(step) = due(&world.facts, now, LIFETIMES) {
                    let late = matches!(step, Step::Begin | Step::IssueLeaf { planned: false });
                    prop_assert!(!late, "{step:?} at {now}");
                    world.act(step, now);
                }
                let find = |number| world.trusted.iter().find(|(known, _)| *known == number);
                let (_, signs) = find(world.issuer).expect("what is served is trusted");
                prop_assert!(now - signs.made >= GRACE || world.next == 1);
                prop_assert!(find(issuer).is_some(), "so is what was served before");
                prop_assert!(world.trusted.len() <= 2);
            }
            prop_assert!(world.next > 1 || now < 6000);
        }
    }
}
