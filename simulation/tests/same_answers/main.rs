//! The API server in memory answers as a real one does.
//!
//! The same requests, drawn from a fixed seed, go to both. Answers, the events of watches and the reviews that webhooks
//! get are compared; uids, resourceVersions and times are another on each side, and are mapped one to one. Where the two
//! differ, the copy is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]

mod compare;
mod draw;
mod fixed;
mod hooks;
mod manifests;
mod side;

use reroll_harness::cluster::Cluster;
use reroll_simulation::api_server::{ApiServer, User};
use serde_json::{Value, json};

use self::{
    compare::Comparison,
    draw::Draw,
    hooks::Hooks,
    side::{Side, Step},
};

/// The requests before there are webhooks, and with them.
const REQUESTS: usize = 700;
/// The namespaces that they are about.
const NAMESPACES: [&str; 2] = ["same", "same-too"];

#[test]
fn the_same_requests_have_the_same_answers() {
    let cluster = Cluster::start().unwrap();
    // Whoever else would write.
    cluster.kill_controllers().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let differences = runtime.block_on(compare(&cluster));
    assert!(
        differences.is_empty(),
        "{} differences (real, then in memory):\n{}",
        differences.len(),
        differences.join("\n")
    );
}

async fn compare(cluster: &Cluster) -> Vec<String> {
    let mut real = Side::new(cluster.client().await);
    let who = real
        .ask(&Step::post(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            json!({}),
        ))
        .await;
    let info = &who.body["status"]["userInfo"];
    let user = User {
        name: info["username"].as_str().unwrap().to_owned(),
        groups: serde_json::from_value(info["groups"].clone()).unwrap(),
    };
    let server = in_memory();
    let mut copy = Side::new(server.client(user));
    let mut comparison = Comparison::default();
    let hooks = Hooks::serve(&server).await;
    let mut draw = Draw::new(18);
    for name in NAMESPACES {
        let step = Step::post(
            "/api/v1/namespaces",
            json!({ "metadata": { "name": name } }),
        );
        both(&step, &mut real, &mut copy, &mut comparison, &hooks).await;
    }
    let watches = fixed::watches();
    for step in fixed::others().into_iter().chain(fixed::pods()) {
        both(&step, &mut real, &mut copy, &mut comparison, &hooks).await;
    }
    for path in &watches {
        real.open(path).await;
        copy.open(path).await;
    }
    for step in fixed::types().into_iter().chain(fixed::sizes()) {
        both(&step, &mut real, &mut copy, &mut comparison, &hooks).await;
    }
    for _ in 0..REQUESTS {
        for step in draw.next() {
            both(&step, &mut real, &mut copy, &mut comparison, &hooks).await;
        }
    }
    for configuration in hooks.configurations() {
        let plural = format!(
            "{}s",
            configuration["kind"].as_str().unwrap().to_lowercase()
        );
        let path = format!("/apis/admissionregistration.k8s.io/v1/{plural}");
        both(
            &Step::post(&path, configuration),
            &mut real,
            &mut copy,
            &mut comparison,
            &hooks,
        )
        .await;
    }
    hooks.are_called(&mut real).await;
    for step in fixed::for_webhooks() {
        both(&step, &mut real, &mut copy, &mut comparison, &hooks).await;
    }
    for _ in 0..REQUESTS {
        for step in draw.next() {
            both(&step, &mut real, &mut copy, &mut comparison, &hooks).await;
        }
    }
    for step in fixed::last() {
        both(&step, &mut real, &mut copy, &mut comparison, &hooks).await;
    }
    for path in &watches {
        let (real, copy) = (real.events(path).await, copy.events(path).await);
        comparison.watches(path, &real, &copy);
    }
    eprintln!(
        "{} answers, {} events and {} reviews are compared; the copy took {:?}",
        comparison.answers, comparison.events, comparison.reviews, comparison.copy_took
    );
    assert!(
        comparison.answers >= 2 * REQUESTS && comparison.events > 500 && comparison.reviews > 100
    );
    comparison.differences
}

async fn both(
    step: &Step,
    real: &mut Side,
    copy: &mut Side,
    comparison: &mut Comparison,
    hooks: &Hooks,
) {
    let there = real.ask(step).await;
    let of_real = hooks.take();
    let began = std::time::Instant::now();
    let here = copy.ask(step).await;
    comparison.copy_took += began.elapsed();
    let of_copy = hooks.take();
    comparison.answers(step, &there, &here);
    comparison.reviews(step, &of_real, &of_copy);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the copy has the time of the real one"
)]
fn in_memory() -> ApiServer {
    let mut count = 0;
    let uid = move || {
        count += 1;
        format!("00000000-0000-4000-8000-{count:012}")
    };
    let now = || {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        "1970-01-01T00:00:00Z"
            .parse::<k8s_openapi::jiff::Timestamp>()
            .unwrap()
            + since
    };
    ApiServer::new(now, uid)
}

/// A JSON value, shortened for people.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.len() > 300 {
        format!("{}…", text.chars().take(300).collect::<String>())
    } else {
        text
    }
}
