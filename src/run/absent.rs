//! What flags name that is not there (yet): namespaces, and kinds. It is told once, at the start.
//!
//! reroll goes on looking for both by itself: a watch of a namespace that does not exist shows nothing until it does, and
//! discovery looks for a kind again and again.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::ListParams};

use crate::{
    cluster::{Cluster, DiscoveredKind, Failure, discovery::discover},
    model::workload::{KINDS, Kinds, NAMED},
};

/// Tells which of these namespaces, and of the kinds of `--workload-kind`, do not exist.
pub(super) async fn tell(cluster: Cluster, namespaces: Vec<String>, kinds: Kinds) {
    for sentence in find(&cluster, &namespaces, &kinds).await {
        tracing::warn!("{sentence}");
    }
}

/// Returns a sentence for each. What cannot be found out is not told: reroll may lack the right, and needs it for nothing
/// else.
async fn find(cluster: &Cluster, namespaces: &[String], kinds: &Kinds) -> Vec<String> {
    let mut told = Vec::new();
    let api = Api::<Namespace>::all(cluster.client());
    for name in namespaces {
        match exists(cluster, &api, name).await {
            Ok(false) => told.push(format!(
                "--namespaces names {name}, which does not exist: nothing restarts there until it does, and reroll goes on looking; \
                 put the name right, or: kubectl create namespace {name}"
            )),
            Ok(true) => {}
            Err(_) => break,
        }
    }
    let known = |kind: &&_| {
        KINDS
            .iter()
            .chain(NAMED.iter().map(|(kind, _)| *kind))
            .any(|known| known == *kind)
    };
    for kind in kinds.iter().filter(|kind| !known(kind)) {
        let kind = DiscoveredKind::Workload(kind);
        if discover(cluster, kind).await == Ok(None) {
            told.push(format!(
                "--workload-kind names {kind}, which the API server does not serve: nothing of it restarts until it does, and reroll \
                 goes on looking; `kubectl api-resources` lists the kinds that there are"
            ));
        }
    }
    told
}

/// Whether a namespace exists. It is looked for by a list, which the watches of namespaces need the right to as well.
async fn exists(cluster: &Cluster, api: &Api<Namespace>, name: &str) -> Result<bool, Failure> {
    let mut found = false;
    let by_name = ListParams::default().fields(&format!("metadata.name={name}"));
    cluster.each(api, by_name, |_| found = true).await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        cluster::testing::{Script, Turn},
        model::workload::{ROLLOUT, WorkloadKind},
    };

    #[tokio::test(start_paused = true)]
    async fn what_does_not_exist_is_told_and_what_does_is_not() {
        let script = Script::default();
        let list = |items: serde_json::Value| {
            json!({ "kind": "NamespaceList", "apiVersion": "v1", "metadata": {}, "items": items })
                .to_string()
        };
        let there = || list(json!([{ "metadata": { "name": "there" } }]));
        for answer in [list(json!([])), there(), there()] {
            script.turn("GET /api/v1/namespaces", Turn::say(200, &answer));
        }
        script.turn("GET /apis/", Turn::say(404, "404 page not found").always());
        let app = WorkloadKind::configured(
            "example.com".to_owned(),
            "v1".to_owned(),
            "App".to_owned(),
            "apps".to_owned(),
            None,
        );
        let kinds = Kinds::none().with(&ROLLOUT).unwrap().with(app).unwrap();
        let namespaces = ["shop".to_owned(), "there".to_owned()];
        assert_eq!(
            find(&script.cluster(), &namespaces, &kinds).await,
            [
                "--namespaces names shop, which does not exist: nothing restarts there until it does, and reroll goes on looking; put the name right, or: kubectl create namespace shop",
                "--workload-kind names example.com/v1/App, which the API server does not serve: nothing of it restarts until it does, and reroll goes on looking; `kubectl api-resources` lists the kinds that there are",
            ]
        );
        assert!(
            find(&script.cluster(), &namespaces[1..], &Kinds::default())
                .await
                .is_empty()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_asked_is_not_told() {
        let script = Script::default();
        script.turn("GET ", Turn::refuse(403, "Forbidden").always());
        assert!(
            find(&script.cluster(), &["shop".to_owned()], &Kinds::default())
                .await
                .is_empty()
        );
    }
}
