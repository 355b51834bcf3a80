//! How reports name what others saw.

use reroll_harness::report::{Samples, percentile};

use super::others::Seen;

impl Seen {
    pub(super) fn report(&self, samples: &mut Samples, who: Option<&str>) {
        let mut add = |what: &str, value| match who {
            Some(who) => samples.of(who, what, value),
            None => samples.add(what, value),
        };
        for (share, name) in [(0.5, "p50"), (0.99, "p99"), (1.0, "slowest")] {
            add(
                &format!("write, {name}, ms"),
                percentile(&self.writes, share),
            );
            add(
                &format!("restart, {name}, ms"),
                percentile(&self.restarts, share),
            );
            add(
                &format!("/livez, {name}, ms"),
                percentile(&self.probes, share),
            );
        }
        add("writes that failed", self.failed);
        add("/livez not answered within a second", self.unanswered);
        add("Lease changed hands", self.transitions);
        add("Lease not renewed for at most, s", self.unrenewed);
        add("CPU, % of a core", self.cpu);
        add("RSS, MiB", self.rss);
    }

    pub(super) fn report_growth(&self, samples: &mut Samples, who: Option<&str>, alone: &Self) {
        let p99 = percentile(&self.writes, 0.99) - percentile(&alone.writes, 0.99);
        let slowest = percentile(&self.restarts, 1.0) - percentile(&alone.restarts, 1.0);
        for (what, value) in [
            ("p99 of writes grows by, ms", p99),
            ("slowest restart comes later by, ms", slowest),
        ] {
            match who {
                Some(who) => samples.of(who, what, value),
                None => samples.add(what, value),
            }
        }
    }
}
