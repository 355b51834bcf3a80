//! Whole stories: what users and pods show, second by second, and what is told.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::{
    judge::{
        Occasion,
        testing::{NOW, Stage, running},
    },
    model::{
        Decision,
        annotation::{RESTARTED_FOR, ROLLOUT_OPENED},
        brake::converged::Shown,
        standing::standing,
        testing::NAMESPACE,
    },
};

/// The users of a Secret that has changed.
fn changed(names: &[&str]) -> (Stage, Vec<WorkloadKey>) {
    let stage = Stage::set();
    write(&stage, "x", NOW - 1_000);
    let keys: Vec<_> = names
        .iter()
        .map(|name| stage.adopted(running(name)))
        .collect();
    write(&stage, "y", NOW);
    // It leads before anybody is restarted.
    assert_eq!(look(&stage, 0, &[]), None);
    (stage, keys)
}

/// Writes the Secret at this time.
fn write(stage: &Stage, value: &str, at: i64) {
    let (key, mut version) = stage.put_secret("s", "A", value);
    version.written = at;
    stage.show_secret(&key, version);
}

/// A workload is restarted for what changed, and has one new pod.
fn restart(stage: &Stage, key: &WorkloadKey) {
    let decision = stage.judge.judge(key, Occasion::Look);
    let Some(Decision::Restart(restart)) = decision else {
        panic!("{decision:?}");
    };
    let (observed, opened) = {
        let docket = stage.judge.docket();
        let index = stage.state.index();
        let mark = &restart.next.restarted_for;
        let now = stage.state.time();
        let opened = docket.brakes.opened(&index, key, &restart, mark, now);
        let next = restart.next.clone().under(mark, index.key());
        (next.print(index.key()), opened.unwrap())
    };
    stage.edit(key, |object| {
        object["metadata"]["annotations"]["reroll.dev/observed"] = json!(observed);
        object["metadata"]["annotations"][ROLLOUT_OPENED] = json!(opened.print());
        object["spec"]["template"]["metadata"]["annotations"] =
            json!({ RESTARTED_FOR: opened.mark });
        object["status"]["updatedReplicas"] = json!(1);
    });
}

/// Its rollout is complete.
fn complete(stage: &Stage, key: &WorkloadKey) {
    stage.edit(key, |object| object["status"]["updatedReplicas"] = json!(2));
}

/// A pod that is older than everything and reads the Secret.
fn old_pod(name: &str) -> Shown {
    let pod = json!({
        "metadata": { "name": name, "creationTimestamp": "2020-01-01T00:00:00Z" },
        "spec": { "containers": [{ "name": "c", "envFrom": [{ "secretRef": { "name": "s" } }] }] },
    });
    Shown::of(&serde_json::from_value(pod).unwrap()).unwrap()
}

/// What one look comes to, at this second after the write, where a list of pods shows these.
fn look(stage: &Stage, second: i64, pods: &[Shown]) -> Option<Vec<News>> {
    let now = Timestamp::from_second(NOW + second).unwrap();
    stage.set_time(NOW + second);
    let mut docket = stage.judge.docket();
    let index = stage.state.index();
    let due = docket.convergence.due(&index, 2, now);
    let due = due.into_iter().next()?;
    assert_eq!(due.namespace, NAMESPACE);
    let seen = |complete: &Complete| {
        let mut older = Older::default();
        for pod in pods {
            older.see(pod, &complete.asked, now);
        }
        older
    };
    let older: Vec<_> = due.sources.iter().map(seen).collect();
    Some(docket.convergence.listed(&index, &due, &older, now))
}

/// The same, where something is told.
fn told(stage: &Stage, second: i64, pods: &[Shown]) -> News {
    let news = look(stage, second, pods).unwrap();
    assert_eq!(news.len(), 1, "{news:?}");
    news.into_iter().next().unwrap()
}

fn took(seconds: i64) -> What {
    What::Converged {
        took: Some(SignedDuration::from_secs(seconds)),
    }
}

const NOTHING: Option<Vec<News>> = Some(Vec::new());

/// Another process, which knows what the API server shows.
fn again(stage: &Stage, keys: &[WorkloadKey]) -> Stage {
    let version = {
        let index = stage.state.index();
        let found = index.source(NAMESPACE, &SourceName::secret("s"));
        found.version().cloned().unwrap()
    };
    let now = stage.state.now();
    Stage::again(&stage.script, |stage| {
        stage.set_time(now);
        let key = key_of(NAMESPACE, &SourceName::secret("s"));
        stage.show_secret(&key, version);
        for key in keys {
            stage.show_now(key);
        }
    })
}

#[tokio::test(start_paused = true)]
async fn it_is_told_once_when_the_last_user_is_complete() {
    let (stage, keys) = changed(&["a", "b"]);
    assert_eq!(look(&stage, 1, &[]), None);
    restart(&stage, &keys[0]);
    complete(&stage, &keys[0]);
    // The other is behind.
    assert_eq!(look(&stage, 2, &[]), None);
    restart(&stage, &keys[1]);
    assert_eq!(look(&stage, 3, &[]), None);
    complete(&stage, &keys[1]);
    let news = told(&stage, 7, &[]);
    assert_eq!(news.what, took(7));
    assert_eq!(news.key, key_of(NAMESPACE, &SourceName::secret("s")));
    assert!(
        news.words
            .starts_with("2 workloads run this version, the last after 7 s"),
        "{}",
        news.words
    );
    for second in [8, 20, 100] {
        stage.show_now(&keys[0]);
        assert_eq!(look(&stage, second, &[]), None);
    }
    // Another version is told for itself.
    write(&stage, "z", NOW + 200);
    for key in &keys {
        restart(&stage, key);
    }
    assert_eq!(look(&stage, 201, &[]), None);
    for key in &keys {
        complete(&stage, key);
    }
    let other = told(&stage, 210, &[]);
    assert_eq!(other.what, took(10));
    assert_ne!(other.print, news.print);
}

#[tokio::test(start_paused = true)]
async fn what_was_live_before_is_told_again_when_it_comes_back() {
    let (stage, keys) = changed(&["a"]);
    let mut prints = BTreeSet::new();
    for (second, value) in [(0, "y"), (100, "z"), (200, "y")] {
        if second > 0 {
            write(&stage, value, NOW + second);
        }
        restart(&stage, &keys[0]);
        complete(&stage, &keys[0]);
        prints.insert(told(&stage, second + 9, &[]).print);
    }
    assert_eq!(prints.len(), 3);
    // An edit of a label by the same manager makes it look as if it had been written again.
    write(&stage, "y", NOW + 300);
    stage.show_now(&keys[0]);
    assert_eq!(look(&stage, 301, &[]), None);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_was_restarted_nothing_is_told() {
    let (stage, keys) = changed(&["a"]);
    write(&stage, "x", NOW + 1);
    stage.show_now(&keys[0]);
    assert_eq!(look(&stage, 2, &[]), None);
    assert!(stage.judge.docket().convergence.sources.is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_no_user_is_left_nothing_is_told() {
    let (stage, keys) = changed(&["a"]);
    restart(&stage, &keys[0]);
    assert_eq!(look(&stage, 1, &[]), None);
    stage.judge.workload_deleted(&keys[0]);
    assert_eq!(look(&stage, 2, &[]), None);
}

#[tokio::test(start_paused = true)]
async fn older_pods_are_named_and_then_it_is_told() {
    let (stage, keys) = changed(&["a"]);
    restart(&stage, &keys[0]);
    complete(&stage, &keys[0]);
    let (p, q) = (old_pod("p"), old_pod("q"));
    let both = [p.clone(), q.clone()];
    // They may be about to go.
    assert_eq!(look(&stage, 1, &both), NOTHING);
    assert_eq!(look(&stage, 5, &both), None);
    let news = told(&stage, 6, &both);
    assert_eq!(news.what, What::NotConverged);
    assert!(
        news.words.contains("2 pods") && news.words.contains(": p, q."),
        "{}",
        news.words
    );
    // The same is not told again, and pauses grow.
    assert_eq!(look(&stage, 15, &both), None);
    assert_eq!(look(&stage, 16, &both), NOTHING);
    assert_eq!(look(&stage, 35, &both), None);
    assert_eq!(look(&stage, 36, &both), NOTHING);
    let one = [q];
    assert_eq!(look(&stage, 76, &one), NOTHING);
    // What goes on is looked at soon again.
    assert_eq!(look(&stage, 80, &one), None);
    let fewer = told(&stage, 81, &one);
    assert!(
        fewer.what == What::NotConverged && fewer.words.contains("1 pod"),
        "{}",
        fewer.words
    );
    assert_ne!(fewer.print, news.print);
    let news = told(&stage, 91, &[]);
    assert_eq!(news.what, took(91));
    // That is when the last user was complete.
    assert!(news.words.contains("after 1 s"), "{}", news.words);
    assert_eq!(look(&stage, 300, &[]), None);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_changes_all_the_time_is_named_a_few_times() {
    let (stage, keys) = changed(&["a"]);
    restart(&stage, &keys[0]);
    complete(&stage, &keys[0]);
    let mut named = 0;
    for number in 0..100 {
        let pod = [old_pod(&format!("p-{}", number / 2))];
        let news = look(&stage, number * 600, &pod);
        named += news.map_or(0, |news| news.len());
    }
    assert_eq!(named, 5);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_starts_in_the_middle_goes_on() {
    let (stage, keys) = changed(&["a", "b"]);
    restart(&stage, &keys[0]);
    complete(&stage, &keys[0]);
    restart(&stage, &keys[1]);
    assert_eq!(look(&stage, 1, &[]), None);
    // However long that takes.
    stage.set_time(NOW + 40_000);
    let next = again(&stage, &keys);
    assert_eq!(look(&next, 40_001, &[]), None);
    complete(&next, &keys[1]);
    let news = told(&next, 40_002, &[]);
    assert_eq!(news.what, took(40_002));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_starts_later_says_the_same_once_more_and_only_while_the_event_lives() {
    let (stage, keys) = changed(&["a"]);
    restart(&stage, &keys[0]);
    complete(&stage, &keys[0]);
    let first = told(&stage, 5, &[]);
    let next = again(&stage, &keys);
    let second = told(&next, 600, &[]);
    assert_eq!(second.print, first.print);
    // It may have been measured.
    assert_eq!(second.what, What::Converged { took: None });
    let next = again(&stage, &keys);
    next.set_time(NOW + 3_600);
    assert_eq!(look(&next, 3_600, &[]), NOTHING);
    assert_eq!(look(&next, 3_700, &[]), None);
    // Where older pods were left it was not told.
    let next = again(&stage, &keys);
    assert_eq!(look(&next, 7_200, &[old_pod("p")]), NOTHING);
    let news = told(&next, 7_300, &[]);
    assert_eq!(news.what, took(7_300));
}

#[tokio::test(start_paused = true)]
async fn who_leads_again_does_not_know_what_was_told_meanwhile() {
    let (stage, keys) = changed(&["a"]);
    stage.judge.docket().convergence.rest();
    restart(&stage, &keys[0]);
    assert!(stage.judge.docket().convergence.sources.is_empty());
    complete(&stage, &keys[0]);
    assert_eq!(look(&stage, 7_200, &[]), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_is_made_again_later() {
    let (stage, keys) = changed(&["a"]);
    restart(&stage, &keys[0]);
    complete(&stage, &keys[0]);
    let now = stage.state.time();
    {
        let mut docket = stage.judge.docket();
        let due = docket.convergence.due(&stage.state.index(), 2, now);
        docket.convergence.not_listed(&due[0], now);
    }
    assert_eq!(look(&stage, 4, &[]), None);
    assert_eq!(told(&stage, 5, &[]).what, took(5));
}

/// What is done to a user that was restarted, before its rollout is complete; and whether the version is told after all.
type Row = (&'static str, fn(&mut Value), bool);

#[tokio::test(start_paused = true)]
async fn which_users_are_waited_for() {
    let rows: [Row; 7] = [
        ("nothing", |_| {}, false),
        (
            "it is complete",
            |it| it["status"]["updatedReplicas"] = json!(2),
            true,
        ),
        (
            "a pod is missing",
            |it| {
                it["status"]["updatedReplicas"] = json!(2);
                it["status"]["availableReplicas"] = json!(1);
            },
            false,
        ),
        (
            "it is paused",
            |it| it["spec"]["paused"] = json!(true),
            false,
        ),
        (
            "it wants no pods",
            |it| {
                it["spec"]["replicas"] = json!(0);
                it["status"] = json!({ "observedGeneration": 99 });
            },
            true,
        ),
        (
            "its controller did not see it yet",
            |it| {
                it["status"]["updatedReplicas"] = json!(2);
                it["status"]["observedGeneration"] = json!(1);
            },
            false,
        ),
        (
            "somebody deploys",
            |it| it["spec"]["template"]["spec"]["containers"][0]["image"] = json!("another"),
            false,
        ),
    ];
    for (what, edit, expected) in rows {
        let (stage, keys) = changed(&["a"]);
        restart(&stage, &keys[0]);
        stage.edit(&keys[0], edit);
        let news = look(&stage, 1, &[]);
        assert_eq!(
            news.is_some_and(|news| !news.is_empty()),
            expected,
            "{what}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn namespaces_have_their_turn() {
    let mut convergence = Convergence::default();
    let (stage, keys) = changed(&["a"]);
    restart(&stage, &keys[0]);
    complete(&stage, &keys[0]);
    let (index, now) = (stage.state.index(), stage.state.time());
    assert_eq!(convergence.due(&index, 0, now), []);
    let due = convergence.due(&index, 2, now);
    assert_eq!(due.len(), 1);
    // A namespace that was just listed waits, whichever of its sources is due.
    convergence.lists.insert(NAMESPACE.to_owned(), now);
    assert_eq!(
        convergence.due(&index, 2, later(now, SignedDuration::from_secs(4))),
        []
    );
    assert_eq!(convergence.due(&index, 2, later(now, PAUSE)).len(), 1);
}

/// Who of these may have pods of before the last write, by what is asked of pods: those of whom it is known that they have none, and
/// those of whom it is only recorded.
fn known_and_recorded(stage: &Stage) -> (usize, usize) {
    let key = key_of(NAMESPACE, &SourceName::secret("s"));
    let asked = standing(&stage.state.index(), &key).unwrap().asked;
    (asked.current.len(), asked.recorded.len())
}

#[tokio::test(start_paused = true)]
async fn who_opted_in_after_the_write_may_have_pods_of_before() {
    let stage = Stage::set();
    write(&stage, "x", NOW - 1_000);
    write(&stage, "y", NOW);
    let late = stage.adopted(running("late"));
    assert_eq!(known_and_recorded(&stage), (0, 1));
    // A restart for a version makes its pods new.
    write(&stage, "z", NOW + 10);
    restart(&stage, &late);
    complete(&stage, &late);
    assert_eq!(known_and_recorded(&stage), (1, 0));
    // And so does a record of before a write that changed nothing.
    write(&stage, "z", NOW + 20);
    stage.show_now(&late);
    assert_eq!(known_and_recorded(&stage), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_changes_nothing_makes_no_pod_older() {
    let stage = Stage::set();
    write(&stage, "x", NOW - 1_000);
    stage.adopted(running("a"));
    assert_eq!(known_and_recorded(&stage), (0, 1));
    write(&stage, "x", NOW);
    assert_eq!(known_and_recorded(&stage), (1, 0));
}
