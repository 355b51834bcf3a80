//! The brakes in the judge's hands: who waits, who goes, and what a process that has just started makes of it.

mod gates;
mod hidden;
mod memory;
mod off;
mod pairs;
mod together;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::{
    judge::{
        Docket, Occasion, Settings,
        brakes::{self, Answer, News, Reason},
        braking,
    },
    model::{
        Decision, WorkloadKey,
        annotation::{RESTARTED_FOR, ROLLOUT_OPENED, SUSPEND},
        brake::{
            later,
            look::{Asked, Look, Reason as Why, Said, Trouble},
            verdict::Patience,
        },
        decide::restart_id,
        held::Held,
        testing::NAMESPACE,
    },
};

fn slowly() -> Settings {
    Settings {
        brakes: brakes::Settings {
            slow_start: true,
            patience: Patience::default(),
            longest_distance: SignedDuration::ZERO,
        },
        ..settings()
    }
}

/// What another process has filed that has just started.
fn another() -> Docket {
    let Settings { bounds, brakes, .. } = slowly();
    Docket::new(bounds, None, brakes, Instant::now())
}

/// Has none of its pods available, long after they were.
fn goes_down(object: &mut Value) {
    let status = &mut object["status"];
    (status["availableReplicas"], status["readyReplicas"]) = (json!(0), json!(0));
    status["conditions"] =
        json!([{ "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }]);
}

/// The users of one Secret, which has changed: all of them are due.
fn due(names: &[&str]) -> (Stage, Vec<WorkloadKey>) {
    due_in(slowly(), names)
}

fn due_in(settings: Settings, names: &[&str]) -> (Stage, Vec<WorkloadKey>) {
    let stage = Stage::with(settings);
    stage.secret("s", "A", "x");
    let keys: Vec<_> = names
        .iter()
        .map(|name| stage.adopted(running(name)))
        .collect();
    stage.secret("s", "A", "y");
    (stage, keys)
}

fn ask(stage: &Stage, key: &WorkloadKey) -> Answer {
    let decision = stage.judge.judge(key, Occasion::Look);
    let Some(Decision::Restart(restart)) = decision else {
        panic!("{decision:?}");
    };
    braking::ask(&stage.judge, key, &restart)
}

/// Returns who goes now.
fn released(stage: &Stage) -> Vec<String> {
    released_in(stage, SignedDuration::from_secs(1))
}

#[tokio::test(start_paused = true)]
async fn one_goes_alone_and_the_others_wait() {
    let (stage, keys) = due(&["a", "b", "c"]);
    for key in &keys {
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    assert_eq!(released(&stage), ["a"]);
    assert_eq!(ask(&stage, &keys[0]), Answer::Go { alone: true });
    assert_eq!(released(&stage), [""; 0]);
    let docket = stage.judge.docket();
    let waits: Vec<_> = docket.brakes.each().map(|(_, held)| held).collect();
    assert_eq!(waits, [Held::SlowStart; 2]);
    let (reason, _) = docket.brakes.waits(&keys[1]).unwrap();
    assert_eq!(reason, Reason::SlowStart { next: None });
}

#[tokio::test(start_paused = true)]
async fn who_is_stopped_while_it_waits_waits_for_nobody_else_and_takes_no_place() {
    let (stage, keys) = due(&["a", "b", "c"]);
    for key in &keys {
        assert_eq!(ask(&stage, key), Answer::Wait);
    }
    let suspend = |key: &WorkloadKey, text: &str| {
        stage.edit(key, |object| {
            object["metadata"]["annotations"][SUSPEND] = json!(text);
        });
    };
    suspend(&keys[0], "INC-42");
    assert!(stage.judge.docket().brakes.waits(&keys[0]).is_none());
    assert_eq!((stage.pending().intents, stage.held("suspended")), (2, 1));
    assert_eq!(released(&stage), ["b"]);
    suspend(&keys[0], "false");
    assert_eq!((stage.pending().intents, stage.held("suspended")), (3, 0));
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    assert_eq!(released(&stage), [""; 0], "the other is on its way");
}

#[tokio::test(start_paused = true)]
async fn a_single_user_goes_at_once() {
    let (stage, keys) = due(&["a"]);
    assert_eq!(ask(&stage, &keys[0]), Answer::Go { alone: false });
}

#[tokio::test(start_paused = true)]
async fn who_has_nothing_to_lose_goes_at_once() {
    let (stage, keys) = due(&["a", "down", "none"]);
    stage.edit(&keys[1], goes_down);
    stage.edit(&keys[2], |object| object["spec"]["replicas"] = json!(0));
    assert_eq!(ask(&stage, &keys[0]), Answer::Wait);
    assert_eq!(ask(&stage, &keys[1]), Answer::Go { alone: false });
    assert_eq!(ask(&stage, &keys[2]), Answer::Go { alone: false });
}

#[tokio::test(start_paused = true)]
async fn where_it_is_off_nobody_waits() {
    let (stage, keys) = due(&["a", "b"]);
    stage.edit(&keys[0], |object| {
        object["metadata"]["annotations"]["reroll.dev/slow-start"] = json!("off");
    });
    assert_eq!(ask(&stage, &keys[0]), Answer::Go { alone: false });
    assert_eq!(ask(&stage, &keys[1]), Answer::Wait);
    crate::model::index::at_once::set_namespace(&mut stage.state.index_mut(), NAMESPACE, true);
    assert_eq!(ask(&stage, &keys[1]), Answer::Go { alone: false });
}

/// A new pod of a workload's last restart is seen to run well from now on.
fn runs_well(stage: &Stage, key: &WorkloadKey) {
    let now = stage.state.time();
    let look = Look {
        new: 1,
        runs_since: Some(now),
        ..Look::default()
    };
    let mark = stage.mark(key).as_str().unwrap().to_owned();
    let mut docket = stage.judge.docket();
    docket.brakes.looked(key, &mark, look, now);
}

/// Writes what a restart of the first writes, and what its pods show.
fn restarted(stage: &Stage, key: &WorkloadKey, reason: Option<Why>) {
    let decision = stage.judge.judge(key, Occasion::Look);
    let Some(Decision::Restart(restart)) = decision else {
        panic!("{decision:?}");
    };
    let now = stage.state.time();
    let (observed, opened) = {
        let docket = stage.judge.docket();
        let index = stage.state.index();
        let mark = &restart.next.restarted_for;
        let opened = docket
            .brakes
            .opened(&index, key, &restart, mark, now)
            .unwrap();
        (
            restart
                .next
                .clone()
                .under(mark, index.key())
                .print(index.key()),
            opened,
        )
    };
    stage.edit(key, |object| {
        object["metadata"]["annotations"]["reroll.dev/observed"] = json!(observed);
        object["metadata"]["annotations"][ROLLOUT_OPENED] = json!(opened.print());
        object["spec"]["template"]["metadata"]["annotations"] =
            json!({ RESTARTED_FOR: opened.mark });
        object["status"]["updatedReplicas"] = json!(1);
    });
    let said = Said {
        pod: "a-1".to_owned(),
        words: "no".to_owned(),
    };
    let look = Look {
        new: 1,
        trouble: reason.map(|reason| Trouble { reason, said }),
        runs_since: reason.is_none().then_some(now),
        ..Look::default()
    };
    let mut docket = stage.judge.docket();
    docket.brakes.ended(key, now);
    docket.brakes.looked(key, &opened.mark, look, now);
}

#[tokio::test(start_paused = true)]
async fn a_failure_holds_the_others_and_is_told_once() {
    let (stage, keys) = due(&["a", "b", "c"]);
    for key in &keys {
        ask(&stage, key);
    }
    assert_eq!(released(&stage), ["a"]);
    restarted(&stage, &keys[0], Some(Why::Config));
    let mut docket = stage.judge.docket();
    let now = later(stage.state.time(), SignedDuration::from_secs(2));
    let (gone, news) = docket.release(&stage.state.index(), now);
    assert_eq!(gone, []);
    let told: Vec<_> = news.iter().map(|(key, _)| key.name.as_str()).collect();
    assert_eq!(told, ["a", "a"], "{news:?}");
    let News::Slowed { source, words } = &news[0].1 else {
        panic!("{news:?}");
    };
    assert_eq!(source.as_ref().unwrap().name, "s");
    assert!(
        words.contains("1 of 3 restarted") && words.contains("2 wait, the next at"),
        "{words}"
    );
    assert!(
        matches!(
            &news[1].1,
            News::Stuck {
                reason: "config",
                ..
            }
        ),
        "{news:?}"
    );
    let ten_minutes = later(stage.state.time(), SignedDuration::from_mins(10));
    let (reason, _) = docket.brakes.waits(&keys[1]).unwrap();
    assert_eq!(
        reason,
        Reason::SlowStart {
            next: Some(ten_minutes)
        }
    );
    let (_, again) = docket.release(&stage.state.index(), now);
    assert_eq!(again, []);
    // Then one more goes.
    let (gone, _) = docket.release(&stage.state.index(), ten_minutes);
    assert_eq!(gone, [keys[1].clone()]);
}

#[tokio::test(start_paused = true)]
async fn a_new_process_comes_to_the_same() {
    for (why, waits) in [(Some(Why::Config), true), (None, false)] {
        let (stage, keys) = due(&["a", "b"]);
        for key in &keys {
            ask(&stage, key);
        }
        assert_eq!(released(&stage), ["a"]);
        restarted(&stage, &keys[0], why);
        // It knows nothing but what the API server shows, and what a look at the pods shows again.
        let look = stage
            .judge
            .docket()
            .brakes
            .made()
            .look(&keys[0])
            .cloned()
            .unwrap();
        stage.judge.docket().brakes = brakes::Brakes::new(slowly().brakes);
        for key in &keys {
            stage.edit(key, |_| {});
        }
        let mark = stage
            .state
            .index()
            .workload(&keys[0])
            .unwrap()
            .workload
            .restarted_for
            .clone();
        let now = stage.state.time();
        stage
            .judge
            .docket()
            .brakes
            .looked(&keys[0], &mark, look, now);
        assert_eq!(ask(&stage, &keys[1]), Answer::Wait);
        let at = later(now, SignedDuration::from_secs(100));
        let (gone, _) = stage.judge.docket().release(&stage.state.index(), at);
        assert_eq!(gone.is_empty(), waits, "{why:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whose_pods_cannot_be_listed_has_no_turn_before_others() {
    let (stage, keys) = due(&["a", "b"]);
    for key in &keys {
        ask(&stage, key);
        restarted(&stage, key, Some(Why::Config));
    }
    let now = stage.state.time();
    let at = |seconds| later(now, SignedDuration::from_secs(seconds));
    let index = stage.state.index();
    let mut docket = stage.judge.docket();
    let turns = |docket: &Docket, seconds| docket.brakes.made().to_look_at(&index, at(seconds));
    assert_eq!(turns(&docket, 30), keys);
    docket.brakes.could_not_look(&keys[0], at(30));
    assert_eq!(turns(&docket, 31), keys[1..]);
    assert_eq!(turns(&docket, 36), [keys[1].clone(), keys[0].clone()]);
}

#[tokio::test(start_paused = true)]
async fn a_new_process_looks_at_the_pods_before_a_deadline_fails_a_restart() {
    let (stage, keys) = due(&["a", "b"]);
    ask(&stage, &keys[0]);
    assert_eq!(released(&stage), ["a"]);
    restarted(&stage, &keys[0], None);
    let hour = SignedDuration::from_hours(1);
    let later = later(stage.state.time(), hour);
    let index = stage.state.index();
    let mut docket = another();
    docket
        .brakes
        .shown(&keys[0], index.workload(&keys[0]).unwrap(), later);
    let mut told = |seconds| {
        let wait = SignedDuration::from_secs(seconds);
        let now = later.checked_add(wait).unwrap();
        let (_, news) = docket.release(&index, now);
        news.into_iter().map(|(_, news)| news).collect::<Vec<_>>()
    };
    assert_eq!(told(29), []);
    // Nobody can list its pods.
    let news = told(30);
    assert!(
        matches!(
            news[..],
            [News::Stuck {
                reason: "deadline",
                ..
            }]
        ),
        "{news:?}"
    );
}

fn is_worth_a_look(stage: &Stage, key: &WorkloadKey) -> bool {
    let (docket, index) = (stage.judge.docket(), stage.state.index());
    let tracked = index.workload(key).unwrap();
    let made = docket.brakes.made();
    made.is_worth_a_look(key, tracked, stage.state.time())
}

#[tokio::test(start_paused = true)]
async fn what_was_missing_is_looked_at_though_it_is_there_again() {
    let (stage, keys) = due(&["a", "b"]);
    for key in &keys {
        ask(&stage, key);
    }
    assert_eq!(released(&stage), ["a"]);
    let web = &keys[0];
    restarted(&stage, web, None);
    assert!(!is_worth_a_look(&stage, web));
    stage.set_time(NOW + 61);
    assert!(!is_worth_a_look(&stage, web));
    let available = |pods: i64| {
        stage.edit(web, |object| {
            object["status"]["availableReplicas"] = json!(pods);
            object["status"]["readyReplicas"] = json!(pods);
        });
    };
    available(0);
    assert!(is_worth_a_look(&stage, web));
    available(2);
    assert!(is_worth_a_look(&stage, web));
    let mark = stage.mark(web).as_str().unwrap().to_owned();
    let look = stage.judge.docket().brakes.made().look(web).cloned();
    let (look, now) = (look.unwrap(), stage.state.time());
    stage.judge.docket().brakes.looked(web, &mark, look, now);
    assert!(!is_worth_a_look(&stage, web));
}

/// Returns who goes so long from now.
fn released_in(stage: &Stage, wait: SignedDuration) -> Vec<String> {
    let now = later(stage.state.time(), wait);
    let mut docket = stage.judge.docket();
    let (gone, _) = docket.release(&stage.state.index(), now);
    gone.into_iter().map(|key| key.name).collect()
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_or_never_heard_of_again_holds_nobody() {
    for is_gone in [true, false] {
        let (stage, keys) = due(&["a", "b", "c"]);
        for key in &keys {
            ask(&stage, key);
        }
        assert_eq!(released(&stage), ["a"]);
        let wait = if is_gone {
            stage.judge.workload_deleted(&keys[0]);
            SignedDuration::from_secs(2)
        } else {
            SignedDuration::from_mins(6)
        };
        assert_eq!(released_in(&stage, wait), ["b"], "{is_gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_rollout_is_let_through_and_one_that_hangs_is_overtaken() {
    let distant = Settings {
        brakes: brakes::Settings {
            slow_start: false,
            patience: Patience::default(),
            longest_distance: SignedDuration::from_hours(1),
        },
        ..settings()
    };
    let stage = Stage::with(distant);
    stage.secret("s", "A", "x");
    let web = stage.adopted(running("web"));
    stage.secret("s", "A", "y");
    assert_eq!(ask(&stage, &web), Answer::Go { alone: false });
    restarted(&stage, &web, None);
    released_in(&stage, SignedDuration::from_secs(11));
    stage.secret("s", "A", "z");
    let judged = stage.judge.judge(&web, Occasion::Look);
    let Some(Decision::Restart(restart)) = judged else {
        panic!("{judged:?}");
    };
    let asked = |minutes| {
        let now = later(stage.state.time(), SignedDuration::from_mins(minutes));
        let mut docket = stage.judge.docket();
        docket.release(&stage.state.index(), now);
        docket.ask(&stage.state.index(), &web, &restart, now)
    };
    assert_eq!(asked(1), Answer::Wait);
    let waits = stage
        .judge
        .docket()
        .brakes
        .waits(&web)
        .map(|(reason, _)| reason);
    assert_eq!(waits, Some(Reason::Distance { next: None }));
    assert_eq!(asked(11), Answer::Go { alone: false });
}

#[tokio::test(start_paused = true)]
async fn one_that_is_good_and_goes_no_further_is_told_once_and_slows_nobody() {
    let (stage, keys) = due(&["a", "b"]);
    for key in &keys {
        ask(&stage, key);
    }
    assert_eq!(released(&stage), ["a"]);
    restarted(&stage, &keys[0], None);
    let news_in = |minutes| {
        let now = stage.state.time();
        let now = later(now, SignedDuration::from_mins(minutes));
        let mut docket = stage.judge.docket();
        let (gone, news) = docket.release(&stage.state.index(), now);
        let gone: Vec<_> = gone.into_iter().map(|key| key.name).collect();
        (gone, news)
    };
    assert_eq!(news_in(2), (vec!["b".to_owned()], vec![]));
    let hangs = News::Hangs {
        words: "1 of 2 pods are new and available, and for 10m there were never more".to_owned(),
    };
    assert_eq!(news_in(12).1, [(keys[0].clone(), hangs)]);
    assert_eq!(news_in(13).1, []);
}
