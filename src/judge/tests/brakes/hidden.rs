//! Failures that do not show, or not yet.

use super::*;
use crate::model::{
    annotation::PENDING,
    pending::{self, Pending},
};

/// Of these the first was restarted, and its key is missing.
fn failed(names: &[&str]) -> (Stage, Vec<WorkloadKey>) {
    let (stage, keys) = due(names);
    for key in &keys {
        ask(&stage, key);
    }
    assert_eq!(released(&stage), [names[0]]);
    restarted(&stage, &keys[0], Some(Why::Config));
    (stage, keys)
}

/// Writes on a workload that it waits because others failed, since so many seconds after the restart.
fn held_since(stage: &Stage, key: &WorkloadKey, seconds: i64) {
    let Some(Decision::Restart(restart)) = stage.judge.judge(key, Occasion::Look) else {
        panic!("nothing is due for {key}");
    };
    let since = stage.state.time();
    let since = later(since, SignedDuration::from_secs(seconds));
    let id = {
        let index = stage.state.index();
        let tracked = index.workload(key).unwrap();
        pending::id(&tracked.workload, &restart, tracked.uses(), index.key())
    };
    let text = Pending::now(
        None,
        Held::SlowStart,
        &restart.causes,
        id,
        String::new(),
        since,
    );
    stage.edit(key, |object| {
        object["metadata"]["annotations"][PENDING] = json!(text.print());
    });
    ask(stage, key);
}

#[tokio::test(start_paused = true)]
async fn who_failed_and_is_touched_by_somebody_opens_no_room() {
    let touches: [fn(&Stage, &WorkloadKey); 5] = [
        |stage, key| {
            stage.edit(key, |object| {
                object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("app:2");
            });
        },
        |stage, key| stage.edit(key, |object| object["spec"]["paused"] = json!(true)),
        |stage, key| stage.edit(key, |object| object["spec"]["replicas"] = json!(0)),
        |stage, key| {
            stage.edit(key, |object| {
                object["metadata"]["annotations"]["reroll.dev/restart-on"] = json!("off");
            });
        },
        |stage, key| stage.judge.workload_deleted(key),
    ];
    for (number, touch) in touches.into_iter().enumerate() {
        let (stage, keys) = failed(&["a", "b", "c"]);
        for key in &keys[1..] {
            held_since(&stage, key, 5);
        }
        touch(&stage, &keys[0]);
        let wait = |minutes| released_in(&stage, SignedDuration::from_mins(minutes));
        assert_eq!(wait(2), [""; 0], "{number}");
        assert_eq!(wait(9), [""; 0], "{number}");
        // As if it were there still.
        assert_eq!(wait(11), ["b"], "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_failed_and_is_good_after_all_opens_it_at_once() {
    let (stage, keys) = failed(&["a", "b", "c"]);
    for key in &keys[1..] {
        held_since(&stage, key, 5);
    }
    let now = stage.state.time();
    let look = Look {
        new: 1,
        runs_since: Some(now),
        ..Look::default()
    };
    let mark = stage.mark(&keys[0]).as_str().unwrap().to_owned();
    stage
        .judge
        .docket()
        .brakes
        .looked(&keys[0], &mark, look, now);
    assert_eq!(
        released_in(&stage, SignedDuration::from_mins(2)),
        ["b", "c"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_process_that_has_just_started_lets_nobody_go_before_it_has_looked() {
    let (stage, keys) = failed(&["a", "b"]);
    let minute = SignedDuration::from_mins(1);
    let began = later(stage.state.time(), minute);
    let at = |seconds| later(began, SignedDuration::from_secs(seconds));
    let index = stage.state.index();
    let mut brakes = brakes::Brakes::new(slowly().brakes);
    for key in &keys {
        brakes.shown(key, index.workload(key).unwrap(), began);
    }
    drop(index);
    let Some(Decision::Restart(restart)) = stage.judge.judge(&keys[1], Occasion::Look) else {
        panic!("nothing is due");
    };
    let index = stage.state.index();
    assert_eq!(brakes.ask(&index, &keys[1], &restart, began), Answer::Wait);
    assert_eq!(brakes.release(&index, at(2)).0, []);
    assert_eq!(brakes.release(&index, at(29)).0, []);
    // Nobody can list its pods: it is rolling, and holds the others until its deadline.
    assert_eq!(brakes.release(&index, at(31)).0, []);
}

#[tokio::test(start_paused = true)]
async fn who_was_broken_shows_first_whether_another_version_mends_it() {
    let (stage, keys) = failed(&["a", "b", "c"]);
    stage.edit(&keys[0], |object| {
        object["status"]["availableReplicas"] = json!(0);
    });
    stage.secret("s", "A", "z");
    for key in &keys {
        ask(&stage, key);
    }
    restarted(&stage, &keys[0], Some(Why::Config));
    assert_eq!(released_in(&stage, SignedDuration::from_secs(79)), [""; 0]);
    // What it fails for now may have another reason.
    assert_eq!(released_in(&stage, SignedDuration::from_secs(81)), ["b"]);
}
