//! The table: what happens, what was simulated, and what it may be.

#![allow(clippy::cast_precision_loss, reason = "minutes and counts are small")]

use std::fmt;

use crate::simulation::{Pod, Run, Seconds, User, World, alike, rewritten, run, tenant};

/// So many users has a source, where nothing else is said.
const USERS: usize = 500;
const MINUTE: Seconds = 60;
const HOUR: Seconds = 60 * MINUTE;

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What happens.
    pub(crate) input: &'static str,
    /// What was simulated.
    pub(crate) is: f64,
    /// What the design says.
    pub(crate) says: f64,
    /// Of what.
    pub(crate) unit: &'static str,
}

impl Row {
    /// Whether it is more than the design says, by so much that something is wrong.
    pub(crate) fn is_beyond(&self) -> bool {
        self.is > self.says * 1.3
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            input,
            is,
            says,
            unit,
        } = self;
        write!(f, "| {input} | {is:.1} {unit} | {says} {unit} |")
    }
}

/// Returns all rows.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    healthy(&mut rows);
    failing(&mut rows);
    bad(&mut rows);
    together(&mut rows);
    rows
}

/// Returns after how many minutes the last of so many users is restarted where all is well, and the first pod of a rollout is
/// ready after so long.
pub(crate) fn healthy_in(users: usize, first: Seconds) -> f64 {
    minutes(&run(World::until(3 * HOUR), alike(users, Pod::Runs(first))))
}

fn minutes(run: &Run) -> f64 {
    run.restarted
        .values()
        .max()
        .map_or(f64::INFINITY, |last| *last as f64 / 60.0)
}

fn healthy(rows: &mut Vec<Row>) {
    // The first pod of a rollout that takes D in all.
    for (input, first, says) in [
        (
            "all healthy, a rollout takes 2 s: last restarted after",
            2,
            2.6,
        ),
        ("all healthy, 10 s", 10, 3.7),
        ("all healthy, 60 s (one pod 20 s)", 20, 5.0),
        ("all healthy, 20 min (one pod 5 min)", 5 * MINUTE, 42.0),
        ("all healthy, 40 min (DaemonSet, 12 s a pod)", 12, 4.0),
    ] {
        rows.push(Row {
            input,
            is: healthy_in(USERS, first),
            says,
            unit: "min",
        });
    }
}

fn failing(rows: &mut Vec<Row>) {
    for (input, number, says) in [
        ("one unrelated failure first", 1, 14.0),
        ("three at the start", 3, 75.0),
    ] {
        let mut users = alike(USERS, Pod::Runs(10));
        for user in users.iter_mut().take(number) {
            user.sources = vec![(0, Pod::Config)];
        }
        let run = run(World::until(6 * HOUR), users);
        rows.push(Row {
            input,
            is: minutes(&run),
            says,
            unit: "min",
        });
    }
    for (input, percent, says) in [
        ("1 % fail by themselves, median of 51", 1, 3.7),
        ("5 % fail by themselves, median of 51", 5, 3.9),
    ] {
        let mut all: Vec<_> = (0..51)
            .map(|seed| minutes(&run(World::until(6 * HOUR), flaky(seed, percent))))
            .collect();
        all.sort_by(f64::total_cmp);
        rows.push(Row {
            input,
            is: all[25],
            says,
            unit: "min",
        });
    }
}

/// Returns users of whom so many in a hundred fail whatever the value.
fn flaky(seed: u64, percent: u64) -> Vec<User> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut users = alike(USERS, Pod::Runs(10));
    for user in &mut users {
        if random.u64(0..100) < percent {
            user.sources = vec![(0, Pod::Config)];
        }
    }
    users
}

fn bad(rows: &mut Vec<Row>) {
    let kinds = [
        ("config error", Pod::Config),
        ("crash at once", Pod::Ends(0)),
        ("crash after 15 s", Pod::Ends(15)),
        ("crash after 59 s", Pod::Ends(59)),
        ("never ready", Pod::NeverReady),
    ];
    for (kind, pod) in kinds {
        let run = run(World::until(60 * HOUR), alike(USERS, pod));
        let until = |end: Seconds| run.restarted.values().filter(|at| **at < end).count() as f64;
        for (after, end, says) in [
            ("at first sight", 5 * MINUTE, 1.0),
            ("after 1 h", HOUR, 3.0),
            ("after 24 h", 24 * HOUR, 8.0),
            ("after 60 h", 60 * HOUR, 9.0),
        ] {
            let input: &'static str = format!("bad, {kind}: broken {after}").leak();
            rows.push(Row {
                input,
                is: until(end),
                says,
                unit: "",
            });
        }
    }
    let killed = World {
        killed_every: 20,
        ..World::until(HOUR)
    };
    let run = run(killed, alike(USERS, Pod::Config));
    let input = "bad, and reroll is killed every 20 s: broken in 1 h";
    rows.push(Row {
        input,
        is: run.broken.len() as f64,
        says: 3.0,
        unit: "",
    });
}

fn together(rows: &mut Vec<Row>) {
    let (good, bad) = ((0, Pod::Runs(10)), (1, Pod::Config));
    let mut users = vec![User::of(0, vec![good, bad]); 100];
    users.extend(vec![User::of(0, vec![good]); 400]);
    users.extend(vec![User::of(0, vec![bad]); 100]);
    let both = run(World::until(4 * HOUR), users);
    let last = both
        .restarted
        .iter()
        .filter(|(which, _)| (100..500).contains(*which))
        .map(|(_, at)| *at);
    let is = last.max().map_or(f64::INFINITY, |last| last as f64 / 60.0);
    let input = "400 use a good source, 100 both, 100 a bad one alone, changed together: the 400 are done after";
    rows.push(Row {
        input,
        is,
        says: 4.0,
        unit: "min",
    });

    let input = "a tenant makes a workload fail every minute, 200 other namespaces: the others wait at most";
    rows.push(Row {
        input,
        is: tenant(6) as f64,
        says: 0.0,
        unit: "s",
    });

    let down = |slow_start| {
        let mut users = alike(USERS, Pod::Runs(10));
        for user in &mut users {
            user.down = true;
        }
        let world = World {
            slow_start,
            ..World::until(HOUR)
        };
        run(world, users).down as f64 / 60.0
    };
    let input = "a credential was revoked, the new value is good: down, as user-minutes, beside no slow start";
    rows.push(Row {
        input,
        is: down(true),
        says: down(false),
        unit: "min",
    });

    for (input, every) in [
        (
            "a source that changes every minute: restarts of one user in an hour",
            60,
        ),
        ("a source that changes every 61 s", 61),
    ] {
        rows.push(Row {
            input,
            is: rewritten(every, HOUR).len() as f64,
            says: 12.0,
            unit: "",
        });
    }
}
