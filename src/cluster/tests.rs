//! The door: a deadline for every call, one word for every failure, and what discovery finds.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    discovery::discover,
    testing::{DEADLINE, Gate, Script, Turn},
    *,
};
use crate::model::workload::{DEPLOYMENT_CONFIG, ROLLOUT};

const PATH: &str = "/api/v1/namespaces/n/configmaps/a";

fn config_maps(cluster: &Cluster) -> Api<ConfigMap> {
    Api::namespaced(cluster.client(), "n")
}

fn map(name: &str, version: Option<&str>) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            resource_version: version.map(ToOwned::to_owned),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

/// Makes each kind of call once. Returns what came of them.
async fn every_call(cluster: &Cluster) -> Vec<Result<(), Failure>> {
    let api = config_maps(cluster);
    vec![
        cluster.get(&api, "a").await.map(drop),
        cluster.list(&api, &ListParams::default()).await.map(drop),
        cluster
            .create(&api, &map("b", None), Write::Real)
            .await
            .map(drop),
        cluster.replace(&api, "a", &map("a", None)).await.map(drop),
        cluster.delete(&api, "a", &DeleteParams::default()).await,
    ]
}

#[tokio::test(start_paused = true)]
async fn every_call_ends_by_the_deadline() {
    let script = Script::default();
    for method in ["GET", "POST", "PUT", "DELETE"] {
        script.turn(method, Turn::lose().always());
    }
    let cluster = script.cluster().within(Duration::from_secs(3));
    let began = Instant::now();
    let ended = every_call(&cluster).await;
    assert_eq!(ended, vec![Err(Failure::Timeout); 5]);
    assert_eq!(began.elapsed(), Duration::from_secs(15));
    assert_eq!(script.cluster().deadline(), DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn an_answer_just_in_time_counts_and_one_after_that_does_not() {
    let script = Script::default();
    script.put(PATH, json!({ "metadata": { "name": "a" } }));
    let (cluster, second) = (script.cluster(), Duration::from_secs(1));
    let api = config_maps(&cluster);
    for (late, in_time) in [
        (DEADLINE.checked_sub(second).unwrap(), true),
        (DEADLINE + second, false),
    ] {
        script.turn("GET configmaps/a", Turn::serve().late(late));
        let began = Instant::now();
        let read = cluster.get(&api, "a").await;
        assert_eq!(read.is_ok(), in_time, "{read:?}");
        assert_eq!(began.elapsed(), late.min(DEADLINE));
    }
    // The API server may have made the write all the same.
    let gate = Gate::closed();
    script.turn("DELETE", Turn::serve().held(&gate));
    let deleted = cluster.delete(&api, "a", &DeleteParams::default()).await;
    assert_eq!(deleted, Err(Failure::Timeout));
    assert_eq!(script.object(PATH), None);
}

#[tokio::test(start_paused = true)]
async fn what_the_api_server_answers_has_one_word_for_every_call() {
    for (code, reason, failure) in [
        (409, "Conflict", Failure::Conflict),
        (409, "AlreadyExists", Failure::Exists),
        (422, "Invalid", Failure::Conflict),
        (403, "Forbidden", Failure::Forbidden),
        (429, "TooManyRequests", Failure::Overloaded),
        (503, "ServiceUnavailable", Failure::Refused(503)),
    ] {
        let script = Script::default();
        for method in ["GET", "POST", "PUT", "DELETE"] {
            script.turn(method, Turn::refuse(code, reason).always());
        }
        let ended = every_call(&script.cluster()).await;
        assert_eq!(ended, vec![Err(failure); 5], "{code} {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_no_failure_of_a_read_and_one_of_a_write() {
    let script = Script::default();
    let cluster = script.cluster();
    let api = config_maps(&cluster);
    assert_eq!(cluster.get(&api, "a").await, Ok(None));
    let replaced = cluster.replace(&api, "a", &map("a", None)).await;
    assert_eq!(replaced, Err(Failure::Gone));
    script.turn("GET", Turn::say(200, "canary"));
    assert_eq!(cluster.get(&api, "a").await, Err(Failure::Unreadable));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_persists_nothing_and_writes_are_by_reroll() {
    let script = Script::default();
    let cluster = script.cluster();
    let api = config_maps(&cluster);
    cluster
        .create(&api, &map("a", None), Write::DryRun)
        .await
        .unwrap();
    assert_eq!(script.object(PATH), None);
    let made = cluster
        .create(&api, &map("a", None), Write::Real)
        .await
        .unwrap();
    assert!(script.object(PATH).is_some());
    let version = made.metadata.resource_version;
    cluster
        .replace(&api, "a", &map("a", version.as_deref()))
        .await
        .unwrap();
    let stale = cluster
        .replace(&api, "a", &map("a", version.as_deref()))
        .await;
    assert_eq!(stale, Err(Failure::Conflict));
    for write in ["POST", "PUT"] {
        for asked in script.asked(write) {
            assert!(asked.query.contains("fieldManager=reroll"), "{asked:?}");
        }
    }
}

fn group(versions: &[&str], preferred: &str) -> Value {
    let version =
        |version: &&str| json!({ "groupVersion": format!("g/{version}"), "version": version });
    json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": "g",
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": version(&preferred),
    })
}

fn resources(all: &[(&str, &str, bool)]) -> Value {
    let resource = |(name, kind, namespaced): &(&str, &str, bool)| json!({ "name": name, "kind": kind, "namespaced": namespaced, "singularName": "", "verbs": ["get"] });
    let all: Vec<_> = all.iter().map(resource).collect();
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "g/v", "resources": all })
}

/// What a version of the group serves: name, kind, and whether it is in namespaces.
type Serves<'a> = (&'a str, &'a [(&'a str, &'a str, bool)]);

/// The versions that are served, the preferred one, what each version has, and the version and plural that are found.
type Row<'a> = (
    &'a [&'a str],
    &'a str,
    &'a [Serves<'a>],
    Option<(&'a str, &'a str)>,
);

#[tokio::test(start_paused = true)]
async fn discovery_finds_the_version_and_the_name_that_are_served() {
    let rollouts = [
        ("rollouts/status", "Rollout", true),
        ("rollouts", "Rollout", true),
    ];
    let elsewhere = [
        ("rollouts/status", "Rollout", true),
        ("rollouts", "Rollout", false),
    ];
    let renamed = [("rolls/scale", "Scale", true), ("rolls", "Rollout", true)];
    let three = ["v3", "v2", "v1"];
    let rows: [Row; 7] = [
        // The row's version, although another is preferred.
        (
            &["v1", "v1alpha1"],
            "v1",
            &[("v1", &rollouts), ("v1alpha1", &rollouts)],
            Some(("v1alpha1", "rollouts")),
        ),
        // It is not served: the preferred one, then the others in the API server's order.
        (
            &three,
            "v2",
            &[("v3", &rollouts), ("v2", &rollouts)],
            Some(("v2", "rollouts")),
        ),
        (
            &three,
            "v2",
            &[("v1", &rollouts), ("v3", &rollouts)],
            Some(("v3", "rollouts")),
        ),
        (&three, "v2", &[("v1", &rollouts)], Some(("v1", "rollouts"))),
        // The group is there, and the kind is not, or not in namespaces; or it is called otherwise.
        (&["v1alpha1"], "v1alpha1", &[], None),
        (&["v1alpha1"], "v1alpha1", &[("v1alpha1", &elsewhere)], None),
        (
            &["v1alpha1"],
            "v1alpha1",
            &[("v1alpha1", &renamed)],
            Some(("v1alpha1", "rolls")),
        ),
    ];
    for (versions, preferred, served, expected) in rows {
        let script = Script::default();
        for (version, list) in served {
            let pattern = format!("GET /apis/argoproj.io/{version}$");
            script.turn(&pattern, Turn::say(200, &resources(list)));
        }
        script.turn(
            "GET /apis/argoproj.io$",
            Turn::say(200, &group(versions, preferred)),
        );
        let found = discover(&script.cluster(), DiscoveredKind::Workload(&ROLLOUT)).await;
        let found = found
            .unwrap()
            .map(|resource| (resource.version, resource.plural));
        let expected = expected.map(|(version, plural)| (version.to_owned(), plural.to_owned()));
        assert_eq!(found, expected, "{versions:?}, of which {served:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_not_served_is_none_and_one_that_nobody_tells_of_is_a_failure() {
    let kind = DiscoveredKind::Workload(&DEPLOYMENT_CONFIG);
    let script = Script::default();
    // As plain text, which is no Status.
    script.turn("GET /apis/", Turn::say(404, "404 page not found"));
    assert_eq!(discover(&script.cluster(), kind).await, Ok(None));
    for (turn, failure) in [
        (
            Turn::refuse(503, "ServiceUnavailable"),
            Failure::Refused(503),
        ),
        (Turn::refuse(403, "Forbidden"), Failure::Forbidden),
        (Turn::lose(), Failure::Timeout),
    ] {
        script.turn("GET /apis/", turn);
        assert_eq!(discover(&script.cluster(), kind).await, Err(failure));
    }
}

#[tokio::test(start_paused = true)]
async fn paths_follow_what_discovery_found() {
    let script = Script::default();
    let cluster = script.cluster();
    let key = crate::model::WorkloadKey {
        kind: &ROLLOUT,
        namespace: "n".to_owned(),
        name: "a".to_owned(),
    };
    cluster.workload(&key).await.unwrap();
    let kind = DiscoveredKind::Workload(&ROLLOUT);
    let gvk = kube::core::GroupVersionKind::gvk("argoproj.io", "v2", "Rollout");
    let named = kube::core::ApiResource::from_gvk_with_plural(&gvk, "rolls");
    assert!(cluster.served().appeared(kind, &named));
    assert!(
        !cluster.clone().served().appeared(kind, &named),
        "clones share it"
    );
    cluster.workload(&key).await.unwrap();
    let paths: Vec<_> = script
        .asked("GET")
        .into_iter()
        .map(|asked| asked.path)
        .collect();
    let at = |version, plural| format!("/apis/argoproj.io/{version}/namespaces/n/{plural}/a");
    assert_eq!(paths, [at("v1alpha1", "rollouts"), at("v2", "rolls")]);
}
