//! An older decision is never filed after a newer one: the docket is locked from before a decision until what follows is
//! filed.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Condvar;

use super::*;
use crate::{
    judge::{Judge, Occasion},
    model::{
        WorkloadKey,
        annotation::SUSPEND,
        held::Held,
        index::{By, Overlay, Tick},
    },
};

/// Longer than `parking_lot` lets a lock be held without handing it to who waits for it when it is released.
const HANDED_ON: Duration = Duration::from_millis(2);
const DEADLINE: Duration = Duration::from_secs(5);

/// One way to decide, and file what follows.
type Decide = fn(&Judge, &WorkloadKey, Tick);

const WAYS: [(&str, Decide); 3] = [
    ("judge", |judge, key, _| {
        drop(judge.judge(key, Occasion::Look));
    }),
    ("judge_taken", |judge, key, _| drop(judge.judge_taken(key))),
    ("judge_read", |judge, key, asked| {
        drop(judge.judge_read(key, asked, &[]));
    }),
];

/// Has one thread decide that there is nothing to do, and another, which waits for the docket meanwhile, that there is:
/// whenever the first lets go of the docket, the second has it.
fn decide_twice(stage: &Stage, web: &WorkloadKey, decide: Decide) {
    let (judge, index) = (&*stage.judge, &stage.state);
    let (source, newer) = stage.put_secret("s", "A", "y");
    let (turn, (waits, waiting)) = (Condvar::new(), mpsc::channel());
    thread::scope(|threads| {
        threads.spawn(|| {
            let mut docket = judge.docket();
            waits.send(()).unwrap();
            turn.wait_for(&mut docket, DEADLINE * 2);
            let mut index = index.index_mut();
            index.take_source(&source, newer, By::Event);
            let judged = index.judge(web, &Overlay::new());
            drop(index);
            judge.file(&mut docket, web, &judged, Occasion::Change(&source.source));
        });
        waiting.recv().unwrap();
        // It waits by now, for that gave the docket back.
        drop(judge.docket());
        let asked = judge.tick();
        let gate = index.index_mut();
        threads.spawn(move || decide(judge, web, asked));
        let began = Instant::now();
        while !judge.docket.is_locked() {
            assert!(began.elapsed() < DEADLINE, "it decides without the docket");
            thread::yield_now();
        }
        // The other thread waits for the docket now, and not for its turn: parking_lot sees to that.
        assert!(turn.notify_one());
        while began.elapsed() < HANDED_ON {
            thread::yield_now();
        }
        drop(gate);
    });
}

#[test]
fn what_a_newer_decision_filed_is_not_taken_back_by_an_older_one() {
    for (way, decide) in WAYS {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let stage = Stage::set();
        stage.secret("s", "A", "x");
        let web = stage.adopted(annotate(deployment("web", &["s"]), SUSPEND, "true"));
        decide_twice(&stage, &web, decide);
        let held = stage.judge.docket().held.of(&web);
        assert_eq!(held, Some(Held::Suspended), "{way}");
    }
}

#[test]
fn an_intent_of_a_newer_decision_is_not_lost_to_an_older_one() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    let (_, decide) = WAYS[0];
    decide_twice(&stage, &web, decide);
    assert!(
        stage.judge.docket().intents.waits(&web),
        "a restart is lost"
    );
    assert_eq!(stage.metric("reroll_intents_total{outcome=\"void\"}"), 0);
}
