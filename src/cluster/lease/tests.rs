use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};

use super::{
    super::testing::{Gate, Script, Turn, log::Log},
    *,
};
use crate::model::annotation::HISTORY_LOST;

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/reroll/leases/reroll";
const DURATION: Duration = Duration::from_mins(1);
/// How often it is tried for.
const RETRY: Duration = Duration::from_secs(6);
/// How long the holder leads without a renewal.
const LEADS: Duration = Duration::from_millis(37_500);
const READ: &str = "GET leases/reroll$";

/// One that takes part.
struct Replica {
    leadership: Leadership,
    work: Arc<Mutex<Progress>>,
    history: Arc<History>,
    notice: Notice,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Replica {
    fn start(script: &Script, identity: &str) -> Self {
        let work = Arc::new(Mutex::new(Progress::Good));
        let (told, began) = (Arc::clone(&work), Instant::now());
        let clock = move || {
            let gone = i64::try_from(began.elapsed().as_secs()).unwrap();
            Timestamp::from_second(1_800_000_000 + gone).unwrap()
        };
        let settings = LeaseSettings {
            name: "reroll".to_owned(),
            duration: DURATION,
        };
        let (election, leadership) = Election::new(
            &script.cluster(),
            "reroll",
            settings,
            identity.to_owned(),
            Arc::new(clock),
            Arc::new(move || told.lock().clone()),
        );
        let (history, stop) = (Arc::<History>::default(), CancellationToken::new());
        let election = election.with_history(Arc::clone(&history));
        let notice = election.notice();
        let task = tokio::spawn(election.run(stop.clone()));
        Self {
            leadership,
            work,
            history,
            notice,
            stop,
            task,
        }
    }

    /// Waits until it leads. Returns how long that took.
    async fn wins(&self) -> Duration {
        self.turns(true).await
    }

    async fn loses(&self) -> Duration {
        self.turns(false).await
    }

    /// Whether a loss was proved since this was asked last.
    async fn proved(&self) -> bool {
        let went_back = timeout(Duration::from_millis(1), self.history.went_back());
        went_back.await.is_ok()
    }

    /// Asks all the time, for that it leads no more need not be told.
    async fn turns(&self, leads: bool) -> Duration {
        let began = Instant::now();
        while self.leadership.leads() != leads {
            assert!(began.elapsed() < DURATION * 5, "leads: {}", !leads);
            sleep(Duration::from_millis(100)).await;
        }
        began.elapsed()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        assert!(!self.leadership.leads());
    }
}

fn lease(holder: &str, transitions: i32) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "reroll", "namespace": "reroll" },
        "spec": {
            "holderIdentity": holder, "leaseDurationSeconds": 60, "leaseTransitions": transitions,
            "acquireTime": "2020-01-01T00:00:00.000000Z", "renewTime": "2020-01-01T00:00:00.000000Z",
        },
    })
}

fn spec_of(script: &Script) -> Value {
    script.object(PATH).unwrap()["spec"].clone()
}

fn holder(script: &Script) -> String {
    spec_of(script)["holderIdentity"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_won_at_once() {
    for (there, transitions) in [
        (None, 0),
        (Some(lease("", 3)), 4),
        (Some(lease("a", 3)), 3),
        // Somebody wrote that.
        (Some(lease("", i32::MAX)), 0),
        (Some(lease("a", i32::MAX)), i32::MAX),
    ] {
        let script = Script::default();
        if let Some(there) = there.clone() {
            script.put(PATH, there);
        }
        let a = Replica::start(&script, "a");
        assert!(!a.leadership.leads());
        assert!(a.wins().await < RETRY, "{there:?}");
        let spec = spec_of(&script);
        assert_eq!(spec["holderIdentity"], "a");
        assert_eq!(spec["leaseTransitions"], transitions);
        assert_eq!(spec["leaseDurationSeconds"], 60);
        assert_eq!(spec["renewTime"], "2027-01-15T08:00:00.000000Z");
    }
}

#[tokio::test(start_paused = true)]
async fn anothers_claim_counts_until_it_was_unchanged_for_its_duration() {
    let script = Script::default();
    // By its own times it ran out years ago: two machines' clocks are never compared.
    script.put(PATH, lease("b", 0));
    let a = Replica::start(&script, "a");
    sleep(DURATION.checked_sub(RETRY).unwrap()).await;
    script.edit(PATH, |lease| {
        lease["spec"]["renewTime"] = json!("2020-01-01T00:00:01.000000Z");
    });
    let waited = a.wins().await;
    assert!(waited >= DURATION, "{waited:?}");
    assert!(waited <= DURATION + RETRY * 2, "{waited:?}");
    assert_eq!(script.count("PUT"), 1);
    let spec = spec_of(&script);
    assert_eq!(
        (&spec["holderIdentity"], &spec["leaseTransitions"]),
        (&json!("a"), &json!(1))
    );
}

#[tokio::test(start_paused = true)]
async fn what_changes_beside_the_claim_does_not_renew_it() {
    let script = Script::default();
    script.put(PATH, lease("b", 0));
    let a = Replica::start(&script, "a");
    sleep(DURATION / 2).await;
    script.edit(PATH, |lease| {
        lease["metadata"]["labels"] = json!({ "somebody": "else" });
    });
    let waited = a.wins().await;
    assert!(waited <= DURATION / 2 + RETRY, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn the_holder_renews_and_needs_no_read_for_it() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    let began = spec_of(&script);
    for _ in 0..50 {
        sleep(RETRY / 2).await;
        assert!(a.leadership.leads());
    }
    assert_eq!(script.count(READ), 1);
    assert!(
        (24..=26).contains(&script.count("PUT")),
        "{}",
        script.count("PUT")
    );
    let now = spec_of(&script);
    for field in ["holderIdentity", "acquireTime", "leaseTransitions"] {
        assert_eq!(now[field], began[field], "{field}");
    }
    assert!(now["renewTime"].as_str() > began["renewTime"].as_str());
}

#[tokio::test(start_paused = true)]
async fn leadership_ends_at_its_deadline_though_calls_hang() {
    for turn in [Turn::lose(), Turn::refuse(503, "ServiceUnavailable")] {
        let script = Script::default();
        script.turn("PUT", turn.clone().always());
        let a = Replica::start(&script, "a");
        a.wins().await;
        script.turn(READ, turn.always());
        let led = a.loses().await;
        assert!(
            led > LEADS.checked_sub(Duration::from_secs(1)).unwrap(),
            "{led:?}"
        );
        assert!(led <= LEADS, "{led:?}");
        script.clear("PUT");
        script.clear(READ);
        a.wins().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_ends_leadership_at_once() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    script.edit(PATH, |lease| lease["spec"]["holderIdentity"] = json!("b"));
    let led = a.loses().await;
    assert!(led <= RETRY, "{led:?}");
    let waited = a.wins().await;
    assert!(waited >= DURATION, "another's claim counts: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn of_two_one_leads() {
    let script = Script::default();
    let (a, b) = (Replica::start(&script, "a"), Replica::start(&script, "b"));
    let mut leaders = BTreeSet::new();
    for _ in 0..600 {
        sleep(Duration::from_secs(1)).await;
        let both = [("a", a.leadership.leads()), ("b", b.leadership.leads())];
        let leading = both.into_iter().filter(|(_, leads)| *leads);
        let leading: Vec<_> = leading.map(|(name, _)| name).collect();
        assert_eq!(leading.len(), 1, "{leading:?}");
        leaders.extend(leading);
    }
    assert_eq!(leaders.len(), 1, "it does not change hands");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_impaired_offers_the_lease_and_another_takes_it() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    let b = Replica::start(&script, "b");
    sleep(RETRY).await;
    *a.work.lock() = Progress::Impaired(vec!["a watch".to_owned()]);
    a.loses().await;
    assert!(b.wins().await <= RETRY * 2);
    sleep(DURATION * 3).await;
    assert!(b.leadership.leads() && !a.leadership.leads());
    assert_eq!(holder(&script), "b");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_impaired_goes_on_where_nobody_wants_the_lease() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    *a.work.lock() = Progress::Impaired(vec!["a watch".to_owned()]);
    a.loses().await;
    assert_eq!(holder(&script), "");
    let waited = a.wins().await;
    assert!(
        waited >= DURATION.checked_sub(RETRY).unwrap() && waited <= DURATION + RETRY,
        "{waited:?}"
    );
    // It is offered once, and again when it was good in between.
    for _ in 0..30 {
        sleep(RETRY).await;
        assert!(a.leadership.leads());
    }
    *a.work.lock() = Progress::Good;
    sleep(RETRY * 2).await;
    *a.work.lock() = Progress::Impaired(Vec::new());
    a.loses().await;
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_not_renewed_when_work_does_not_go_on() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    *a.work.lock() = Progress::None(vec!["restarts".to_owned()]);
    let (before, led) = (script.count("PUT"), a.loses().await);
    assert!(
        led > LEADS.checked_sub(Duration::from_secs(1)).unwrap() && led <= LEADS,
        "{led:?}"
    );
    sleep(DURATION).await;
    assert_eq!(script.count("PUT"), before);
    assert_eq!(holder(&script), "a", "it runs out, and is not given up");
    *a.work.lock() = Progress::Good;
    assert!(a.wins().await <= RETRY);
}

#[tokio::test(start_paused = true)]
async fn the_end_gives_up_the_lease_that_is_held_and_no_other() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    let b = Replica::start(&script, "b");
    sleep(RETRY).await;
    b.end().await;
    assert_eq!(holder(&script), "a");
    a.end().await;
    assert_eq!(holder(&script), "");
    let c = Replica::start(&script, "c");
    assert!(c.wins().await < RETRY);
    assert_eq!(spec_of(&script)["leaseTransitions"], 1);
    // Somebody took it meanwhile: theirs stays.
    script.edit(PATH, |lease| lease["spec"]["holderIdentity"] = json!("d"));
    c.end().await;
    assert_eq!(holder(&script), "d");
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_hears_of_a_release_at_once() {
    let (script, released) = (Script::default(), Gate::closed());
    script.put(PATH, lease("b", 0));
    let mut free = lease("", 0);
    free["metadata"]["resourceVersion"] = json!("900");
    let event = json!({ "type": "MODIFIED", "object": free });
    script.turn(
        "GET leases?watch=",
        Turn::say(200, &format!("{event}\n")).held(&released),
    );
    let a = Replica::start(&script, "a");
    script.reach("GET leases?watch=", 1).await;
    sleep(RETRY / 2).await;
    script.edit(PATH, |lease| lease["spec"]["holderIdentity"] = json!(""));
    released.open(1);
    let waited = a.wins().await;
    assert!(waited < RETRY / 4, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_goes_back_is_looked_at_several_times_before_it_is_written() {
    let script = Script::default();
    script.put(PATH, lease("b", 7));
    let a = Replica::start(&script, "a");
    script.reach(READ, 1).await;
    let mut restored = lease("", 2);
    restored["metadata"]["resourceVersion"] = json!("50");
    script.restore(PATH, restored);
    a.wins().await;
    let looks = script.count(READ);
    assert_eq!(
        looks,
        1 + LOOKS as usize,
        "it is free, and all the same looked at"
    );
    assert!(a.proved().await, "those who look tell");
}

#[tokio::test(start_paused = true)]
async fn the_holder_sees_that_the_lease_went_back_when_its_renewal_is_refused() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    sleep(RETRY * 3).await;
    let mut restored = lease("a", 0);
    restored["metadata"]["resourceVersion"] = json!("50");
    script.restore(PATH, restored);
    let reads = script.count(READ);
    a.loses().await;
    let writes = script.count("PUT");
    a.wins().await;
    assert_eq!(script.count(READ) - reads, LOOKS as usize);
    assert_eq!(script.count("PUT") - writes, 1);
}

#[tokio::test(start_paused = true)]
async fn that_the_lease_may_not_be_claimed_is_told_once() {
    let log = Log::default();
    let _kept = log.keep();
    let script = Script::default();
    script.turn("POST leases", Turn::refuse(403, "Forbidden").always());
    let a = Replica::start(&script, "a");
    sleep(RETRY * 10).await;
    assert!(!a.leadership.leads());
    assert!(script.count("POST leases") >= 10);
    assert_eq!(log.count("may not claim the Lease"), 1);
    script.clear("POST leases");
    a.wins().await;
    // It was won in between: another failure is news.
    script.turn("PUT", Turn::refuse(403, "Forbidden").always());
    a.loses().await;
    sleep(DURATION).await;
    assert_eq!(log.count("may not claim the Lease"), 2);
}

/// What a user writes for all replicas.
fn annotate(script: &Script, text: &str) {
    script.edit(PATH, |lease| {
        lease["metadata"]["annotations"] = json!({ SUSPEND: text });
    });
}

fn annotated(script: &Script) -> Value {
    script.object(PATH).unwrap()["metadata"]["annotations"][SUSPEND].clone()
}

#[tokio::test(start_paused = true)]
async fn a_users_edit_ends_no_leadership_and_is_kept_and_told() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    annotate(&script, "INC-42");
    for _ in 0..40 {
        sleep(RETRY / 10).await;
        assert!(a.leadership.leads());
    }
    assert_eq!(a.notice.text().as_deref(), Some("INC-42"));
    assert_eq!(annotated(&script), "INC-42");
    assert_eq!(spec_of(&script)["leaseTransitions"], 0);
    assert_eq!(script.count(READ), 2, "one after the conflict");
    script.edit(PATH, |lease| {
        lease["metadata"]["annotations"] = json!({});
    });
    sleep(RETRY * 2).await;
    assert!(a.leadership.leads());
    assert_eq!(a.notice.text(), None);
}

#[tokio::test(start_paused = true)]
async fn edits_that_follow_each_other_end_no_leadership() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    // The renewal finds an edit, and so does the one after the Lease was read anew.
    let log = Log::default();
    let _kept = log.keep();
    for _ in 0..4 {
        script.turn("PUT", Turn::refuse(409, "Conflict"));
    }
    sleep(RETRY * 5).await;
    assert!(a.leadership.leads());
    assert_eq!(log.count("lost the Lease"), 0);
    assert_eq!(spec_of(&script)["leaseTransitions"], 0);
    // Where no renewal arrives in time, it says so, and names no other replica.
    script.turn("PUT", Turn::refuse(409, "Conflict").always());
    a.loses().await;
    sleep(RETRY).await;
    assert_eq!(log.count("lost the Lease"), 1);
    assert_eq!(log.count(claim::NOT_RENEWED), 1);
}

#[tokio::test(start_paused = true)]
async fn what_stands_on_the_lease_is_told_before_a_replica_leads() {
    let script = Script::default();
    script.put(PATH, lease("", 0));
    annotate(&script, "INC-42");
    let a = Replica::start(&script, "a");
    let (leadership, told) = (a.leadership.clone(), Arc::<Mutex<Vec<_>>>::default());
    let heard = Arc::clone(&told);
    a.notice.listen(move |text| {
        heard
            .lock()
            .push((text.map(ToOwned::to_owned), leadership.leads()));
    });
    a.wins().await;
    sleep(RETRY * 3).await;
    let said = Some("INC-42".to_owned());
    assert_eq!(*told.lock(), [(None, false), (said.clone(), false)]);
    // Who listens late hears it at once.
    let late = Arc::<Mutex<Vec<_>>>::default();
    let heard = Arc::clone(&late);
    a.notice
        .listen(move |text| heard.lock().push(text.map(ToOwned::to_owned)));
    assert_eq!(*late.lock(), [said]);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_lead_knows_what_stands_on_the_lease() {
    let script = Script::default();
    script.put(PATH, lease("b", 0));
    let a = Replica::start(&script, "a");
    sleep(RETRY).await;
    annotate(&script, "INC-42");
    sleep(RETRY * 2).await;
    assert!(!a.leadership.leads());
    assert_eq!(a.notice.text().as_deref(), Some("INC-42"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_deleted_and_made_again_says_the_same() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    annotate(&script, "INC-42");
    sleep(RETRY * 2).await;
    script.remove(PATH);
    let began = Instant::now();
    while script.object(PATH).is_none() {
        assert!(a.leadership.leads());
        assert!(began.elapsed() < RETRY * 3);
        sleep(RETRY / 10).await;
    }
    assert_eq!(annotated(&script), "INC-42");
    assert_eq!(holder(&script), "a");
    sleep(RETRY * 2).await;
    assert!(a.leadership.leads());
    assert_eq!(a.notice.text().as_deref(), Some("INC-42"));
}

#[tokio::test(start_paused = true)]
async fn what_the_watch_shows_counts_at_once_unless_it_is_behind() {
    let (script, shown) = (Script::default(), Gate::closed());
    script.put(PATH, lease("b", 0));
    let event = |text: &str, version: &str, kind: &str| {
        let mut lease = lease("b", 0);
        lease["metadata"]["annotations"] = json!({ SUSPEND: text });
        lease["metadata"]["resourceVersion"] = json!(version);
        json!({ "type": kind, "object": lease })
    };
    let events = [
        event("INC-42", "900", "MODIFIED"),
        event("older", "800", "MODIFIED"),
        event("gone", "950", "DELETED"),
    ];
    let events = events.map(|event| event.to_string()).join("\n") + "\n";
    script.turn("GET leases?watch=", Turn::say(200, &events).held(&shown));
    let a = Replica::start(&script, "a");
    script.reach("GET leases?watch=", 1).await;
    let reads = script.count(READ);
    shown.open(1);
    sleep(RETRY / 4).await;
    assert_eq!(a.notice.text().as_deref(), Some("INC-42"));
    assert_eq!(script.count(READ), reads, "it was not read");
}

#[tokio::test(start_paused = true)]
async fn the_lease_says_which_version_leads() {
    for there in [None, Some(lease("", 3)), Some(lease("a", 3))] {
        let script = Script::default();
        if let Some(there) = there {
            script.put(PATH, there);
        }
        let a = Replica::start(&script, "a");
        a.wins().await;
        let version = || {
            script.object(PATH).unwrap()["metadata"]["annotations"]["reroll.dev/version"].clone()
        };
        assert_eq!(version(), env!("CARGO_PKG_VERSION"));
        // Of another release that led before, or by hand.
        script.edit(PATH, |lease| {
            lease["metadata"]["annotations"] = json!({ HOLDER_VERSION: "0.0.1", "of": "somebody" });
        });
        sleep(RETRY * 2).await;
        assert!(a.leadership.leads());
        assert_eq!(version(), env!("CARGO_PKG_VERSION"));
        a.end().await;
        assert_eq!(
            version(),
            env!("CARGO_PKG_VERSION"),
            "the last one that led"
        );
        let annotations = &script.object(PATH).unwrap()["metadata"]["annotations"];
        assert_eq!(annotations["of"], "somebody");
    }
}

/// Returns what the Lease says of a loss.
fn lost(script: &Script) -> Value {
    script.object(PATH).unwrap()["metadata"]["annotations"][HISTORY_LOST].clone()
}

#[tokio::test(start_paused = true)]
async fn the_holder_writes_that_the_lease_went_back() {
    let script = Script::default();
    let a = Replica::start(&script, "a");
    a.wins().await;
    assert_eq!(lost(&script), Value::Null);
    sleep(RETRY * 3).await;
    let mut restored = lease("a", 0);
    restored["metadata"]["resourceVersion"] = json!("50");
    script.restore(PATH, restored);
    a.loses().await;
    a.wins().await;
    let said = lost(&script);
    assert!(said.is_string(), "{said}");
    // It knows: it neither gives up the Lease for that, nor writes it anew.
    sleep(RETRY * 3).await;
    assert!(a.leadership.leads());
    assert_eq!(lost(&script), said);
    script.remove(PATH);
    sleep(RETRY * 3).await;
    assert_eq!(lost(&script), said, "the Lease was made anew");
}

/// Its numbers have caught up before this one looks.
#[tokio::test(start_paused = true)]
async fn one_that_is_told_of_a_loss_hears_of_it_before_it_leads() {
    let script = Script::default();
    script.put(PATH, lease("b", 0));
    let a = Replica::start(&script, "a");
    script.reach(READ, 1).await;
    assert!(!a.proved().await);
    script.edit(PATH, |lease| {
        lease["spec"]["holderIdentity"] = json!("");
        lease["metadata"]["annotations"] = json!({ HISTORY_LOST: "2027-01-15T07:00:00Z" });
    });
    script.reach(READ, 2).await;
    sleep(RETRY / 2).await;
    assert!(!a.leadership.leads(), "it is free, and yet");
    assert!(a.proved().await);
    a.wins().await;
    assert_eq!(lost(&script), "2027-01-15T07:00:00Z");
    sleep(RETRY * 3).await;
    assert!(!a.proved().await, "once");
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_lead_tells_what_it_saw() {
    let script = Script::default();
    script.put(PATH, lease("b", 7));
    let a = Replica::start(&script, "a");
    script.reach(READ, 1).await;
    sleep(RETRY * 2).await;
    assert_eq!(script.count("PUT"), 0);
    for _ in 0..PROOF {
        a.history.shown_older();
    }
    assert!(a.proved().await);
    sleep(RETRY * 3).await;
    assert!(lost(&script).is_string());
    assert_eq!(script.count("PUT"), 1, "once");
    assert_eq!(
        spec_of(&script),
        lease("b", 7)["spec"],
        "and claims nothing"
    );
    assert!(!a.leadership.leads());
    sleep(DURATION).await;
    assert!(!a.proved().await, "it is no news to itself");
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_was_told_is_not_proved_once_more() {
    let script = Script::default();
    script.put(PATH, lease("b", 7));
    let a = Replica::start(&script, "a");
    script.reach(READ, 1).await;
    let mut restored = lease("b", 2);
    restored["metadata"]["resourceVersion"] = json!("50");
    restored["metadata"]["annotations"] = json!({ HISTORY_LOST: "2027-01-15T07:00:00Z" });
    script.restore(PATH, restored);
    sleep(RETRY * 2).await;
    assert!(a.proved().await);
    sleep(DURATION * 2).await;
    assert!(!a.proved().await, "its own reads show it, too");
    assert_eq!(a.history.own_proofs(), 0);
}
