//! The load scenarios of Stakater Reloader's own load test (S1 to S13), restated. Whatever the load, every workload
//! ends with the last version of all that it uses, and no workload restarts more often than what it uses changed.
//!
//! These tests count from the API. Reloader's count from metrics and expect a restart for each change, which forbids
//! that several changes become one restart. Times are shortened; sizes and rates are Reloader's, but for S3's number of
//! namespaces. What Reloader's scenarios lack is a change during downtime, a recreation or a failure (R1 to R8 of what
//! we add). Other files test that: `recreate`, `downtime`, `storms`, `unpersisted`, `replicas`, `drain`, `updates`, and
//! the tests of faults.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use futures::future::join_all;
use reroll_harness::{Arena, Recorder, eventually, numbered, workload};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

const AUTO: (&str, &str) = ("reloader.stakater.com/auto", "true");
const MS: Duration = Duration::from_millis(1);

/// Kind and name.
type Name = (&'static str, String);

fn config_map(name: impl Into<String>) -> Name {
    ("ConfigMap", name.into())
}

/// A workload and what it uses.
#[derive(Clone)]
struct User {
    workload: Name,
    uses: Vec<Name>,
    pod: Value,
}

impl User {
    /// It reads all of one source into variables.
    fn of(kind: &'static str, name: &str, source: Name) -> Self {
        let field = if source.0 == "Secret" {
            "secretRef"
        } else {
            "configMapRef"
        };
        let pod = json!({ "containers": [{ "envFrom": [{ (field): { "name": source.1 } }] }] });
        Self {
            workload: (kind, name.to_owned()),
            uses: vec![source],
            pod,
        }
    }

    /// Deployments that each use a ConfigMap of their own.
    fn pairs(count: usize) -> Vec<Self> {
        let pair = |name: String| Self::of("Deployment", &name, config_map(&name));
        numbered(count).map(pair).collect()
    }
}

/// A load on one namespace.
struct Load<'a> {
    arena: &'a Arena,
    recorder: Recorder,
    users: Vec<User>,
    changes: Mutex<BTreeMap<Name, usize>>,
}

impl<'a> Load<'a> {
    /// Creates all that is used, and who uses it, and waits until it is adopted.
    async fn on(arena: &'a Arena, users: Vec<User>, annotations: &[(&str, &str)]) -> Self {
        let mut used: Vec<_> = users.iter().flat_map(|user| &user.uses).collect();
        used.sort();
        used.dedup();
        for (kind, name) in used {
            arena.source(kind, name, &[("k", "0")]).await;
        }
        let load = Self {
            arena,
            recorder: arena.record().await,
            users: Vec::new(),
            changes: Mutex::default(),
        };
        for user in &users {
            load.create(user, annotations).await;
        }
        for user in &users {
            arena.adopted(user.workload.0, &user.workload.1).await;
        }
        Self { users, ..load }
    }

    async fn create(&self, user: &User, annotations: &[(&str, &str)]) {
        let annotations = [&[AUTO], annotations].concat();
        let (kind, name) = &user.workload;
        let object = workload(kind, name, &annotations, user.pod.clone());
        self.arena.create(&object).await;
    }

    async fn change(&self, (kind, name): &Name, value: &str) {
        self.arena.set(kind, name, "k", value).await;
        let key = (*kind, name.clone());
        *self.changes.lock().unwrap().entry(key).or_default() += 1;
    }

    /// Changes what `pick` says, this often, at this rate.
    async fn changes(&self, count: usize, every: Duration, pick: impl Fn(usize) -> Name) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0..count {
            ticks.tick().await;
            // Data that another writer restores within the quiet period would restart nothing.
            let value = format!("{}-{:x}", number + 1, fastrand::u64(..));
            self.change(&pick(number), &value).await;
        }
    }

    /// As [`Self::changes`], of any source of any workload.
    async fn random_changes(&self, count: usize, every: Duration) {
        let pick = |_| {
            let user = &self.users[fastrand::usize(..self.users.len())];
            user.uses[fastrand::usize(..user.uses.len())].clone()
        };
        self.changes(count, every, pick).await;
    }

    /// Checks that every workload has restarted, or was created, after the last change of what it uses, and no more
    /// often than that changed.
    async fn ends_well(&self) {
        let changes = self.changes.lock().unwrap().clone();
        for user in &self.users {
            let (kind, name) = &user.workload;
            for source in &user.uses {
                let last = self.arena.version(source.0, &source.1).await;
                let what = format!("{kind} {name} is later than {} {}", source.0, source.1);
                let touched = changes.contains_key(source);
                eventually(&what, async || {
                    let later = self.recorder.changed_at(kind, name) > last;
                    (later || !touched).then_some(())
                })
                .await;
            }
        }
        self.recorder.settle(self.arena).await;
        for user in &self.users {
            let (kind, name) = &user.workload;
            let of = |source: &Name| changes.get(source).copied().unwrap_or(0);
            let (made, most) = (
                self.recorder.rollouts(kind, name),
                user.uses.iter().map(of).sum(),
            );
            assert!(
                made <= most,
                "{made} rollouts of {kind} {name} for {most} changes"
            );
        }
    }
}

#[tokio::test]
async fn s1_bursts_of_changes() {
    let arena = Arena::new("load-s1").await;
    let _reroll = arena.reroll().start().await;
    let load = Load::on(&arena, User::pairs(10), &[]).await;
    load.random_changes(80, 100 * MS).await;
    load.ends_well().await;
}

#[tokio::test]
async fn s2_one_source_of_fifty_workloads() {
    let arena = Arena::new("load-s2").await;
    let _reroll = arena.reroll().start().await;
    let fan = |name: String| User::of("Deployment", &name, config_map("shared"));
    let load = Load::on(&arena, numbered(50).map(fan).collect(), &[]).await;
    load.changes(3, 2000 * MS, |_| config_map("shared")).await;
    load.ends_well().await;
}

#[tokio::test]
async fn s3_many_namespaces() {
    let arenas =
        join_all((0..4).map(async |number| Arena::new(&format!("load-s3-{number}")).await));
    let arenas = arenas.await;
    let names: Vec<_> = arenas
        .iter()
        .map(|arena| arena.namespace.as_str())
        .collect();
    let reroll = arenas[0].reroll().flag("--namespaces", &names.join(","));
    let _reroll = reroll.start().await;
    let loads = arenas
        .iter()
        .map(|arena| Load::on(arena, User::pairs(20), &[]));
    let loads = join_all(loads).await;
    join_all(loads.iter().map(|load| load.random_changes(30, 200 * MS))).await;
    for load in &loads {
        load.ends_well().await;
    }
}

#[tokio::test]
async fn s4_what_is_no_data_restarts_nothing() {
    let arena = Arena::new("load-s4").await;
    let _reroll = arena.reroll().start().await;
    let load = Load::on(&arena, User::pairs(10), &[]).await;
    let mut ticks = interval(100 * MS);
    for number in 0..50 {
        ticks.tick().await;
        let (name, value) = (format!("w{:02}", number % 10), number.to_string());
        arena
            .annotate("ConfigMap", &name, "touched", Some(&value))
            .await;
        let labels = json!({ "metadata": { "labels": { "touched": value } } });
        arena.patch("ConfigMap", &name, labels).await;
    }
    load.recorder.settle(&arena).await;
    for user in &load.users {
        load.recorder.expect("Deployment", &user.workload.1, 0);
    }
}

#[tokio::test]
async fn s5_workloads_come_and_go() {
    let arena = Arena::new("load-s5").await;
    let _reroll = arena.reroll().start().await;
    let shared = || config_map("shared");
    let mut load = Load::on(&arena, vec![User::of("Deployment", "first", shared())], &[]).await;
    let mut ticks = interval(250 * MS);
    let mut living = Vec::new();
    for (number, name) in numbered(24).enumerate() {
        ticks.tick().await;
        let user = User::of("Deployment", &name, shared());
        load.create(&user, &[]).await;
        living.push(user);
        if living.len() > 10 {
            arena
                .delete("Deployment", &living.remove(0).workload.1)
                .await;
        }
        if number % 8 == 7 {
            load.change(&shared(), &number.to_string()).await;
        }
    }
    load.users.extend(living);
    load.ends_well().await;
}

#[tokio::test]
async fn s6_the_process_is_killed_meanwhile() {
    let arena = Arena::new("load-s6").await;
    let reroll = arena.reroll().start().await;
    let again = reroll.builder();
    let load = Load::on(&arena, User::pairs(20), &[]).await;
    load.random_changes(15, 200 * MS).await;
    reroll.kill();
    load.random_changes(5, 200 * MS).await;
    let _reroll = again.start().await;
    load.random_changes(15, 200 * MS).await;
    load.ends_well().await;
}

#[tokio::test]
async fn s7_ten_writers_at_once() {
    let arena = Arena::new("load-s7").await;
    let _reroll = arena.reroll().start().await;
    let load = Load::on(&arena, User::pairs(50), &[]).await;
    join_all((0..10).map(|_| load.random_changes(20, 100 * MS))).await;
    load.ends_well().await;
}

#[tokio::test]
async fn s8_large_config_maps() {
    let arena = Arena::new("load-s8").await;
    let _reroll = arena.reroll().start().await;
    let load = Load::on(&arena, User::pairs(10), &[]).await;
    for round in 0..3 {
        for name in numbered(10) {
            let large = |letter: &str| letter.repeat(100 << 10);
            let data = json!({ "a": large("a"), "b": large(["x", "y", "z"][round]) });
            arena
                .patch("ConfigMap", &name, json!({ "data": data }))
                .await;
            load.change(&config_map(name), &round.to_string()).await;
        }
    }
    // Each was written twice.
    for count in load.changes.lock().unwrap().values_mut() {
        *count *= 2;
    }
    load.ends_well().await;
}

#[tokio::test]
async fn s9_workloads_of_every_kind() {
    let arena = Arena::new("load-s9").await;
    let _reroll = arena.reroll().start().await;
    let kinds = [("Deployment", 5), ("StatefulSet", 3), ("DaemonSet", 2)];
    let users = kinds.into_iter().flat_map(|(kind, count)| {
        numbered(count).map(move |name| User::of(kind, &name, config_map("shared")))
    });
    let load = Load::on(&arena, users.collect(), &[]).await;
    load.changes(3, 2000 * MS, |_| config_map("shared")).await;
    load.ends_well().await;
}

#[tokio::test]
async fn s10_secrets_and_config_maps() {
    let arena = Arena::new("load-s10").await;
    let _reroll = arena.reroll().start().await;
    let mut users = Vec::new();
    for name in numbered(5) {
        let secret = ("Secret", name.clone());
        users.push(User::of("Deployment", &format!("s-{name}"), secret.clone()));
        let mut both = User::of("Deployment", &format!("b-{name}"), config_map(&name));
        let from = json!({ "secretRef": { "name": name } });
        both.pod["containers"][0]["envFrom"]
            .as_array_mut()
            .unwrap()
            .push(from);
        both.uses.push(secret);
        users.push(both);
    }
    let load = Load::on(&arena, users, &[]).await;
    load.random_changes(16, 500 * MS).await;
    load.ends_well().await;
}

/// Theirs starts another Reloader with another strategy beside the first. Here it is another reroll.
#[tokio::test]
async fn s11_two_of_them_at_once() {
    let arena = Arena::new("load-s11").await;
    let _first = arena.replica(arena.reroll(), "first").await;
    let second = arena.reroll().without_webhook();
    let _second = arena.replica(second, "second").await;
    let load = Load::on(&arena, User::pairs(10), &[]).await;
    load.random_changes(16, 500 * MS).await;
    load.ends_well().await;
}

#[tokio::test]
async fn s12_with_a_pause_period() {
    let arena = Arena::new("load-s12").await;
    let _reroll = arena.reroll().start().await;
    let pause = ("deployment.reloader.stakater.com/pause-period", "4s");
    let load = Load::on(&arena, User::pairs(10), &[pause]).await;
    let began = std::time::Instant::now();
    load.changes(40, 150 * MS, |number| {
        config_map(format!("w{:02}", number % 10))
    })
    .await;
    load.ends_well().await;
    // One for each period that has begun.
    let most = usize::try_from(began.elapsed().as_secs() / 4).unwrap() + 1;
    for user in &load.users {
        let made = load.recorder.rollouts("Deployment", &user.workload.1);
        assert!(made <= most, "{made} rollouts in {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn s13_every_way_to_refer() {
    let arena = Arena::new("load-s13").await;
    let _reroll = arena.reroll().start().await;
    let from = |name: &str| json!({ "envFrom": [{ "configMapRef": { "name": name } }] });
    let key = json!({ "configMapKeyRef": { "name": "w01", "key": "k" } });
    let mounting = json!({ "volumeMounts": [{ "name": "v", "mountPath": "/v" }] });
    let volume = json!({ "name": "v", "configMap": { "name": "w02" } });
    let projected = json!({ "name": "v", "projected": { "sources": [
        { "configMap": { "name": "w03" } }, { "configMap": { "name": "w04" } },
    ] } });
    let pods = [
        (
            vec!["w00"],
            json!({ "initContainers": [from("w00")], "containers": [{}] }),
        ),
        (
            vec!["w01"],
            json!({ "containers": [{ "env": [{ "name": "V", "valueFrom": key }] }] }),
        ),
        (
            vec!["w02"],
            json!({ "containers": [mounting], "volumes": [volume] }),
        ),
        (
            vec!["w03", "w04"],
            json!({ "containers": [mounting], "volumes": [projected] }),
        ),
        (vec!["w00"], json!({ "containers": [from("w00")] })),
    ];
    let user = |(number, (uses, pod)): (usize, (Vec<&str>, Value))| User {
        workload: ("Deployment", format!("d{number}")),
        uses: uses.into_iter().map(config_map).collect(),
        pod,
    };
    let load = Load::on(
        &arena,
        pods.into_iter().enumerate().map(user).collect(),
        &[],
    )
    .await;
    for _ in 0..3 {
        load.changes(5, 400 * MS, |number| config_map(format!("w{number:02}")))
            .await;
    }
    load.ends_well().await;
}
