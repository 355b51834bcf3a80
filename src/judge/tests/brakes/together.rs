//! Values that belong together: who waits for the others, and until when.

use super::{
    gates::{after, id, reason, says},
    *,
};
use crate::{
    judge::brakes::{ToShow, moved_of},
    model::{
        SourceKey, Version,
        annotation::{
            PENDING, RELEASE, RESTART_ON, SUSPEND, TOGETHER, TOGETHER_LATEST, WAVE, WINDOW,
        },
        pending::Pending,
    },
};

/// Users of Secrets `s`, `t` and `u`, of which `s` and `t` belong together.
fn users(names: &[&str]) -> (Stage, Vec<WorkloadKey>) {
    let stage = Stage::with(slowly());
    for name in ["s", "t", "u"] {
        written(&stage, name, "x");
    }
    let user = |name: &&str| {
        let mut object = running(name);
        let annotations = &mut object["metadata"]["annotations"];
        annotations[RESTART_ON] = json!("auto, secret/t, secret/u");
        annotations[TOGETHER] = json!("secret/s, secret/t");
        stage.adopted(object)
    };
    let keys = names.iter().map(user).collect();
    (stage, keys)
}

/// Writes a Secret now.
fn written(stage: &Stage, name: &str, value: &str) -> (SourceKey, Version) {
    let (source, mut version) = stage.put_secret(name, name, value);
    version.written = stage.state.time().as_second();
    stage.show_secret(&source, version.clone());
    (source, version)
}

/// Why a restart waits, for so many minutes from now on.
fn waits(stage: &Stage, minutes: i64) -> Reason {
    let until = later(stage.state.time(), SignedDuration::from_mins(minutes));
    Reason::Together { until }
}

fn passes(stage: &Stage, seconds: i64) {
    stage.set_time(stage.state.time().as_second() + seconds);
}

const GO: Answer = Answer::Go { alone: false };

#[tokio::test(start_paused = true)]
async fn both_go_at_once() {
    let (stage, keys) = users(&["a"]);
    written(&stage, "s", "y");
    written(&stage, "t", "y");
    assert_eq!(ask(&stage, &keys[0]), GO);
}

#[tokio::test(start_paused = true)]
async fn one_waits_for_the_other() {
    let (stage, keys) = users(&["a"]);
    written(&stage, "s", "y");
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    assert_eq!(reason(&stage, &keys[0]), Some(waits(&stage, 5)));
    assert_eq!(after(&stage, 45), [""; 0]);
    written(&stage, "t", "y");
    assert_eq!(ask(&stage, &keys[0]), GO);
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_alone_goes_at_the_latest_time() {
    for (latest, seconds) in [(None, 300), (Some("10m"), 600), (Some("soon"), 300)] {
        let (stage, keys) = users(&["a"]);
        if let Some(latest) = latest {
            says(&stage, &keys[0], TOGETHER_LATEST, latest);
        }
        written(&stage, "t", "y");
        assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
        assert_eq!(after(&stage, seconds - 1), [""; 0], "{latest:?}");
        assert_eq!(after(&stage, 1), ["a"], "{latest:?}");
    }
    let (stage, keys) = users(&["a"]);
    says(&stage, &keys[0], TOGETHER_LATEST, "0s");
    written(&stage, "t", "y");
    assert_eq!(ask(&stage, &keys[0]), GO);
}

#[tokio::test(start_paused = true)]
async fn what_it_waits_for_is_told_once() {
    let (stage, keys) = users(&["a"]);
    written(&stage, "s", "y");
    ask(&stage, &keys[0]);
    let told = |seconds| {
        let now = later(stage.state.time(), SignedDuration::from_secs(seconds));
        let mut docket = stage.judge.docket();
        docket.brakes.namespace_changed(NAMESPACE, now);
        docket.release(&stage.state.index(), now).1
    };
    let news = told(1);
    let [(_, News::Gated { words })] = news.as_slice() else {
        panic!("{news:?}");
    };
    assert_eq!(
        words,
        "for Secret t to change as well, which belongs together with what has (reroll.dev/together), until 2027-01-15 08:05 UTC \
         at the latest"
    );
    assert_eq!(told(200), []);
}

#[tokio::test(start_paused = true)]
async fn a_source_beside_a_group_is_not_held_alone() {
    let (stage, keys) = users(&["a"]);
    written(&stage, "u", "y");
    assert_eq!(ask(&stage, &keys[0]), GO);
    let (stage, keys) = users(&["a"]);
    written(&stage, "u", "y");
    written(&stage, "s", "y");
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    assert_eq!(after(&stage, 10), [""; 0]);
    written(&stage, "t", "y");
    assert_eq!(ask(&stage, &keys[0]), GO, "one restart carries all");
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_holds_nothing() {
    let (stage, keys) = users(&["a"]);
    written(&stage, "s", "y");
    ask(&stage, &keys[0]);
    written(&stage, "s", "x");
    let decision = stage.judge.judge(&keys[0], Occasion::Look);
    assert!(
        !matches!(decision, Some(Decision::Restart(_))),
        "{decision:?}"
    );
    assert_eq!(reason(&stage, &keys[0]), None);
    // What changes next counts from then on.
    passes(&stage, 299);
    written(&stage, "s", "z");
    ask(&stage, &keys[0]);
    assert_eq!(reason(&stage, &keys[0]), Some(waits(&stage, 5)));
}

#[tokio::test(start_paused = true)]
async fn it_is_let_go_by_its_user_and_by_another_list() {
    let (stage, keys) = users(&["a"]);
    written(&stage, "s", "y");
    ask(&stage, &keys[0]);
    let id = id(&stage, &keys[0]);
    says(&stage, &keys[0], RELEASE, &id);
    assert_eq!(after(&stage, 1), ["a"]);
    let (stage, keys) = users(&["a"]);
    written(&stage, "s", "y");
    ask(&stage, &keys[0]);
    says(&stage, &keys[0], TOGETHER, "secret/s");
    assert_eq!(after(&stage, 1), ["a"], "one is no group");
}

#[tokio::test(start_paused = true)]
async fn a_window_is_told_before_it_and_a_wave_after_it() {
    let (stage, keys) = users(&["a", "low"]);
    says(&stage, &keys[0], WINDOW, "Fri 08:01-09:00");
    says(&stage, &keys[0], WAVE, "1");
    says(&stage, &keys[1], TOGETHER, "");
    says(&stage, &keys[1], WINDOW, "Mon");
    written(&stage, "s", "y");
    for key in &keys {
        ask(&stage, key);
    }
    assert!(matches!(reason(&stage, &keys[0]), Some(Reason::Window(_))));
    assert_eq!(after(&stage, 61), [""; 0]);
    // It counts from the change, and not from when the window opened.
    let five = SignedDuration::from_secs(300 - 61);
    let until = later(stage.state.time(), five);
    assert_eq!(reason(&stage, &keys[0]), Some(Reason::Together { until }));
    assert_eq!(after(&stage, 300 - 61), [""; 0]);
    assert_eq!(
        reason(&stage, &keys[0]),
        Some(Reason::Wave { stopped: false })
    );
}

#[tokio::test(start_paused = true)]
async fn a_higher_wave_waits_for_one_that_waits_for_its_group() {
    let (stage, keys) = users(&["low", "high"]);
    says(&stage, &keys[1], WAVE, "1");
    says(&stage, &keys[1], TOGETHER, "");
    written(&stage, "s", "y");
    for key in &keys {
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    assert_eq!(after(&stage, 200), [""; 0]);
    assert_eq!(
        reason(&stage, &keys[1]),
        Some(Reason::Wave { stopped: false })
    );
    written(&stage, "t", "y");
    ask(&stage, &keys[0]);
    assert_eq!(after(&stage, 1), ["low"]);
}

/// Writes on a workload why it waits, as the leader does.
fn shows(stage: &Stage, key: &WorkloadKey) {
    let now = stage.state.time();
    let shown = {
        let mut docket = stage.judge.docket();
        docket.brakes.to_show(&stage.state.index(), 9, now)
    };
    let [
        ToShow {
            held,
            since,
            by,
            moved,
            ..
        },
    ] = shown.as_slice()
    else {
        panic!("{shown:?}");
    };
    let id = id(stage, key);
    let pending = Pending::now(None, *held, &[], id, String::new(), *since);
    let pending = pending.held_by(by.clone()).since_moved(moved.clone());
    says(stage, key, PENDING, &pending.print());
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_after_a_crash_counts_from_the_first_change() {
    let (stage, keys) = users(&["a"]);
    let key = &keys[0];
    written(&stage, "s", "first");
    ask(&stage, key);
    let end = Some(waits(&stage, 5));
    shows(&stage, key);
    let pending = stage.object(key)["metadata"]["annotations"][PENDING].clone();
    let pending = Pending::read(pending.as_str().unwrap()).unwrap();
    assert_eq!(pending.reason, Held::Together);
    assert_eq!(pending.by, "Secret t");
    assert_eq!(pending.moved.keys().collect::<Vec<_>>(), ["secret/s"]);
    // One of them changes twice.
    passes(&stage, 100);
    let (source, version) = written(&stage, "s", "second");
    let next = Stage::again_with(slowly(), &stage.script, |next| {
        next.set_time(stage.state.time().as_second());
        next.show_secret(&source, version);
        next.show_secret_now("t");
        next.show_secret_now("u");
        next.show_now(key);
    });
    for process in [&stage, &next] {
        assert_eq!(ask(process, key), Answer::Wait);
        assert_eq!(reason(process, key), end);
        assert_eq!(after(process, 199), [""; 0]);
        assert_eq!(after(process, 1), ["a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_long_absence_nothing_is_waited_for_that_is_over() {
    let (stage, keys) = users(&["a"]);
    written(&stage, "s", "y");
    passes(&stage, 301);
    let (source, mut version) = stage.put_secret("s", "s", "y");
    version.written = stage.state.time().as_second() - 301;
    stage.show_secret(&source, version);
    assert_eq!(ask(&stage, &keys[0]), GO);
}

/// What is removed leaves no time in the object: it is as old as what is left.
#[tokio::test(start_paused = true)]
async fn what_leaves_no_time_counts_from_when_it_was_seen() {
    let (stage, keys) = users(&["a"]);
    let before = stage.state.time().as_second();
    passes(&stage, 1000);
    let show = |value: &str| {
        let (source, mut version) = stage.put_secret("s", "s", value);
        version.written = before;
        stage.show_secret(&source, version);
    };
    show("less");
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    let end = Some(waits(&stage, 5));
    assert_eq!(reason(&stage, &keys[0]), end);
    // Somebody writes a label.
    passes(&stage, 100);
    show("less");
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    assert_eq!(reason(&stage, &keys[0]), end);
    assert_eq!(after(&stage, 199), [""; 0]);
    assert_eq!(after(&stage, 1), ["a"]);
}

/// Its time goes on whatever holds it, so it is written at once.
#[tokio::test(start_paused = true)]
async fn since_when_it_counts_is_shown_at_once_behind_a_window_too() {
    let (stage, keys) = users(&["a", "other"]);
    says(&stage, &keys[0], WINDOW, "never");
    says(&stage, &keys[1], WINDOW, "never");
    says(&stage, &keys[1], TOGETHER, "");
    written(&stage, "s", "y");
    for key in &keys {
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    assert!(matches!(reason(&stage, &keys[0]), Some(Reason::Window(_))));
    shows(&stage, &keys[0]);
    let pending = stage.object(&keys[0])["metadata"]["annotations"][PENDING].clone();
    let pending = Pending::read(pending.as_str().unwrap()).unwrap();
    assert_eq!(pending.reason, Held::Window);
    assert_eq!(pending.moved.keys().collect::<Vec<_>>(), ["secret/s"]);
}

#[tokio::test(start_paused = true)]
async fn since_when_it_counts_is_shown_at_once_where_people_stop_it_too() {
    let (stage, keys) = users(&["a", "other"]);
    says(&stage, &keys[1], TOGETHER, "");
    for key in &keys {
        says(&stage, key, SUSPEND, "INC-42");
    }
    written(&stage, "s", "y");
    let now = stage.state.time();
    let shown = {
        let mut docket = stage.judge.docket();
        docket.stopped.to_show(&stage.state.index(), 9, now)
    };
    assert_eq!(shown, keys[..1]);
    let decision = stage.judge.judge(&keys[0], Occasion::Look);
    let Some(Decision::Restart(restart)) = decision else {
        panic!("{decision:?}");
    };
    let moved = moved_of(&stage.state.index(), &keys[0], &restart, now);
    assert_eq!(moved.keys().collect::<Vec<_>>(), ["secret/s"]);
}
