//! What the log says while the API server is away.

use std::time::Duration;

use reroll_harness::{Arena, eventually};
use tokio::time::sleep;

use crate::{MACHINE, fleet::Fleet};

/// How long the API server stays down after the log has said so: each watch and each loop fails several times.
const AWAY: Duration = Duration::from_secs(8);

#[tokio::test]
async fn an_api_server_that_is_away_is_one_line_and_its_return_another() {
    let _machine = MACHINE.read().await;
    let arena = Arena::on_own_cluster("away").await;
    let cluster = arena.cluster;
    let reroll = arena.reroll().start().await;
    let fleet = Fleet::with_own_secrets(&arena, "app", 2).await;
    let recorder = arena.record().await;
    let lines = |words: &str| {
        let log = reroll.log();
        let lines = log.lines().filter(|line| line.contains(words));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    cluster.kill_component("kube-apiserver").unwrap();
    eventually("the log says that it is away", async || {
        (!lines("cannot be reached").is_empty()).then_some(())
    })
    .await;
    sleep(AWAY).await;
    tokio::task::spawn_blocking(|| cluster.start_components().unwrap())
        .await
        .unwrap();
    eventually("the log says that it is back", async || {
        (!lines("can be reached again").is_empty()).then_some(())
    })
    .await;
    fleet.update(&arena, "two").await;
    recorder.settle(&arena).await;
    fleet.expect(&arena, &recorder, 1).await;
    for words in ["cannot be reached", "can be reached again"] {
        let told = lines(words);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("https://127.0.0.1"), "{told:?}");
    }
    assert_eq!(lines("kube_client"), Vec::<String>::new());
    let watches = lines("a watch failed");
    assert!(!watches.is_empty(), "no watch failed");
    let loud = |line: &&String| line.contains("\"WARN\"") && line.contains("\"code\":0");
    let loud: Vec<_> = watches.iter().filter(loud).collect();
    assert!(loud.is_empty(), "{loud:?}");
}
