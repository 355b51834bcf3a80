//! What the webhook read, and is older than what is known.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    judge::contradictions,
    model::{SourceKey, testing::NAMESPACE},
};

#[tokio::test(start_paused = true)]
async fn what_the_webhook_read_is_believed_and_two_such_reads_prove_that_history_went_back() {
    let stage = Stage::set();
    let names = ["a", "b"];
    let lost = names.map(|name| stage.put_secret(name, "A", "x"));
    let kept = names.map(|name| stage.put_secret(name, "A", "y"));
    for (key, version) in kept {
        stage.show_secret(&key, version);
    }
    stage.adopted(deployment("web", &names));
    let stop = CancellationToken::new();
    let task = contradictions::take_in(stage.judge.clone(), stop.clone());
    let task = tokio::spawn(task);
    let known = |key: &SourceKey| {
        let index = stage.judge.state.index();
        let known = index.source(&key.namespace, &key.source).version();
        known.map(|version| version.resource_version)
    };
    for (number, (key, version)) in lost.into_iter().enumerate() {
        let shown = version.resource_version;
        let read = (key.source.clone(), Some(version));
        let asked = stage.judge.tick();
        stage.judge.state.contradicted(NAMESPACE, asked, vec![read]);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(known(&key), Some(shown));
        let proved = timeout(Duration::from_millis(1), stage.judge.history.went_back()).await;
        assert_eq!(proved.is_ok(), number == 1, "{number}");
    }
    // What came since it was asked for stays.
    let asked = stage.judge.tick();
    let (key, version) = stage.put_secret("a", "A", "z");
    let shown = version.resource_version;
    stage.show_secret(&key, version);
    let read = (key.source.clone(), None);
    stage.judge.state.contradicted(NAMESPACE, asked, vec![read]);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(known(&key), Some(shown));
    stop.cancel();
    task.await.unwrap();
}
