//! Clients that take what there is at reroll's ports, and hold on to it. What is counted are answers, connections and bytes.

use futures::future::join_all;
use reroll_harness::{
    Arena, Https, OBSERVED, PATIENCE, RESTART_ON, deployment, eventually, hostile::keep_slow,
};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

/// As many as a stranger opened when a kubelet killed reroll.
const CROWD: usize = 8000;
/// The most that reroll may need for them.
const MEMORY: u64 = 32 << 20;

#[tokio::test]
async fn half_requests_at_the_port_for_probes_keep_no_kubelet_out() {
    let arena = Arena::new("ports-probes").await;
    let reroll = arena.reroll().start().await;
    let before = reroll.memory();
    let half = async || {
        let connect = timeout(PATIENCE, TcpStream::connect(reroll.http_address()));
        let mut stream = connect.await.ok()?.ok()?;
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nHost: re")
            .await
            .ok()?;
        Some(stream)
    };
    let (mut crowd, mut answered, mut most) = (Vec::new(), 0, 0);
    for _ in 0..CROWD / 500 {
        let more = join_all((0..500).map(|_| half())).await;
        crowd.extend(more.into_iter().flatten());
        let alive = reroll.http("/livez").await.map(|(status, _)| status);
        answered += usize::from(alive == Some(200));
        most = most.max(reroll.count("reroll_probe_connections").await);
    }
    assert!(crowd.len() > 256, "more than it holds: {}", crowd.len());
    assert_eq!(answered, CROWD / 500);
    assert!(most <= 256, "{most}");
    let more = reroll.memory().saturating_sub(before);
    eprintln!(
        "{} half requests: {} KiB, at most {most} connections",
        crowd.len(),
        more >> 10
    );
    assert!(more < MEMORY, "{more}");
}

#[tokio::test]
async fn requests_that_come_slowly_keep_no_writes_from_the_webhook() {
    const WRITES: u64 = 10;
    let arena = Arena::new("ports-slow").await;
    let mut reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let https = Https::to(&mut reroll, &arena).await.http2();
    let slow = (0..3).map(|_| keep_slow(https.clone(), 128, 256 << 10, 0));
    let slow = tokio::spawn(join_all(slow.collect::<Vec<_>>()));
    let answered = "reroll_admission_requests_total{webhook=\"sources\",operation=\"UPDATE\",outcome=\"allowed\"}";
    let before = reroll.count(answered).await;
    for number in 0..WRITES {
        arena
            .update_secret("db", &[("k", &number.to_string())])
            .await;
    }
    let seen = reroll.count(answered).await - before;
    // An API server asks again where it tries a write again.
    assert!(seen >= WRITES, "{seen}");
    assert!(!slow.is_finished());
    slow.abort();
}

#[tokio::test]
async fn the_name_of_a_foreign_key_is_told_in_part() {
    let arena = Arena::new("ports-key").await;
    let reroll = arena.reroll().without_webhook().start().await;
    let id = "x".repeat(20_000);
    let mut web = deployment("web", "db", "k");
    web["metadata"]["annotations"] = json!({
        RESTART_ON: "auto", OBSERVED: json!({ "v": 99, "k": id }).to_string(),
    });
    arena.create(&web).await;
    eventually("it says that it does not know the key", async || {
        reroll
            .log()
            .contains("under digest keys that are not ours")
            .then_some(())
    })
    .await;
    let log = reroll.log();
    assert!(log.contains("xxxxxxxx…"), "{log}");
    assert!(!log.contains("xxxxxxxxx"));
    let longest = log.lines().map(str::len).max();
    assert!(longest < Some(8192), "{longest:?}");
}
