//! A new Deployment is not rolled a second time, because its pods have just started with what is there. That holds also
//! if the watch of Secrets has not shown it yet.

use std::time::Duration;

use kube::ResourceExt as _;
use reroll_harness::{
    Arena, KINDS, RESTART_ON, Recorder, Reroll, deployment, each, proxy::FaultProxy, workload,
};
use serde_json::{Value, json};

const COUNT: usize = 20;
const AT_ONCE: usize = 5;
const LATE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_secret_written_just_before_rolls_nothing() {
    let arena = Arena::new("create-before").await;
    let (_proxy, reroll, recorder) = late(&arena).await;
    each(COUNT, AT_ONCE, async |number| {
        let name = format!("s{number}");
        arena.secret(&name, &[("k", "zero")]).await;
        match number % 3 {
            0 => {}
            1 => arena.update_secret(&name, &[("k", "one")]).await,
            _ => arena.recreate_secret(&name, &[("k", "two")]).await,
        }
        arena.create(&deployment(&name, &name, "k")).await;
    })
    .await;
    arena.all_adopted("Deployment").await;
    recorder.settle(&arena).await;
    reroll.assert_all_read_at_admission().await;
    for number in 0..COUNT {
        recorder.expect("Deployment", &format!("s{number}"), 0);
    }
}

#[tokio::test]
async fn a_secret_changed_right_after_rolls_once_more() {
    let arena = Arena::new("create-after").await;
    let (_proxy, reroll, recorder) = late(&arena).await;
    each(COUNT, AT_ONCE, async |number| {
        let name = format!("s{number}");
        arena.secret(&name, &[("k", "one")]).await;
        arena.create(&deployment(&name, &name, "k")).await;
        if number % 2 == 0 {
            arena.update_secret(&name, &[("k", "two")]).await;
        } else {
            arena.recreate_secret(&name, &[("k", "one")]).await;
        }
    })
    .await;
    recorder.settle(&arena).await;
    reroll.assert_all_read_at_admission().await;
    for number in 0..COUNT {
        recorder.expect("Deployment", &format!("s{number}"), 1);
    }
}

#[tokio::test]
async fn nor_is_one_whose_name_the_api_server_makes() {
    let arena = Arena::new("create-generated").await;
    let (_proxy, reroll, recorder) = late(&arena).await;
    let mut names = Vec::new();
    for number in 0..6 {
        let secret = format!("s{number}");
        arena.secret(&secret, &[("k", "one")]).await;
        let made = arena.create(&generated(&secret)).await;
        if number % 2 == 0 {
            arena.update_secret(&secret, &[("k", "two")]).await;
        }
        names.push(made.name_any());
    }
    recorder.settle(&arena).await;
    reroll.assert_all_read_at_admission().await;
    for (number, name) in names.iter().enumerate() {
        assert!(name.starts_with("made-"), "{name}");
        recorder.expect("Deployment", name, usize::from(number % 2 == 0));
    }
}

#[tokio::test]
async fn every_kind_that_is_new_is_left_alone() {
    let arena = Arena::new("create-kinds").await;
    let (_proxy, _reroll, recorder) = late(&arena).await;
    let opted_in = [(RESTART_ON, "auto")];
    for kind in KINDS {
        let name = kind.to_lowercase();
        arena.secret(&name, &[("k", "one")]).await;
        arena.config_map(&name, &[("k", "one")]).await;
        let pod = json!({ "containers": [{ "envFrom": [
            { "secretRef": { "name": name } }, { "configMapRef": { "name": name } },
        ] }] });
        arena.create(&workload(kind, &name, &opted_in, pod)).await;
    }
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, &kind.to_lowercase(), 0);
    }
    for kind in KINDS {
        arena
            .update_secret(&kind.to_lowercase(), &[("k", "two")])
            .await;
    }
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect(kind, &kind.to_lowercase(), 1);
    }
}

async fn late(arena: &Arena) -> (FaultProxy, Reroll, Recorder) {
    let (proxy, reroll) = arena.late_secrets(LATE, arena.reroll()).await;
    let recorder = arena.record().await;
    (proxy, reroll, recorder)
}

fn generated(secret: &str) -> Value {
    let mut manifest = deployment("made", secret, "k");
    let metadata = manifest["metadata"].as_object_mut().unwrap();
    metadata.remove("name");
    metadata.insert("generateName".to_owned(), json!("made-"));
    manifest
}
