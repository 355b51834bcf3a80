//! Failures that do not show, or not yet.

use super::*;
use crate::model::{
    annotation::PENDING,
    pending::{Failures, Pending},
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

/// Returns whose restarts for the version of Secret `s` failed.
fn failures(stage: &Stage) -> Failures {
    assert_eq!(released(stage), [""; 0]);
    let now = stage.state.time();
    let index = stage.state.index();
    let to_show =
        stage
            .judge
            .docket()
            .brakes
            .to_show(&index, 100, later(now, SignedDuration::from_mins(1)));
    to_show.into_iter().flat_map(|one| one.failed).collect()
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
        restart_id(&tracked.workload, &restart, tracked.uses(), index.key())
    };
    let text = Pending::now(
        None,
        Held::SlowStart,
        &restart.causes,
        id,
        String::new(),
        since,
    );
    let failed = failures(stage);
    let text = text.because(&failed);
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
    runs_well(&stage, &keys[0]);
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
    let mut docket = another();
    for key in &keys {
        docket
            .brakes
            .shown(key, index.workload(key).unwrap(), began);
    }
    drop(index);
    let Some(Decision::Restart(restart)) = stage.judge.judge(&keys[1], Occasion::Look) else {
        panic!("nothing is due");
    };
    let index = stage.state.index();
    assert_eq!(docket.ask(&index, &keys[1], &restart, began), Answer::Wait);
    assert_eq!(docket.release(&index, at(2)).0, []);
    assert_eq!(docket.release(&index, at(29)).0, []);
    // Nobody can list its pods: it is rolling, and holds the others until its deadline.
    assert_eq!(docket.release(&index, at(31)).0, []);
}

#[tokio::test(start_paused = true)]
async fn who_was_broken_shows_first_whether_another_version_mends_it() {
    let (stage, keys) = failed(&["a", "b", "c"]);
    stage.edit(&keys[0], goes_down);
    stage.secret("s", "A", "z");
    assert_eq!(ask(&stage, &keys[0]), Answer::Go { alone: true });
    for key in &keys[1..] {
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    restarted(&stage, &keys[0], Some(Why::Config));
    // It was well before the version before.
    let minutes = |minutes| released_in(&stage, SignedDuration::from_mins(minutes));
    assert_eq!(minutes(2), [""; 0]);
    assert_eq!(minutes(9), [""; 0]);
    assert_eq!(minutes(11), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn whose_restart_has_no_verdict_goes_first_for_another_version() {
    let (stage, keys) = due(&["a", "b", "c"]);
    for key in &keys {
        ask(&stage, key);
    }
    assert_eq!(released(&stage), ["a"]);
    restarted(&stage, &keys[0], None);
    stage.edit(&keys[1], |object| {
        let container = &mut object["spec"]["template"]["spec"]["containers"][0];
        container["readinessProbe"] = json!({});
    });
    stage.secret("s", "A", "z");
    for key in &keys {
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    assert_eq!(released(&stage), ["a"], "b would show more");
    restarted(&stage, &keys[0], Some(Why::Config));
    let minutes = |minutes| released_in(&stage, SignedDuration::from_mins(minutes));
    assert_eq!(minutes(9), [""; 0]);
    assert_eq!(minutes(11), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn failures_that_do_not_show_any_more_keep_their_times() {
    let (stage, keys) = failed(&["a", "b", "c", "d"]);
    let minutes = |minutes| released_in(&stage, SignedDuration::from_mins(minutes));
    assert_eq!(minutes(11), ["b"]);
    stage.set_time(NOW + 660);
    restarted(&stage, &keys[1], Some(Why::Config));
    for key in &keys[2..] {
        held_since(&stage, key, 60);
    }
    for key in &keys[..2] {
        stage.judge.workload_deleted(key);
    }
    assert_eq!(minutes(19), [""; 0]);
    assert_eq!(minutes(21), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn what_others_write_of_failures_is_taken_for_true_only_where_it_can_be() {
    for (at, expected) in [(-7_200, "b"), (7_200, "b"), (0, "")] {
        let (stage, keys) = failed(&["a", "b"]);
        let mut text = None;
        held_since(&stage, &keys[1], 5);
        stage.edit(&keys[1], |object| {
            let pending = &mut object["metadata"]["annotations"][PENDING];
            let mut said = Pending::read(pending.as_str().unwrap()).unwrap();
            let at = stage.state.time() + SignedDuration::from_secs(at);
            said.failed = [("deployments/a".to_owned(), at)].into();
            *pending = json!(said.print());
            text = Some(said);
        });
        ask(&stage, &keys[1]);
        stage.judge.workload_deleted(&keys[0]);
        let gone = released_in(&stage, SignedDuration::from_mins(2));
        assert_eq!(gone.concat(), expected, "{at}: {text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_to_wait_for_one_that_was_broken_before() {
    let (stage, keys) = due(&["a", "b", "c"]);
    stage.edit(&keys[0], goes_down);
    for key in &keys {
        ask(&stage, key);
    }
    restarted(&stage, &keys[0], Some(Why::Config));
    let minute = stage.state.time() + SignedDuration::from_mins(1);
    let mut docket = stage.judge.docket();
    let (gone, news) = docket.release(&stage.state.index(), minute);
    assert_eq!(gone, [keys[1].clone()]);
    let stuck = |(_, news): &(WorkloadKey, News)| matches!(news, News::Stuck { .. });
    assert!(news.len() == 1 && news.iter().all(stuck), "{news:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_and_goes_down_meanwhile_goes_at_once() {
    let (stage, keys) = due(&["a", "b", "c"]);
    for key in &keys {
        ask(&stage, key);
    }
    assert_eq!(released(&stage), ["a"]);
    assert_eq!(released(&stage), [""; 0]);
    stage.edit(&keys[2], goes_down);
    assert_eq!(released(&stage), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_what_no_version_mends() {
    for (policy, alone, next) in [("OrderedReady", false, "b"), ("Parallel", true, "")] {
        let stage = Stage::with(slowly());
        stage.secret("s", "A", "x");
        let mut first = running("a");
        first["kind"] = json!("StatefulSet");
        first["spec"]["podManagementPolicy"] = json!(policy);
        first["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = json!({});
        let keys = [stage.adopted(first), stage.adopted(running("b"))];
        stage.secret("s", "A", "y");
        for key in &keys {
            ask(&stage, key);
        }
        assert_eq!(released(&stage), ["a"], "{policy}");
        restarted(&stage, &keys[0], Some(Why::Config));
        stage.secret("s", "A", "z");
        assert_eq!(ask(&stage, &keys[0]), Answer::Go { alone }, "{policy}");
        assert_eq!(ask(&stage, &keys[1]), Answer::Wait);
        restarted(&stage, &keys[0], None);
        stage.edit(&keys[0], goes_down);
        assert_eq!(released(&stage).concat(), next, "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn whom_its_own_distance_holds_is_waited_for_as_well() {
    let brakes = brakes::Settings {
        longest_distance: SignedDuration::from_hours(1),
        ..slowly().brakes
    };
    let (stage, keys) = due_in(Settings { brakes, ..slowly() }, &["a", "b"]);
    for key in &keys {
        ask(&stage, key);
    }
    assert_eq!(released(&stage), ["a"]);
    restarted(&stage, &keys[0], Some(Why::Config));
    stage.secret("s", "A", "z");
    assert_eq!(ask(&stage, &keys[0]), Answer::Go { alone: true });
    assert_eq!(ask(&stage, &keys[1]), Answer::Wait);
    restarted(&stage, &keys[0], Some(Why::Config));
    stage.secret("s", "A", "bad still");
    for key in &keys {
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    let reason = stage.judge.docket().brakes.waits(&keys[0]).unwrap().0;
    assert!(matches!(reason, Reason::Distance { .. }), "{reason:?}");
    assert_eq!(released(&stage), [""; 0]);
    let seconds = |seconds| released_in(&stage, SignedDuration::from_secs(seconds));
    assert_eq!(seconds(6), ["a"]);
    assert_eq!(seconds(7), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn whose_pods_are_about_to_start_has_something_to_lose() {
    let starts = |object: &mut Value| {
        let status = &mut object["status"];
        (status["availableReplicas"], status["readyReplicas"]) = (json!(0), json!(0));
    };
    // Somebody's own rollout: it has a minute.
    let (stage, keys) = due(&["a", "b", "c"]);
    let (secret, mut version) = stage.put_secret("s", "A", "z");
    version.written = NOW;
    stage.show_secret(&secret, version);
    for key in &keys[..2] {
        stage.edit(key, starts);
    }
    for key in &keys {
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    assert_eq!(released(&stage), ["c"]);
    let minute = SignedDuration::from_secs(61);
    assert_eq!(released_in(&stage, minute), ["a", "b"]);
    // Ready, and not available yet.
    let (stage, keys) = due(&["a", "b"]);
    for key in &keys {
        stage.edit(key, |object| {
            object["status"]["availableReplicas"] = json!(0);
        });
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    assert_eq!(released(&stage), ["a"]);
    // Its restart without a verdict: it goes first, and alone.
    restarted(&stage, &keys[0], None);
    stage.edit(&keys[0], starts);
    stage.secret("s", "A", "z");
    for key in &keys {
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    assert_eq!(released(&stage), ["a"]);
    assert_eq!(released_in(&stage, minute), [""; 0]);
}

/// Somebody deploys it in the very moment in which its restart is made.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_one_that_was_let_go_and_has_nothing_due_any_more() {
    let (stage, keys) = due(&["a", "b"]);
    for key in &keys {
        ask(&stage, key);
    }
    assert_eq!(released(&stage), ["a"]);
    assert!(stage.judge.docket().brakes.settled(&keys[0]));
    let next = stage.judge.docket().brakes.next();
    assert!(
        next.is_some_and(|next| next <= stage.state.time()),
        "{next:?}"
    );
    assert_eq!(released_in(&stage, SignedDuration::from_secs(11)), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn who_is_to_go_first_and_was_not_asked_for_yet_is_waited_for() {
    let (stage, keys) = due(&["a", "b"]);
    for key in &keys {
        ask(&stage, key);
    }
    assert_eq!(released(&stage), ["a"]);
    restarted(&stage, &keys[0], None);
    stage.secret("s", "A", "z");
    let seconds = |seconds| released_in(&stage, SignedDuration::from_secs(seconds));
    assert_eq!(ask(&stage, &keys[1]), Answer::Wait);
    assert_eq!(seconds(9), [""; 0]);
    // Asked for so late that those before it do not gather any more.
    stage.set_time(NOW + 9);
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    let soon = SignedDuration::from_millis(100);
    assert_eq!(released_in(&stage, soon), [""; 0]);
    stage.judge.docket().brakes.settled(&keys[0]);
    stage.set_time(NOW);
    // It has no intent: somebody suspended it, or the like.
    assert_eq!(seconds(11), ["b"]);
}
