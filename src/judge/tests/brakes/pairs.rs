//! Two of all that may hold a restart at a time: each holds, the first in the order is told, and when both are open there is one
//! restart.

use std::time::Duration;

use tokio::time::advance;

use super::{gates::says, *};
use crate::{
    judge::{bucket::Pacing, intents::Finish},
    model::{
        annotation::{RESTART_ON, SLOW_START, TOGETHER, TOGETHER_LATEST, WAVE, WINDOW},
        workload::Opened,
    },
};

/// Of users of one Secret: one of a lower wave, the one that is held, and one that others look at.
struct Users {
    lower: WorkloadKey,
    held: WorkloadKey,
    other: WorkloadKey,
}

/// What holds a restart, and how it is opened.
struct Gate {
    name: &'static str,
    /// What is told; `None`: it counts as due, and waits for its turn.
    told: Option<Held>,
    /// Whether the restart comes here only when the gates before let it.
    comes_after: bool,
    closes: fn(&Stage, &Users),
    opens: fn(&Stage, &Users),
}

/// In the order in which they are told.
const GATES: [Gate; 8] = [
    Gate {
        name: "suspend",
        told: Some(Held::Suspended),
        comes_after: false,
        closes: |stage, users| says(stage, &users.held, SUSPEND, "true"),
        opens: |stage, users| says(stage, &users.held, SUSPEND, "false"),
    },
    Gate {
        name: "window",
        told: Some(Held::Window),
        comes_after: false,
        closes: |stage, users| says(stage, &users.held, WINDOW, "Mon"),
        opens: |stage, users| says(stage, &users.held, WINDOW, "Fri"),
    },
    Gate {
        name: "together",
        told: Some(Held::Together),
        comes_after: false,
        closes: |stage, users| {
            stage.secret("t", "T", "x");
            // A moment ago.
            let (source, mut version) = stage.put_secret("s", "A", "y");
            version.written = stage.state.time().as_second();
            stage.show_secret(&source, version);
            says(stage, &users.held, RESTART_ON, "auto, secret/t");
            says(stage, &users.held, TOGETHER, "secret/s, secret/t");
            says(stage, &users.held, TOGETHER_LATEST, "24h");
        },
        opens: |stage, users| says(stage, &users.held, TOGETHER, "secret/s"),
    },
    Gate {
        name: "wave",
        told: Some(Held::Wave),
        comes_after: false,
        closes: |stage, users| {
            says(stage, &users.held, WAVE, "1");
            says(stage, &users.lower, WINDOW, "Mon");
        },
        opens: |stage, users| says(stage, &users.lower, SUSPEND, "true"),
    },
    Gate {
        name: "slow start",
        told: Some(Held::SlowStart),
        comes_after: false,
        closes: |stage, users| restarted(stage, &users.other, Some(Why::Config)),
        opens: |stage, users| says(stage, &users.held, SLOW_START, "off"),
    },
    Gate {
        name: "budget",
        told: None,
        comes_after: true,
        closes: |stage, users| {
            let mut docket = stage.judge.docket();
            docket.intents.restarted(&users.other, Instant::now());
        },
        opens: |stage, users| {
            let mut docket = stage.judge.docket();
            docket.intents.rolls(&users.other, false, Instant::now());
        },
    },
    Gate {
        name: "distance",
        told: Some(Held::Distance),
        comes_after: false,
        closes: |stage, users| keeps_distance(stage, &users.held),
        opens: |stage, _| stage.set_time(stage.state.now() + 350),
    },
    Gate {
        name: "rate",
        told: None,
        comes_after: true,
        closes: |stage, users| {
            let mut docket = stage.judge.docket();
            docket.intents.settled(&users.other);
            docket
                .intents
                .noticed(&users.other, Instant::now(), Duration::ZERO);
            docket.intents.let_past(&users.other);
            let taken = docket.intents.take(Instant::now()).unwrap();
            assert_eq!(taken.workload, users.other);
            docket.intents.finish(taken, Finish::Over, Instant::now());
        },
        opens: |_, _| {},
    },
];

/// It was restarted just now, and is to keep a distance of five minutes.
pub(super) fn keeps_distance(stage: &Stage, key: &WorkloadKey) {
    let opened = Opened {
        at: stage.state.time(),
        mark: stage.mark(key).as_str().unwrap_or_default().to_owned(),
        distance: SignedDuration::from_mins(5),
        unavailable: 0,
        well: true,
        versions: std::collections::BTreeMap::new(),
        alone: false,
        generation: 0,
        template: stage.state.index().workload(key).unwrap().workload.print,
    };
    says(stage, key, ROLLOUT_OPENED, &opened.print());
}

/// Three users of a Secret that has changed, long enough ago.
async fn users(first: &Gate, second: &Gate) -> (Stage, Users) {
    let mut settings = slowly();
    settings.brakes.longest_distance = SignedDuration::from_hours(1);
    let has = |name| first.name == name || second.name == name;
    settings.bounds.rolling = has("budget").then_some(1);
    settings.bounds.all = Pacing {
        rate: has("rate").then_some(0.005),
        burst: 1,
    };
    let (stage, keys) = due_in(settings, &["lower", "held", "other"]);
    let [lower, held, other] = keys.try_into().unwrap();
    says(&stage, &other, WAVE, "2");
    for key in [&lower, &other] {
        stage.judge.docket().intents.settled(key);
    }
    advance(Duration::from_secs(5)).await;
    let users = Users { lower, held, other };
    (stage, users)
}

/// Carries out what is due of the one that is held, as a restarter does. Returns whether it was restarted.
async fn is_restarted(stage: &Stage, users: &Users) -> bool {
    advance(SETTLE).await;
    let release = || {
        stage.set_time(stage.state.now() + 1);
        braking::release(&stage.judge);
    };
    release();
    let take = || stage.judge.docket().intents.take(Instant::now());
    let mut was = false;
    while let Some(intent) = take() {
        let key = intent.workload.clone();
        let judged = stage.judge.judge_taken(&key);
        let due = match &judged.decision {
            Some(Decision::Restart(restart)) if key == users.held && !judged.is_held_back() => {
                Some(restart)
            }
            _ => None,
        };
        let answer = due.map(|restart| braking::ask(&stage.judge, &key, restart));
        let mut docket = stage.judge.docket();
        let finish = match answer {
            Some(Answer::Wait) => Finish::Parked,
            Some(Answer::Go { .. }) | None => Finish::Over,
        };
        if !matches!(answer, Some(Answer::Go { .. })) {
            docket.intents.unused();
        }
        docket.intents.finish(intent, finish, Instant::now());
        drop(docket);
        if let Some(Answer::Go { .. }) = answer {
            assert!(!was, "twice in one turn");
            restarted(stage, &key, None);
            was = true;
        }
    }
    // Of those who were just asked it shows only now what of all holds them.
    release();
    was
}

/// Returns what is told of the one that is held.
fn told(stage: &Stage, users: &Users) -> Option<Held> {
    let docket = stage.judge.docket();
    let waits = docket.brakes.waits(&users.held);
    let mut each = docket.brakes.each();
    let braked = each.find(|(key, _)| **key == users.held);
    let told = docket.held.of(&users.held).filter(|held| !held.is_braked());
    assert!(waits.is_none() || told.is_none(), "{waits:?} and {told:?}");
    told.or(braked.map(|(_, held)| held))
}

async fn opens(gate: &Gate, stage: &Stage, users: &Users) {
    if gate.name == "rate" {
        advance(Duration::from_secs(201)).await;
    }
    (gate.opens)(stage, users);
}

#[tokio::test(start_paused = true)]
async fn of_two_gates_the_first_is_told_and_both_have_to_open() {
    for (one, first) in GATES.iter().enumerate() {
        for second in &GATES[one + 1..] {
            for first_opens_first in [true, false] {
                let what = format!("{} and {}, {first_opens_first}", first.name, second.name);
                let (stage, users) = users(first, second).await;
                // Who has no turn yet was not asked for what else holds it.
                let (early, late): (Vec<_>, Vec<_>) =
                    [second, first].into_iter().partition(|it| !it.comes_after);
                for gate in early {
                    (gate.closes)(&stage, &users);
                }
                if !first.comes_after {
                    assert!(!is_restarted(&stage, &users).await, "{what}");
                    assert_eq!(told(&stage, &users), first.told, "{what}");
                }
                for gate in late {
                    (gate.closes)(&stage, &users);
                }
                assert!(!is_restarted(&stage, &users).await, "{what}");
                assert_eq!(told(&stage, &users), first.told, "{what}");
                let (next, left) = if first_opens_first {
                    (first, second)
                } else {
                    (second, first)
                };
                opens(next, &stage, &users).await;
                for _ in 0..3 {
                    assert!(!is_restarted(&stage, &users).await, "{what}");
                    assert_eq!(told(&stage, &users), left.told, "{what}");
                }
                opens(left, &stage, &users).await;
                let mut restarts = 0;
                for _ in 0..5 {
                    restarts += usize::from(is_restarted(&stage, &users).await);
                }
                assert_eq!(restarts, 1, "{what}");
                assert_eq!(told(&stage, &users), None, "{what}");
            }
        }
    }
}
