//! A restart that fails, as the commands tell it, and what is known of it later.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    time::Duration,
};

use reroll_harness::{Arena, Behaves, Kubelet, deployment};

use super::{arena, ask, ask_until, command};

fn behaviour(value: &str) -> Behaves {
    match value {
        "bad" => Behaves::ConfigError,
        _ => Behaves::Well,
    }
}

/// `status -w` of the Secret, which goes on until it is killed.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Watch {
    fn start(arena: &Arena) -> Self {
        let (here, own) = (&arena.namespace, &arena.own_namespace);
        let words = [
            "status",
            "secret/db",
            "-w",
            "-n",
            here,
            "--reroll-namespace",
            own,
        ];
        let mut command = command(arena.cluster.kubeconfig(), &words);
        command.stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Waits until it says this. It never ends by itself.
    async fn says(mut self, words: [&'static str; 3]) {
        let out = BufReader::new(self.0.stdout.take().unwrap());
        let reads = tokio::task::spawn_blocking(move || {
            let mut words = words.into_iter().peekable();
            for line in out.lines() {
                let line = line.unwrap();
                words.next_if(|word| line.contains(word));
                if words.peek().is_none() {
                    return;
                }
            }
            panic!("it ended before it said {:?}", words.next());
        });
        let limit = tokio::time::timeout(reroll_harness::PATIENCE, reads);
        limit.await.expect("it says everything").unwrap();
    }
}

#[tokio::test]
async fn cli_tells_a_restart_that_failed() {
    let arena = arena("cli-failing").await;
    let kubelet = Kubelet::join(&arena, behaviour).await;
    arena.secret("db", &[("k", "good")]).await;
    arena
        .create(&kubelet.runs(deployment("web", "db", "k"), 1))
        .await;
    arena.pods_are("web", 1, "Running").await;
    // What pods have that are made sooner is not known for sure.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let reroll = arena.reroll().start().await;
    arena.adopted("Deployment", "web").await;
    let watch = Watch::start(&arena).says(["1 up to date", "1 stuck", "1 up to date"]);
    let acts = async {
        ask_until(&arena, &["status", "secret/db"], "1 up to date").await;
        arena.later_second().await;
        arena.update_secret("db", &[("k", "bad")]).await;
        ask_until(&arena, &["status", "secret/db"], "1 stuck").await;
        let status = ask(&arena, &["status"]).await;
        insta::assert_snapshot!("status_of_a_failure", status.said(&arena));
        let explained = ask(&arena, &["explain", "deploy/web"]).await;
        insta::assert_snapshot!("explain_a_failure", explained.said(&arena));
        // There is nothing to wait for.
        let waited = ask(&arena, &["wait", "secret/db", "--timeout", "30m"]).await;
        assert_eq!(waited.code, 3, "{}{}", waited.out, waited.err);
        let history = ask(&arena, &["history"]).await;
        insta::assert_snapshot!("history_of_a_failure", history.said(&arena));
        // It is told as an Event, which stays after it is mended.
        arena.event("web", "RestartStuck: ").await;
        arena.update_secret("db", &[("k", "mended")]).await;
        ask_until(&arena, &["status", "secret/db"], "1 up to date").await;
    };
    tokio::join!(watch, acts);
    let history = ask_until(&arena, &["history", "deploy/web"], "complete").await;
    insta::assert_snapshot!("history_of_a_workload", history.said(&arena));
    let late = ask(&arena, &["history", "--since", "1ms"]).await;
    insta::assert_snapshot!("history_of_nothing", late.said(&arena));
    let json = ask(&arena, &["history", "-o", "json"]).await;
    let read: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let [second, first] = read["restarts"].as_array().unwrap().as_slice() else {
        panic!("{}", json.out);
    };
    assert_eq!(
        (&second["outcome"], &first["outcome"]),
        (&"complete".into(), &"failed".into())
    );
    assert!(
        first["changed"]["secret/db"]["at"].is_string(),
        "{}",
        json.out
    );
    drop(reroll);
}
