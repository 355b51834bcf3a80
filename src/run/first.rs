//! The first calls of a start: who reroll is, and the digest key.

use anyhow::Context as _;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::Api;

use super::patience::patiently;
use crate::{
    chance::Chance,
    cluster::{
        Cluster, Failure, Write,
        lease::Leadership,
        own::digest_key::{DigestKeyError, Store},
    },
    model::DigestKey,
};

/// Reads the digest key, or makes it. Waits for an API server that is away.
pub(super) async fn load_key(
    store: &Store,
    leadership: &Leadership,
    chance: &Chance,
) -> Result<DigestKey, DigestKeyError> {
    let load = || store.load_or_create(leadership.clone(), chance);
    patiently("read the digest key", DigestKeyError::passes, load).await
}

/// Asks the API server for the user name by which it knows reroll. Waits for an API server that is away.
///
/// # Errors
/// When the API server refuses, does not answer in time, or does not say.
pub async fn own_user(cluster: &Cluster) -> anyhow::Result<String> {
    let api = Api::<SelfSubjectReview>::all(cluster.client());
    let review = SelfSubjectReview::default();
    let ask = || cluster.create(&api, &review, Write::Real);
    let address = cluster.reach().api_server();
    let what = format!("ask the API server at \"{address}\" who reroll is");
    let review = patiently(&what, Failure::passes, ask).await;
    let review = review.map_err(|failure| {
        let remedy = match failure {
            Failure::Forbidden | Failure::Unauthorized => {
                "; the API server must know reroll's credentials, and allow them to create SelfSubjectReviews"
            }
            Failure::Unreachable(_) | Failure::Timeout => {
                "; `kubectl cluster-info` with the same kubeconfig and context says whether it can be reached from here"
            }
            _ => "",
        };
        anyhow::anyhow!("cannot {what}: {failure}{remedy}")
    })?;
    let user = review
        .status
        .and_then(|status| status.user_info)
        .and_then(|user| user.username);
    user.context(
        "the API server does not say who we are (SelfSubjectReview, Kubernetes 1.28 or newer)",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::Instant;

    use super::super::patience::{PATIENCE, RETRY};
    use crate::{
        chance::system_chance,
        cluster::testing::{DEADLINE, Script, Turn},
    };

    use super::*;

    const WHO: &str = "POST selfsubjectreviews";
    const KEY: &str = "/api/v1/namespaces/reroll/secrets/key";

    /// An API server that takes these turns first, then knows who asks, and has a key.
    fn script(turns: impl IntoIterator<Item = (&'static str, Turn)>) -> Script {
        let script = Script::default();
        for (pattern, turn) in turns {
            script.turn(pattern, turn);
        }
        let review = json!({ "status": { "userInfo": { "username": "us" } } });
        script.turn(WHO, Turn::say(201, &review).always());
        let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        script.put(
            KEY,
            json!({ "metadata": { "name": "key", "namespace": "reroll" }, "data": { "key": key } }),
        );
        script
    }

    /// Makes the first calls of a start.
    async fn start(script: &Script) -> anyhow::Result<()> {
        let cluster = script.cluster();
        assert_eq!(own_user(&cluster).await?, "us");
        let store = Store::new(cluster, "reroll", "key");
        let (leadership, chance) = (Leadership::always(), system_chance());
        load_key(&store, &leadership, &chance).await?;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_again() {
        let failures = [
            ("cut", Turn::cut()),
            ("overloaded", Turn::refuse(429, "TooManyRequests")),
            ("away", Turn::refuse(503, "ServiceUnavailable")),
            ("lost", Turn::lose()),
        ];
        for (name, turn) in failures {
            for call in [WHO, "GET secrets/key"] {
                let script = script(vec![(call, turn.clone()); 5]);
                let started = start(&script).await;
                assert!(started.is_ok(), "{name}, {call}: {started:?}");
                assert!(script.count(call) >= 6, "{name}, {call}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_in_two_minutes_and_says_why() {
        let longest = PATIENCE + RETRY.1 * 2 + DEADLINE;
        for call in [WHO, "GET secrets/key"] {
            let script = script([(call, Turn::cut().always())]);
            let began = Instant::now();
            let failed = start(&script).await.unwrap_err().to_string();
            let took = began.elapsed();
            assert!(took >= PATIENCE && took <= longest, "{took:?}");
            assert!(failed.contains("connection reset"), "{failed}");
            assert!(
                !failed.contains("needs") && !failed.contains("allow"),
                "{failed}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_ends_it_at_once_with_its_own_remedy() {
        for (call, code, reason, remedy) in [
            (WHO, 401, "Unauthorized", "credentials"),
            (WHO, 403, "Forbidden", "credentials"),
            (
                "GET secrets/key",
                403,
                "Forbidden",
                "needs get and create on Secrets",
            ),
        ] {
            let script = script([(call, Turn::refuse(code, reason).always())]);
            let began = Instant::now();
            let failed = start(&script).await.unwrap_err().to_string();
            assert_eq!(began.elapsed(), Duration::ZERO);
            assert_eq!(script.count(call), 1);
            assert!(failed.contains(remedy), "{failed}");
            assert!(!failed.contains("must exist"), "{failed}");
        }
    }
}
