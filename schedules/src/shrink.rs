//! The shortest part of a schedule that still goes wrong.
//!
//! First operations go, many at a time and then one at a time; then each that is left becomes as simple as it can be.

use crate::{
    Schedule,
    drawn::{Tree, trees},
};

/// Makes a schedule that fails simpler as long as it fails. `fails` tells whether one does. Returns the simplest that was
/// found with so many tries, and how many there were.
pub fn shrink(
    seed: u64,
    operations: usize,
    tries: usize,
    fails: impl FnMut(&Schedule) -> bool,
) -> (Schedule, usize) {
    let mut shrinking = Shrinking {
        seed,
        trees: trees(seed, operations),
        left: tries,
        fails,
    };
    shrinking.shorten();
    shrinking.simplify();
    let schedule = Schedule::of(seed, &shrinking.trees);
    (schedule, tries - shrinking.left)
}

struct Shrinking<F> {
    seed: u64,
    trees: Vec<Tree>,
    /// How many tries are left.
    left: usize,
    fails: F,
}

impl<F: FnMut(&Schedule) -> bool> Shrinking<F> {
    /// Whether what is there now fails; it does not where no try is left.
    fn fails(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let schedule = Schedule::of(self.seed, &self.trees);
        (self.fails)(&schedule)
    }

    fn shorten(&mut self) {
        let mut size = self.trees.len() / 2;
        while size > 0 {
            let mut start = 0;
            while start < self.trees.len() && self.left > 0 {
                let end = (start + size).min(self.trees.len());
                let mut rest = self.trees.split_off(start);
                let after = rest.split_off(end - start);
                let kept = self.trees.len();
                self.trees.extend(after);
                if !self.fails() {
                    let after = self.trees.split_off(kept);
                    self.trees.append(&mut rest);
                    self.trees.extend(after);
                    start = end;
                }
            }
            size /= 2;
        }
    }

    fn simplify(&mut self) {
        for at in 0..self.trees.len() {
            while self.left > 0 && self.trees[at].simplify() {
                while !self.fails() {
                    // The last step was one too many: the tree goes back half of it.
                    if !self.trees[at].complicate() {
                        break;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operation;

    #[test]
    fn the_shortest_schedule_that_fails_is_found() {
        let fails = |schedule: &Schedule| {
            let compacted = schedule
                .steps
                .iter()
                .filter(|step| matches!(step.operation, Operation::Compact));
            compacted.count() >= 2
        };
        let seed = (0..1_000)
            .find(|seed| fails(&Schedule::draw(*seed, 60)))
            .unwrap();
        let (schedule, tries) = shrink(seed, 60, 1_000, fails);
        assert_eq!(schedule.steps.len(), 2, "{schedule}");
        assert!(
            schedule.steps.iter().all(|step| step.wait.is_zero()),
            "{schedule}"
        );
        assert!(tries < 500, "{tries}");
    }

    #[test]
    fn a_seed_draws_the_same_schedule_each_time() {
        let text = |seed| Schedule::draw(seed, 60).to_string();
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }
}
