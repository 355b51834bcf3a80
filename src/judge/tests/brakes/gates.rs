//! Windows, waves and the release of one that waits.

use super::{pairs::keeps_distance, *};
use crate::model::{
    annotation::{RELEASE, SUSPEND, WAVE, WINDOW, WINDOW_LATEST},
    gate::window::{Closed, Window},
    index::{due as index_due, gates, windows},
    pending::Pending,
};

/// Sets an annotation of a workload.
pub(super) fn says(stage: &Stage, key: &WorkloadKey, annotation: &str, value: &str) {
    stage.edit(key, |object| {
        object["metadata"]["annotations"][annotation] = json!(value);
    });
}

pub(super) fn reason(stage: &Stage, key: &WorkloadKey) -> Option<Reason> {
    let docket = stage.judge.docket();
    docket.brakes.waits(key).map(|(reason, _)| reason)
}

const NOT_YET: Option<Reason> = Some(Reason::Wave { stopped: false });
const STOPPED: Option<Reason> = Some(Reason::Wave { stopped: true });

pub(super) fn id(stage: &Stage, key: &WorkloadKey) -> String {
    index_due::id(&stage.state.index(), key).expect("a restart is due")
}

/// Completes the rollout of a restart that was made.
fn complete(stage: &Stage, key: &WorkloadKey) {
    stage.edit(key, |object| {
        object["status"]["updatedReplicas"] = json!(2);
    });
}

/// Lets so many seconds pass, and returns who goes.
pub(super) fn after(stage: &Stage, seconds: i64) -> Vec<String> {
    stage.set_time(stage.state.time().as_second() + seconds);
    released_in(stage, SignedDuration::ZERO)
}

/// Users of one Secret that has changed, with these waves; all of them asked for.
fn in_waves(waves: &[(&str, &str)]) -> (Stage, Vec<WorkloadKey>) {
    let names: Vec<_> = waves.iter().map(|(name, _)| *name).collect();
    let (stage, keys) = due(&names);
    for (key, (_, wave)) in keys.iter().zip(waves) {
        says(&stage, key, WAVE, wave);
    }
    for key in &keys {
        ask(&stage, key);
    }
    (stage, keys)
}

// Friday, 2027-01-15 08:00 UTC, is when a stage is set.

#[tokio::test(start_paused = true)]
async fn a_window_holds_until_it_opens() {
    let (stage, keys) = due(&["a"]);
    says(&stage, &keys[0], WINDOW, "Fri 09:00-10:00");
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    let nine = later(stage.state.time(), SignedDuration::from_hours(1));
    let closed = Some(Reason::Window(Closed::Until(Some(nine))));
    assert_eq!(reason(&stage, &keys[0]), closed);
    assert_eq!(after(&stage, 3599), [""; 0]);
    assert_eq!(reason(&stage, &keys[0]), closed);
    assert_eq!(after(&stage, 1), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_let_go_is_not_restarted_after_its_window() {
    let (stage, keys) = due(&["a", "b"]);
    says(&stage, &keys[0], WINDOW, "Fri 07:00-08:01");
    ask(&stage, &keys[0]);
    assert_eq!(after(&stage, 1), ["a"]);
    // Its place in the budget comes late.
    stage.set_time(NOW + 60);
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    assert!(matches!(reason(&stage, &keys[0]), Some(Reason::Window(_))));
}

#[tokio::test(start_paused = true)]
async fn the_window_of_a_workload_counts_before_that_of_its_namespace() {
    let (stage, keys) = due(&["a", "b"]);
    let monday = Some(Window::read("Mon"));
    windows::set_namespace(&mut stage.state.index_mut(), NAMESPACE, monday);
    says(&stage, &keys[1], WINDOW, "Fri");
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    assert_eq!(ask(&stage, &keys[1]), Answer::Wait);
    assert_eq!(after(&stage, 1), ["b"]);
    assert!(matches!(reason(&stage, &keys[0]), Some(Reason::Window(_))));
    windows::set_namespace(&mut stage.state.index_mut(), NAMESPACE, None);
    restarted(&stage, &keys[1], None);
    assert_eq!(after(&stage, 61), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_cannot_be_read_holds_and_is_told_once() {
    let (stage, keys) = due(&["a"]);
    says(&stage, &keys[0], WINDOW, "at night");
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    let told = |seconds| {
        let now = later(stage.state.time(), SignedDuration::from_secs(seconds));
        let mut docket = stage.judge.docket();
        docket.brakes.namespace_changed(NAMESPACE, now);
        let (gone, news) = docket.release(&stage.state.index(), now);
        assert_eq!(gone, []);
        news
    };
    let news = told(1);
    let [(_, News::Gated { words })] = news.as_slice() else {
        panic!("{news:?}");
    };
    assert!(words.contains("cannot be read"), "{words}");
    assert_eq!(told(3600 * 24 * 365), []);
}

#[tokio::test(start_paused = true)]
async fn changes_that_never_stop_do_not_put_off_the_latest_time() {
    let (stage, keys) = due(&["a"]);
    let key = &keys[0];
    let change = |value: &str| {
        let (source, mut version) = stage.put_secret("s", "A", value);
        version.written = stage.state.time().as_second();
        stage.show_secret(&source, version);
    };
    change("first");
    says(&stage, key, WINDOW, "Mon");
    says(&stage, key, WINDOW_LATEST, "10h");
    assert_eq!(ask(&stage, key), Answer::Wait);
    // It is written at once since when it waits.
    let to_show = |stage: &Stage| {
        let now = stage.state.time();
        let mut docket = stage.judge.docket();
        docket.brakes.to_show(&stage.state.index(), 9, now)
    };
    let shown = to_show(&stage);
    assert_eq!(shown.len(), 1);
    let text = {
        let since = stage.state.time();
        let id = id(&stage, key);
        Pending::now(None, shown[0].held, &[], id, String::new(), since).print()
    };
    says(&stage, key, "reroll.dev/pending", &text);
    assert!(to_show(&stage).is_empty());
    for hour in 1..10 {
        stage.set_time(NOW + hour * 3600);
        change(&format!("value {hour}"));
        assert_eq!(ask(&stage, key), Answer::Wait);
        assert_eq!(after(&stage, 1), [""; 0], "{hour}");
    }
    stage.set_time(NOW + 36_000);
    assert_eq!(after(&stage, 0), ["a"]);
}

/// As where its annotations leave no room.
#[tokio::test(start_paused = true)]
async fn one_that_cannot_show_why_it_waits_keeps_no_other_from_it() {
    let (stage, keys) = due(&["a", "b"]);
    for key in &keys {
        says(&stage, key, WINDOW, "Mon");
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    let shown = |seconds| {
        let now = later(stage.state.time(), SignedDuration::from_secs(seconds));
        let mut docket = stage.judge.docket();
        let shown = docket.brakes.to_show(&stage.state.index(), 1, now);
        shown
            .into_iter()
            .map(|one| one.key.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(60), ["a"]);
    assert_eq!(shown(61), ["b"]);
    assert_eq!(shown(62), [""; 0]);
    assert_eq!(shown(70), ["a"], "it is tried again");
}

#[tokio::test(start_paused = true)]
async fn lower_waves_are_complete_first() {
    let (stage, keys) = in_waves(&[("five", "5"), ("zero", "0"), ("first", "-1")]);
    let [five, zero, first] = keys.as_slice() else {
        panic!();
    };
    assert_eq!(released(&stage), ["first"]);
    assert_eq!(reason(&stage, zero), NOT_YET);
    assert_eq!(reason(&stage, five), NOT_YET);
    restarted(&stage, first, None);
    assert_eq!(after(&stage, 120), [""; 0], "good, but not complete");
    complete(&stage, first);
    assert_eq!(after(&stage, 2), ["zero"]);
    restarted(&stage, zero, None);
    complete(&stage, zero);
    assert_eq!(reason(&stage, five), NOT_YET);
    assert_eq!(after(&stage, 2), [""; 0], "complete, but not good yet");
    assert_eq!(after(&stage, 120), ["five"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_one_of_a_lower_wave_that_does_not_come() {
    type Edit = fn(&mut Value);
    let rows: [(&str, Edit, bool); 10] = [
        ("as it is", |_| (), true),
        (
            "its window is closed",
            |it| it["metadata"]["annotations"][WINDOW] = json!("Mon"),
            true,
        ),
        (
            "suspended",
            |it| it["metadata"]["annotations"][SUSPEND] = json!("true"),
            false,
        ),
        (
            "owned",
            |it| {
                it["metadata"]["ownerReferences"] = json!([{
                    "apiVersion": "example.com/v1", "kind": "App", "name": "app", "uid": "u", "controller": true,
                }]);
            },
            false,
        ),
        (
            "scaled to zero",
            |it| it["spec"]["replicas"] = json!(0),
            false,
        ),
        ("paused", |it| it["spec"]["paused"] = json!(true), false),
        (
            "not opted in",
            |it| {
                it["metadata"]["annotations"]["reroll.dev/restart-on"] = json!("off");
            },
            false,
        ),
        (
            "opt-in unreadable",
            |it| {
                it["metadata"]["annotations"]["reroll.dev/restart-on"] = json!("secret/");
            },
            false,
        ),
        ("down", goes_down, false),
        (
            "going away",
            |it| it["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:00:00Z"),
            false,
        ),
    ];
    for (what, edit, waits) in rows {
        let (stage, keys) = due(&["low", "high"]);
        says(&stage, &keys[1], WAVE, "1");
        stage.edit(&keys[0], edit);
        stage.judge.judge(&keys[0], Occasion::Look);
        let goes = ask(&stage, &keys[1]) != Answer::Wait || released(&stage) == ["high"];
        assert_eq!(goes, !waits, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_all_reasons_of_being_held_only_brakes_hold_a_higher_wave() {
    for held in Held::ALL {
        let (stage, keys) = due(&["low", "high"]);
        says(&stage, &keys[1], WAVE, "1");
        stage.judge.docket().held.hold(&keys[0], Some(held));
        let goes = ask(&stage, &keys[1]) != Answer::Wait || released(&stage) == ["high"];
        let brakes = [
            Held::Window,
            Held::Together,
            Held::Wave,
            Held::SlowStart,
            Held::Spread,
            Held::Distance,
        ];
        assert_eq!(goes, !brakes.contains(&held), "{held:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn behind_one_that_failed_a_wave_is_stopped() {
    // What is done then, and whether the higher wave goes on.
    type Do = fn(&Stage, &[WorkloadKey]);
    let rows: [(&str, Do, bool); 6] = [
        ("nothing", |_, _| (), false),
        (
            "it is good after all",
            |stage, keys| {
                runs_well(stage, &keys[0]);
                complete(stage, &keys[0]);
                stage.set_time(NOW + 660);
            },
            true,
        ),
        (
            "it is deleted",
            |stage, keys| {
                stage.judge.workload_deleted(&keys[0]);
            },
            true,
        ),
        (
            "it is scaled to zero",
            |stage, keys| {
                stage.edit(&keys[0], |it| it["spec"]["replicas"] = json!(0));
            },
            true,
        ),
        (
            "the higher one is released",
            |stage, keys| {
                let id = id(stage, &keys[1]);
                says(stage, &keys[1], RELEASE, &id);
            },
            true,
        ),
        (
            "another restart is released",
            |stage, keys| {
                says(stage, &keys[1], RELEASE, "another");
            },
            false,
        ),
    ];
    for (what, act, goes) in rows {
        let (stage, keys) = in_waves(&[("low", "0"), ("high", "1")]);
        assert_eq!(released(&stage), ["low"]);
        restarted(&stage, &keys[0], Some(Why::Config));
        assert_eq!(after(&stage, 2), [""; 0], "{what}");
        assert_eq!(reason(&stage, &keys[1]), STOPPED, "{what}");
        act(&stage, &keys);
        let gone = [after(&stage, 2), after(&stage, 2)].concat();
        assert_eq!(gone == ["high"], goes, "{what}: {gone:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_shown_at_once_and_counts_when_it_does_not_show_any_more() {
    let (stage, keys) = in_waves(&[("low", "0"), ("high", "1")]);
    assert_eq!(released(&stage), ["low"]);
    let to_show = || {
        let now = stage.state.time();
        let mut docket = stage.judge.docket();
        docket.brakes.to_show(&stage.state.index(), 9, now)
    };
    assert_eq!(after(&stage, 2), [""; 0]);
    assert!(to_show().is_empty(), "nothing failed yet");
    restarted(&stage, &keys[0], Some(Why::Config));
    assert_eq!(after(&stage, 2), [""; 0]);
    let shown = to_show();
    let [one] = shown.as_slice() else {
        panic!("{shown:?}");
    };
    assert_eq!((one.key.name.as_str(), one.held), ("high", Held::Wave));
    assert!(one.failed.contains_key("deployments/low"), "{shown:?}");
    let id = id(&stage, &keys[1]);
    let pending = Pending::now(None, one.held, &[], id, one.by.clone(), one.since);
    let text = pending.because(&one.failed).print();
    says(&stage, &keys[1], "reroll.dev/pending", &text);
    stage.edit(&keys[0], |it| it["spec"]["replicas"] = json!(0));
    // The wave lets it go, and slow start does not.
    assert_eq!([after(&stage, 2), after(&stage, 2)], [[""; 0]; 2]);
    assert!(matches!(
        reason(&stage, &keys[1]),
        Some(Reason::SlowStart { next: Some(_) })
    ));
    assert_eq!(after(&stage, 580), [""; 0]);
    assert_eq!(after(&stage, 20), ["high"]);
}

#[tokio::test(start_paused = true)]
async fn another_version_begins_the_waves_anew() {
    let (stage, keys) = in_waves(&[("low", "0"), ("high", "1")]);
    assert_eq!(released(&stage), ["low"]);
    restarted(&stage, &keys[0], Some(Why::Config));
    assert_eq!(after(&stage, 2), [""; 0]);
    assert_eq!(reason(&stage, &keys[1]), STOPPED);
    stage.secret("s", "A", "z");
    assert_eq!(ask(&stage, &keys[1]), Answer::Wait);
    // Its restart before failed: it has nothing to lose.
    assert_eq!(ask(&stage, &keys[0]), Answer::Go { alone: true });
    assert_eq!(after(&stage, 2), [""; 0]);
    assert_eq!(reason(&stage, &keys[1]), NOT_YET);
    restarted(&stage, &keys[0], None);
    complete(&stage, &keys[0]);
    assert_eq!(after(&stage, 120), ["high"]);
}

#[tokio::test(start_paused = true)]
async fn a_release_lets_one_restart_past_everything() {
    let (stage, keys) = due(&["a", "b"]);
    let key = &keys[1];
    says(&stage, key, SUSPEND, "true");
    says(&stage, key, WINDOW, "Mon");
    says(&stage, key, WAVE, "1");
    let waits = |stage: &Stage| stage.judge.docket().intents.waits(key);
    // What was filed before it was suspended finds that out.
    stage.judge.docket().intents.settled(key);
    let restart = |stage: &Stage| match stage.judge.judge(key, Occasion::Look) {
        Some(Decision::Restart(restart)) => restart,
        decision => panic!("{decision:?}"),
    };
    says(&stage, key, RELEASE, "another");
    stage.judge.judge(key, Occasion::Look);
    assert!(!waits(&stage), "it is suspended");
    let released = id(&stage, key);
    says(&stage, key, RELEASE, &released);
    stage.judge.judge(key, Occasion::Look);
    assert!(waits(&stage), "it has an intent again");
    assert!(stage.judge.judge_taken(key).released);
    let answer = braking::ask(&stage.judge, key, &restart(&stage));
    assert_eq!(answer, Answer::Go { alone: false });
    // Another change is another restart.
    stage.secret("s", "A", "z");
    assert!(!stage.judge.judge_taken(key).released);
    let answer = braking::ask(&stage.judge, key, &restart(&stage));
    assert_eq!(answer, Answer::Wait);
}

#[tokio::test(start_paused = true)]
async fn of_others_and_its_own_distance_the_others_are_told() {
    let mut settings = slowly();
    settings.brakes.longest_distance = SignedDuration::from_hours(1);
    let (stage, keys) = due_in(settings, &["a", "b"]);
    keeps_distance(&stage, &keys[1]);
    for key in &keys {
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    assert_eq!(released(&stage), ["a"]);
    restarted(&stage, &keys[0], None);
    assert_eq!(after(&stage, 1), [""; 0]);
    assert_eq!(
        reason(&stage, &keys[1]),
        Some(Reason::SlowStart { next: None })
    );
    // The other one is good, and its own distance is left.
    assert_eq!(after(&stage, 100), [""; 0]);
    let told = reason(&stage, &keys[1]);
    assert!(
        matches!(told, Some(Reason::Distance { next: Some(_) })),
        "{told:?}"
    );
    assert_eq!(after(&stage, 300), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_no_window_any_more_goes_at_once() {
    let (stage, keys) = due(&["a"]);
    says(&stage, &keys[0], WINDOW, "Mon");
    ask(&stage, &keys[0]);
    assert_eq!(after(&stage, 10), [""; 0]);
    stage.edit(&keys[0], |object| {
        let annotations = object["metadata"]["annotations"].as_object_mut();
        annotations.unwrap().remove(WINDOW);
    });
    assert_eq!(after(&stage, 0), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_a_gate_names_those_that_failed() {
    let (stage, keys) = in_waves(&[("low", "0"), ("high", "1")]);
    assert_eq!(released(&stage), ["low"]);
    restarted(&stage, &keys[0], Some(Why::Config));
    assert_eq!(after(&stage, 40), [""; 0]);
    let now = stage.state.time();
    let mut docket = stage.judge.docket();
    let shown = docket.brakes.to_show(&stage.state.index(), 9, now);
    let [one] = shown.as_slice() else {
        panic!("{shown:?}");
    };
    assert_eq!(one.held, Held::Wave);
    assert_eq!(one.by, "Deployment low");
    let failed: Vec<_> = one.failed.keys().map(String::as_str).collect();
    assert_eq!(failed, ["deployments/low"]);
}

#[tokio::test(start_paused = true)]
async fn a_release_passes_the_stop_of_the_workload_alone() {
    let (stage, keys) = due(&["a"]);
    says(&stage, &keys[0], SUSPEND, "needs approval");
    let released = id(&stage, &keys[0]);
    says(&stage, &keys[0], RELEASE, &released);
    assert!(!stage.judge.judge_taken(&keys[0]).is_held_back());
    let freeze = Some("INC-42".to_owned());
    gates::set_namespace_stop(&mut stage.state.index_mut(), NAMESPACE, freeze);
    assert!(stage.judge.judge_taken(&keys[0]).is_held_back());
    gates::set_namespace_stop(&mut stage.state.index_mut(), NAMESPACE, None);
    gates::set_stop(&mut stage.state.index_mut(), Some("freeze".to_owned()));
    assert!(stage.judge.judge_taken(&keys[0]).is_held_back());
}
