//! What flags name that is not there: it is told once, in the log, and of what is there nothing.

use reroll_harness::{Arena, eventually};

#[tokio::test]
async fn what_is_not_there_is_told_and_what_is_there_is_not() {
    let arena = Arena::new("not-there").await;
    let absent = format!("{}-absent", arena.namespace);
    let sentences = [
        format!(
            "--namespaces names {absent}, which does not exist: nothing restarts there until it does, and reroll goes on looking; put the name right, or: kubectl create namespace {absent}"
        ),
        "--workload-kind names not-there.example.com/v1/App, which the API server does not serve: nothing of it restarts until it does, and reroll goes on looking; `kubectl api-resources` lists the kinds that there are".to_owned(),
        "the API server has not called the webhook at https://127.0.0.1:1 yet: --webhook-url must be an address that it can reach; the API server of kind and minikube runs in a container or a machine of its own, where 127.0.0.1 is not this machine: give this machine's address as they see it (kind: the gateway of `docker network inspect kind`; minikube: host.minikube.internal) and --webhook-listen 0.0.0.0:PORT".to_owned(),
    ];
    let wrong = arena.reroll();
    let wrong = wrong.flag("--namespaces", &format!("{},{absent}", arena.namespace));
    let wrong = wrong.flag("--workload-kind", "not-there.example.com/v1/App");
    let wrong = wrong
        .flag("--webhook-url", "https://127.0.0.1:1")
        .spawn()
        .await;
    for sentence in &sentences {
        eventually(sentence, async || {
            wrong.log().contains(sentence.as_str()).then_some(())
        })
        .await;
        assert_eq!(wrong.log().matches(sentence.as_str()).count(), 1);
    }
    assert!(wrong.stop().await);

    let right = arena.reroll().start().await;
    // Both write into one file.
    let log = right.log();
    let log = log.rsplit(r#""starting""#).next().unwrap();
    for sentence in &sentences {
        let begin = sentence.split_once(' ').unwrap().0;
        assert!(
            begin == "the" || !log.contains(&format!("{begin} names")),
            "{log}"
        );
    }
    assert!(!log.contains("has not called the webhook"), "{log}");
    assert!(right.stop().await);
}

/// The own namespace is never asked about, so nothing is to be probed there.
#[tokio::test]
async fn the_own_namespace_keeps_nobody_from_being_ready() {
    let arena = Arena::new("own-only").await;
    let reroll = arena.reroll();
    let reroll = reroll
        .flag("--namespaces", &arena.own_namespace)
        .start()
        .await;
    assert!(reroll.stop().await);
}
