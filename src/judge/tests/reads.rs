//! Sources that are read because the watches do not show enough of them.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    cluster::testing::{Turn, log::Log},
    judge::reads,
    model::SourceKey,
};

const UNREAD: &str = "cannot read a source";
const READ: &str = "a source that could not be read was read";
const NEEDLESS: &str = "a source that could not be read needs no read any more";

/// Only the digest of the whole is known of a Secret.
fn show_partly(stage: &Stage, name: &str) -> SourceKey {
    let (key, mut version) = stage.put_secret(name, "A", "x");
    version.put_keys_away();
    stage.show_secret(&key, version);
    key
}

/// How many lines say this of each of the sources.
fn lines(text: &str, what: &str, of: &[SourceKey]) -> Vec<usize> {
    let count = |key: &SourceKey| {
        let says = |line: &&str| line.contains(what) && line.contains(&key.to_string());
        text.lines().filter(says).count()
    };
    of.iter().map(count).collect()
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_told_once_and_so_is_its_end() {
    let (log, stage) = (Log::default(), Stage::set());
    let _kept = log.keep();
    let stop = CancellationToken::new();
    let task = tokio::spawn(reads::read(stage.live.clone(), stop.clone()));
    let waiting = || stage.judge.unshown.waiting();
    let names = ["a", "b"];
    for turn in 0..2 {
        let keys = names.map(|name| show_partly(&stage, name));
        let webs = names.map(|name| stage.workload(deployment(&format!("web-{name}"), &[name])));
        stage
            .script
            .turn("GET secrets", Turn::refuse(403, "Forbidden").always());
        stage.judge.unshown.read_now(keys.to_vec(), Instant::now());
        sleep(Duration::from_mins(1)).await;
        assert_eq!(waiting(), names.len(), "{turn}");
        assert!(stage.script.count("GET secrets") > 20 * names.len());
        let text = log.take();
        assert_eq!(lines(&text, UNREAD, &keys), [1, 1], "{turn}: {text}");
        // One is not used any more, and the other can be read.
        stage.judge.workload_deleted(&webs[0]);
        stage.script.clear_all();
        sleep(Duration::from_mins(1)).await;
        assert_eq!(waiting(), 0, "{turn}");
        let text = log.take();
        assert_eq!(lines(&text, UNREAD, &keys), [0, 0], "{turn}: {text}");
        assert_eq!(lines(&text, NEEDLESS, &keys), [1, 0], "{turn}: {text}");
        assert_eq!(lines(&text, READ, &keys), [0, 1], "{turn}: {text}");
    }
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_an_api_server_that_is_away_nothing_is_told_here() {
    let (log, stage) = (Log::default(), Stage::set());
    let _kept = log.keep();
    let key = show_partly(&stage, "s");
    stage.workload(deployment("web", &["s"]));
    stage.script.turn("GET secrets", Turn::cut().always());
    let stop = CancellationToken::new();
    let task = tokio::spawn(reads::read(stage.live.clone(), stop.clone()));
    stage.judge.unshown.read_now(vec![key], Instant::now());
    sleep(Duration::from_mins(1)).await;
    assert_eq!(stage.judge.unshown.waiting(), 1);
    stage.script.clear_all();
    sleep(Duration::from_mins(1)).await;
    assert_eq!(stage.judge.unshown.waiting(), 0);
    let text = log.take();
    assert!(
        text.contains("cannot be reached") && text.contains("can be reached again"),
        "{text}"
    );
    assert!(!text.contains("a source"), "{text}");
    stop.cancel();
    task.await.unwrap();
}
