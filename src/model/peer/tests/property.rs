//! Two installations against each other, however their steps fall: they come to rest, and then one of them works.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// Whose `observed` stands on a workload; as a number of the installation.
type Owner = Option<usize>;

/// One installation.
struct Side {
    peers: Peers,
    webhook: bool,
    /// An older release: it writes its own whatever happens, and its webhook restores it.
    older: bool,
    /// By workload, what it knows: a version, and whose it is.
    known: Vec<(usize, Owner)>,
    /// By workload, what its watch still has to show.
    shown: Vec<VecDeque<(usize, Owner)>>,
}

struct World {
    now: Duration,
    sides: Vec<Side>,
    /// By workload.
    stands: Vec<(usize, Owner)>,
    writes: usize,
}

const KEYS: [&str; 2] = ["a", "b"];

fn name(workload: usize) -> WorkloadKey {
    super::workload(&format!("w{workload}"))
}

impl World {
    fn new(owners: &[Owner], webhooks: [bool; 2], older: Option<usize>) -> Self {
        let stands: Vec<_> = owners.iter().map(|owner| (0, *owner)).collect();
        let side = |number: usize| Side {
            peers: Peers::new(KEYS[number], TRY_AGAIN),
            webhook: webhooks[number],
            older: older == Some(number),
            known: stands.clone(),
            shown: vec![VecDeque::new(); owners.len()],
        };
        Self {
            now: at(0),
            sides: vec![side(0), side(1)],
            stands: stands.clone(),
            writes: 0,
        }
    }

    fn other(side: usize, owner: Owner) -> Option<&'static str> {
        owner
            .filter(|owner| *owner != side)
            .map(|owner| KEYS[owner])
    }

    /// A side learns what stands on a workload.
    fn learn(&mut self, side: usize, workload: usize, version: usize, owner: Owner) {
        let (known, before) = self.sides[side].known[workload];
        if version <= known {
            return;
        }
        let was = Self::other(side, before);
        let now = Self::other(side, owner);
        self.sides[side].known[workload] = (version, owner);
        let hands = match (was, now) {
            (None, Some(by)) if before == Some(side) => replaced(by),
            (Some(over), None) if owner == Some(side) => ours(over),
            _ => return,
        };
        let now = self.now;
        self.sides[side].peers.seen(&name(workload), &hands, now);
    }

    /// The watch of a side shows the next state of a workload.
    fn show(&mut self, side: usize, workload: usize) {
        if let Some((version, owner)) = self.sides[side].shown[workload].pop_front() {
            self.learn(side, workload, version, owner);
        }
    }

    /// A side writes a workload that does not have its own `observed`, if it may. Returns whether it did.
    fn act(&mut self, side: usize, workload: usize) -> bool {
        let (version, owner) = self.sides[side].known[workload];
        if owner == Some(side) {
            return false;
        }
        let other = Self::other(side, owner);
        let (now, of) = (self.now, name(workload));
        let may = if self.sides[side].older {
            May::Work
        } else {
            self.sides[side].peers.claim(&of, other, now)
        };
        if may == May::Hold {
            return false;
        }
        let stands = self.stands[workload];
        if stands.0 != version {
            self.sides[side].peers.gave_up(&of);
            return false;
        }
        self.writes += 1;
        let against = 1 - side;
        let reviewed = stands.1 == Some(against) && self.sides[against].webhook;
        let restored = reviewed
            && (self.sides[against].older
                || self.sides[against]
                    .peers
                    .restores(&of, KEYS[side], true, now));
        if restored {
            if may == May::Try {
                self.sides[side].peers.undone(&of, now);
            }
            return true;
        }
        let next = (version + 1, Some(side));
        self.stands[workload] = next;
        for each in &mut self.sides {
            each.shown[workload].push_back(next);
        }
        self.learn(side, workload, next.0, next.1);
        if may == May::Try {
            self.sides[side].peers.stands(&of, now);
        }
        true
    }

    /// Does what is drawn; what names a workload that there is not is left out.
    fn go_through(&mut self, moves: &[Move]) {
        let workloads = self.stands.len();
        for step in moves {
            match *step {
                Move::Show(side, workload) if workload < workloads => self.show(side, workload),
                Move::Act(side, workload) if workload < workloads => {
                    self.act(side, workload);
                }
                Move::Wait(seconds) => self.now += SECOND * u32::try_from(seconds).unwrap(),
                Move::Show(..) | Move::Act(..) => {}
            }
        }
    }

    /// All goes on as it does while nothing stalls, for this long. Returns how many writes that took.
    fn go_on(&mut self, seconds: u64) -> usize {
        let (before, end) = (
            self.writes,
            self.now + SECOND * u32::try_from(seconds).unwrap(),
        );
        while self.now < end {
            for side in 0..2 {
                for workload in 0..self.stands.len() {
                    while !self.sides[side].shown[workload].is_empty() {
                        self.show(side, workload);
                    }
                    self.act(side, workload);
                }
            }
            self.now += SECOND;
        }
        self.writes - before
    }

    /// Who works: all is its own, and it holds nothing.
    fn works(&mut self, side: usize) -> bool {
        let now = self.now;
        let all = self.stands.iter().all(|(_, owner)| *owner == Some(side));
        all && self.sides[side].peers.may("n", None, now) == May::Work
    }
}

#[derive(Clone, Debug)]
enum Move {
    Show(usize, usize),
    Act(usize, usize),
    Wait(u64),
}

fn moves(workloads: usize) -> impl Strategy<Value = Vec<Move>> {
    let show = (0..2usize, 0..workloads).prop_map(|(side, workload)| Move::Show(side, workload));
    let act = (0..2usize, 0..workloads).prop_map(|(side, workload)| Move::Act(side, workload));
    let wait = (1..12u64).prop_map(Move::Wait);
    proptest::collection::vec(prop_oneof![4 => show, 4 => act, 1 => wait], 0..60)
}

fn owners() -> impl Strategy<Value = Vec<Owner>> {
    let owner = prop_oneof![Just(None), Just(Some(0)), Just(Some(1))];
    proptest::collection::vec(owner, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn however_they_meet_one_of_them_works_and_writes_end(
        owners in owners(),
        webhooks in any::<[bool; 2]>(),
        moves in moves(4),
    ) {
        let mut world = World::new(&owners, webhooks, None);
        world.go_through(&moves);
        let most = 6 * owners.len() + 6;
        prop_assert!(world.go_on(60) <= most, "it does not end");
        // Both may have left it to the other. The first that tries again has it then.
        prop_assert!(world.go_on(32 * 60) <= most + 8);
        let both = [world.works(0), world.works(1)];
        // A try may be under way right now.
        world.go_on(15);
        let both = [both[0] || world.works(0), both[1] || world.works(1)];
        prop_assert!(both[0] != both[1], "{both:?} {:?}", world.stands);
        // From now on each try costs two writes, and there are four an hour at least, twelve at most.
        let writes = world.go_on(3600);
        prop_assert!(writes <= 2 * 13, "{writes} in an hour");
    }

    #[test]
    fn to_one_that_goes_on_all_the_same_the_other_yields(
        owners in owners(),
        webhooks in any::<[bool; 2]>(),
        older in 0..2usize,
        moves in moves(4),
    ) {
        let mut world = World::new(&owners, webhooks, Some(older));
        world.go_through(&moves);
        world.go_on(60);
        let all = world.stands.iter().all(|(_, owner)| *owner == Some(older));
        prop_assert!(all, "{:?}", world.stands);
        let writes = world.go_on(3600);
        prop_assert!(writes <= 2 * 13, "{writes} in an hour");
    }
}
