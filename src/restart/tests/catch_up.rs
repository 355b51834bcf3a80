//! What is read before a restart where watches may have missed something.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{Request, Response},
};
use tokio::time::sleep;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::cluster::liveness::{Liveness, WATCH_SECONDS};

const GETS: &str = "GET secrets/";
const WATCH: &str = "/api/v1/secrets?resourceVersion=1&watch=true";

/// Has the watch of Secrets be started, and bring nothing.
async fn silent(stage: &Stage) {
    let watches: &Liveness = stage.live.cluster.watches();
    let service = service_fn(|_: Request<()>| async {
        let body = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, Infallible>>());
        Ok::<_, Infallible>(Response::new(body))
    });
    let request = Request::get(WATCH).body(()).unwrap();
    let answer = watches.layer(service).oneshot(request).await.unwrap();
    tokio::spawn(axum::body::to_bytes(answer.into_body(), 100));
    sleep(Duration::from_secs(u64::from(WATCH_SECONDS) + 3)).await;
    assert!(watches.doubt().is_some());
}

/// A Deployment of two Secrets, both of which have changed: the watch has shown only the first.
fn half_seen(stage: &Stage, name: &str) -> crate::model::WorkloadKey {
    stage.secret("s", "A", "x");
    stage.secret("t", "A", "x");
    let key = stage.adopted(deployment(name, &["s", "t"]));
    drop(stage.put_secret("t", "A", "y"));
    stage.secret("s", "A", "y");
    key
}

#[tokio::test(start_paused = true)]
async fn all_sources_are_read_once_and_the_restart_is_for_all_that_changed() {
    let stage = Stage::set();
    silent(&stage).await;
    let web = half_seen(&stage, "web");
    let work = start(&stage, 2);
    settle().await;
    stage.show_secret_now("t");
    settle().await;
    assert_eq!(stage.script.count(GETS), 2);
    assert_eq!(stage.script.count(PATCH), 1);
    assert_eq!(stage.object(&web)["metadata"]["generation"], 2);
    work.end().await;
    assert_eq!(
        stage.told().await,
        [
            "Restarted: Secret s was updated",
            "Restarted: Secret t was updated"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_read_keeps_nothing_from_its_restart() {
    for code in [403, 500] {
        let stage = Stage::set();
        silent(&stage).await;
        half_seen(&stage, "web");
        stage.script.turn(GETS, Turn::refuse(code, "No").always());
        let _work = start(&stage, 2);
        settle().await;
        assert_eq!(stage.script.count(PATCH), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_where_no_watch_is_in_doubt() {
    let stage = Stage::set();
    half_seen(&stage, "web");
    let _work = start(&stage, 2);
    settle().await;
    assert_eq!(
        (stage.script.count(GETS), stage.script.count(PATCH)),
        (0, 1)
    );
}
