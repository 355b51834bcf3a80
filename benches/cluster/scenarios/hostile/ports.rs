//! What strangers do at reroll's ports: any pod that reaches them.

use futures::future::join_all;
use reroll::webhook::routes::WORKLOADS_PATH;
use reroll_harness::{
    Https, RESTART_ON, deployment,
    generate::review,
    hostile::{
        CONFIG_MAP_RELOAD, SECRET_RELOAD, expression_list, glob_list, keep_slow, read_globs,
    },
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet, time::sleep};

use super::{tenants::every, times_a_second};

/// Half-spoken requests at once.
const CROWD: usize = 8000;
const BATCH: usize = 500;
/// Requests at once on an HTTP/2 connection.
const STREAMS: usize = 128;
/// What slow requests declare.
const SMALL: usize = 256 << 10;
const LARGE: usize = 12 << 20;

/// One forged review a second, of 38 KB, and one a second with as much as is read, and with everything of a namespace.
pub(super) fn reviews(work: &mut JoinSet<()>, webhook: &Https, namespace: &str) {
    let forged = |name: &str, annotations: Value| {
        let mut object = deployment(name, "w00", "k");
        object["metadata"]["annotations"] = annotations;
        let mut review = review("CREATE", &object, &Value::Null);
        review["request"]["namespace"] = json!(namespace);
        review.to_string()
    };
    let many = forged(
        "many",
        json!({
            RESTART_ON: glob_list(190, 0),
            SECRET_RELOAD: expression_list(1024),
            CONFIG_MAP_RELOAD: expression_list(1024),
        }),
    );
    let few = json!({ RESTART_ON: read_globs(0), SECRET_RELOAD: expression_list(8) });
    let all = json!({ RESTART_ON: "secret/*" });
    for body in [many, forged("few", few), forged("all", all)] {
        let webhook = webhook.clone();
        every(work, times_a_second(1), move |_| {
            let (webhook, body) = (webhook.clone(), body.clone());
            async move {
                let asked = webhook.try_request("POST", WORKLOADS_PATH, body.into());
                drop(asked.await);
            }
        });
    }
}

/// Three connections full of requests that declare 256 KiB, and one with four large ones.
pub(super) fn slow(work: &mut JoinSet<()>, webhook: &Https) {
    let webhook = webhook.clone().http2();
    for _ in 0..3 {
        work.spawn(keep_slow(webhook.clone(), STREAMS, SMALL, 0));
    }
    work.spawn(keep_slow(webhook, 4, LARGE, LARGE - (1 << 20)));
}

/// Thousands of requests that never end their header, and others when these are cut.
pub(super) fn probes(work: &mut JoinSet<()>, address: &str) {
    let address = address.to_owned();
    work.spawn(async move {
        let mut crowd = std::collections::VecDeque::new();
        loop {
            let half = async || {
                let mut stream = TcpStream::connect(&address).await.ok()?;
                let begun = b"GET /livez HTTP/1.1\r\nHost: re";
                stream.write_all(begun).await.ok()?;
                Some(stream)
            };
            crowd.push_back(join_all((0..BATCH).map(|_| half())).await);
            if crowd.len() > CROWD / BATCH {
                crowd.pop_front();
            }
            sleep(times_a_second(10)).await;
        }
    });
}
