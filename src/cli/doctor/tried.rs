//! Whether API servers ask the webhook: a Deployment that opts in is created as a dry run, and comes back with what only the
//! webhook adds.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::report::Line;
use crate::{
    cli::{findings::Finding, session::Session},
    cluster::{Failure, Write},
    model::annotation::{OBSERVED, RESTART_ON},
};

/// Tries it in this namespace.
pub(super) async fn asked(session: &Session, namespace: &str) -> Line {
    let api = Api::<Deployment>::namespaced(session.cluster.client(), namespace);
    // Kubernetes makes this ConfigMap in every namespace.
    let tried = serde_json::from_value::<Deployment>(json!({
        "metadata": { "generateName": "reroll-doctor-", "annotations": { RESTART_ON: "auto" } },
        "spec": {
            "selector": { "matchLabels": { "app": "reroll-doctor" } },
            "template": {
                "metadata": { "labels": { "app": "reroll-doctor" } },
                "spec": {
                    "containers": [{ "name": "none", "image": "none" }],
                    "volumes": [{ "name": "ca", "configMap": { "name": "kube-root-ca.crt" } }],
                },
            },
        },
    }));
    let answer = match tried {
        Ok(tried) => session.cluster.create(&api, &tried, Write::DryRun).await,
        Err(why) => return Line::not_seen(format!("whether API servers ask the webhook: {why}")),
    };
    said(namespace, &answer)
}

fn said(namespace: &str, answer: &Result<Deployment, Failure>) -> Line {
    match answer {
        Ok(answer) if answer.annotations().contains_key(OBSERVED) => Line::fine(format!(
            "the API server asks the webhook about a Deployment in {namespace}"
        )),
        Ok(_) => {
            let words = format!(
                "the API server did not ask the webhook about a Deployment in {namespace}, or got no answer in time"
            );
            let to_do = "see that its control plane reaches the pods' port (a firewall, a NetworkPolicy), and that this namespace is one that \
                 the webhook is asked about";
            Line::found(Finding::Unanswered, words).then(to_do)
        }
        Err(why) => Line::failed(
            &format!("create Deployments in {namespace}, as a dry run"),
            why,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_tells_whether_the_webhook_was_asked() {
        let deployment = |annotations: serde_json::Value| {
            let object = json!({ "metadata": { "annotations": annotations } });
            Ok(serde_json::from_value(object).unwrap())
        };
        let asked = said(
            "shop",
            &deployment(json!({ RESTART_ON: "auto", OBSERVED: "{}" })),
        );
        let fine = Line::fine("the API server asks the webhook about a Deployment in shop");
        assert_eq!(asked, fine);
        let passed_by = said("shop", &deployment(json!({ RESTART_ON: "auto" })));
        assert_eq!(passed_by.code(), Some("RR223"));
        let refused = said("shop", &Err(Failure::Forbidden));
        let unseen = Line::not_seen("no right to create Deployments in shop, as a dry run");
        assert_eq!(refused, unseen);
    }
}
