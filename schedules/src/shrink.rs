//! The shortest part of a schedule that still goes wrong.
//!
//! First operations go, many at a time and then one at a time; then each that is left becomes as simple as it can be.

use crate::{Schedule, drawn::Drawn};

/// Makes a schedule that fails simpler as long as it fails. `fails` tells whether one does. Returns the simplest that was
/// found with so many tries, and how many there were.
pub fn shrink(
    seed: u64,
    operations: usize,
    tries: usize,
    fails: impl FnMut(&Schedule) -> bool,
) -> (Schedule, usize) {
    let mut shrinking = Shrinking {
        drawn: Drawn::new(seed, operations),
        left: tries,
        fails,
    };
    shrinking.shorten();
    shrinking.simplify();
    let schedule = shrinking.drawn.schedule();
    (schedule, tries - shrinking.left)
}

struct Shrinking<F> {
    drawn: Drawn,
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
        let schedule = self.drawn.schedule();
        (self.fails)(&schedule)
    }

    fn shorten(&mut self) {
        let mut size = self.drawn.steps.len() / 2;
        while size > 0 {
            let mut start = 0;
            while start < self.drawn.steps.len() && self.left > 0 {
                let end = (start + size).min(self.drawn.steps.len());
                let mut rest = self.drawn.steps.split_off(start);
                let after = rest.split_off(end - start);
                let kept = self.drawn.steps.len();
                self.drawn.steps.extend(after);
                if !self.fails() {
                    let after = self.drawn.steps.split_off(kept);
                    self.drawn.steps.append(&mut rest);
                    self.drawn.steps.extend(after);
                    start = end;
                }
            }
            size /= 2;
        }
    }

    fn simplify(&mut self) {
        for at in 0..self.drawn.steps.len() {
            while self.left > 0 && self.drawn.steps[at].simplify() {
                while !self.fails() {
                    // The last step was one too many: the tree goes back half of it.
                    if !self.drawn.steps[at].complicate() {
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
    use crate::{Fault, Operation};

    #[test]
    fn the_shortest_schedule_that_fails_is_found() {
        let fails = |schedule: &Schedule| {
            let compacted = schedule
                .steps
                .iter()
                .filter(|step| matches!(step.operation, Operation::Fault(Fault::Compact)));
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
