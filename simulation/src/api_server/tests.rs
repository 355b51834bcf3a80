use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::WatchEvent,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;

use super::*;

/// A server with Namespace `n`, whose clock stands still and whose uids are counted.
async fn server() -> (ApiServer, Api<ConfigMap>) {
    let count = AtomicU64::new(0);
    let uid = move || {
        format!(
            "00000000-0000-0000-0000-{:012}",
            count.fetch_add(1, Ordering::Relaxed)
        )
    };
    let server = ApiServer::new(|| "2026-01-01T00:00:00Z".parse().unwrap(), uid);
    let client = server.client(User::new("someone"));
    let namespace: Namespace =
        serde_json::from_value(json!({ "metadata": { "name": "n" } })).unwrap();
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let maps = Api::namespaced(client, "n");
    (server, maps)
}

fn map(name: &str, value: &str) -> ConfigMap {
    let object =
        json!({ "metadata": { "name": name, "labels": { "v": value } }, "data": { "k": value } });
    serde_json::from_value(object).unwrap()
}

async fn create(maps: &Api<ConfigMap>, name: &str, value: &str) -> ConfigMap {
    maps.create(&PostParams::default(), &map(name, value))
        .await
        .unwrap()
}

async fn relabel(maps: &Api<ConfigMap>, name: &str, value: &str) -> ConfigMap {
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "v": value } } }));
    maps.patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap()
}

fn told(event: Result<watcher::Event<ConfigMap>, watcher::Error>) -> String {
    match event {
        Ok(watcher::Event::Init) => "init".to_owned(),
        Ok(watcher::Event::InitDone) => "done".to_owned(),
        Ok(watcher::Event::InitApply(map)) => format!("listed {}", map.name_any()),
        Ok(watcher::Event::Apply(map)) => format!("applied {}", map.name_any()),
        Ok(watcher::Event::Delete(map)) => format!("deleted {}", map.name_any()),
        Err(error) => format!("error {error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn kubes_watcher_sees_a_list_and_what_changes() {
    for streamed in [false, true] {
        let (server, maps) = server().await;
        create(&maps, "a", "1").await;
        let config = watcher::Config::default().labels("v=1");
        let config = if streamed {
            config.streaming_lists()
        } else {
            config
        };
        let mut events = watcher(maps.clone(), config)
            .default_backoff()
            .map(told)
            .boxed();
        let mut next = async |count: usize| events.by_ref().take(count).collect::<Vec<_>>().await;
        assert_eq!(next(3).await, ["init", "listed a", "done"]);
        create(&maps, "b", "2").await;
        relabel(&maps, "b", "1").await;
        relabel(&maps, "a", "2").await;
        maps.delete("b", &DeleteParams::default()).await.unwrap();
        assert_eq!(next(3).await, ["applied b", "deleted a", "deleted b"]);
        // The place in the history is gone, and with it the watch: it begins anew.
        let kept = server.snapshot();
        create(&maps, "c", "1").await;
        assert_eq!(next(1).await, ["applied c"]);
        server.restore(&kept, Some(1000));
        let after = next(3).await;
        assert!(
            after[0].starts_with("error") && after[1..] == ["init", "done"],
            "{after:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lags_lists_what_it_has_seen() {
    let (server, maps) = server().await;
    create(&maps, "a", "1").await;
    let lagging = server.lagging();
    let behind = Api::<ConfigMap>::namespaced(lagging.client(User::new("someone")), "n");
    create(&maps, "b", "1").await;
    let names = async |params: ListParams| {
        let list = behind.list(&params).await.unwrap();
        list.iter()
            .map(kube::ResourceExt::name_any)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(ListParams::default().match_any()).await, "a");
    assert_eq!(names(ListParams::default()).await, "a b");
    let too_new = ListParams::default()
        .at(&server.revision().to_string())
        .matching(kube::api::VersionMatch::NotOlderThan);
    let refused = behind.list(&too_new).await.unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.code == 504),
        "{refused}"
    );
    lagging.catch_up();
    create(&maps, "c", "1").await;
    assert_eq!(names(ListParams::default().match_any()).await, "a b");
    lagging.keep_up();
    assert_eq!(names(ListParams::default().match_any()).await, "a b c");
    let none = ListParams::default().labels("v=9");
    let found = behind.list_metadata(&none).await.unwrap();
    assert!(found.items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_of_now_waits_for_a_server_that_lags() {
    let (server, maps) = server().await;
    create(&maps, "a", "1").await;
    let lagging = server.lagging();
    create(&maps, "b", "1").await;
    let path = "/api/v1/namespaces/n/configmaps?watch=true&sendInitialEvents=true&allowWatchBookmarks=true\
                &resourceVersionMatch=NotOlderThan";
    let request = Request::get(path).body(Vec::new()).unwrap();
    let client = lagging.client(User::new("someone"));
    let events = client.request_events::<ConfigMap>(request).await.unwrap();
    let told = |event: kube::Result<WatchEvent<ConfigMap>>| match event.unwrap() {
        WatchEvent::Added(map) => map.name_any(),
        WatchEvent::Bookmark(bookmark) => bookmark.metadata.annotations.len().to_string(),
        other => panic!("{other:?}"),
    };
    let mut events = events.boxed().map(told);
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
        next.ok().map(Option::unwrap)
    };
    assert_eq!(next().await.as_deref(), Some("a"));
    assert_eq!(next().await, None, "the list is not complete without b");
    lagging.catch_up();
    assert_eq!(next().await.as_deref(), Some("b"));
    assert_eq!(
        next().await.as_deref(),
        Some("1"),
        "the bookmark at the end of the list"
    );
}

#[tokio::test(start_paused = true)]
async fn after_history_went_back_a_watch_from_before_waits_for_its_place() {
    let (server, maps) = server().await;
    let kept = server.snapshot();
    for name in ["a", "b"] {
        create(&maps, name, "1").await;
    }
    let before = server.revision();
    server.restore(&kept, None);
    assert_eq!(server.revision() + 2, before);
    let params = kube::api::WatchParams::default().timeout(10);
    let watch = maps.watch(&params, &before.to_string()).await.unwrap();
    for name in ["c", "d", "e"] {
        create(&maps, name, "1").await;
    }
    let events: Vec<_> = watch.try_collect().await.unwrap();
    assert!(
        matches!(&events[..], [WatchEvent::Added(map), ..] if map.name_any() == "e"),
        "{events:?}"
    );
    assert_eq!(server.objects("configmaps").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_runs_is_given_time_to_end() {
    let (server, _maps) = server().await;
    let pods = Api::<Pod>::namespaced(server.client(User::new("someone")), "n");
    for (node, ends) in [(None, true), (Some("node"), false)] {
        let spec = json!({ "containers": [{ "name": "c", "image": "i" }], "nodeName": node });
        let pod = serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec }));
        pods.create(&PostParams::default(), &pod.unwrap())
            .await
            .unwrap();
        pods.delete("p", &DeleteParams::default()).await.unwrap();
        let left = pods.get_opt("p").await.unwrap();
        assert_eq!(left.is_none(), ends);
        if let Some(pod) = left {
            assert_eq!(pod.metadata.deletion_grace_period_seconds, Some(30));
            pods.delete("p", &DeleteParams::default().grace_period(0))
                .await
                .unwrap();
            assert!(
                pods.get_opt("p").await.unwrap().is_none(),
                "as kubelet deletes it"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn custom_resources_are_served_where_it_is_said() {
    let (server, _maps) = server().await;
    let client = server.client(User::new("someone"));
    let is_known = async || {
        let found = client
            .list_api_group_resources("argoproj.io/v1alpha1")
            .await;
        found.is_ok_and(|list| list.resources.iter().any(|one| one.kind == "Rollout"))
    };
    assert!(!is_known().await);
    assert!(server.serve("rollouts.argoproj.io", true));
    assert!(is_known().await);
    assert!(server.serve("rollouts.argoproj.io", false));
    assert!(!is_known().await);
    assert!(!server.serve("secrets", false), "not a custom resource");
}

#[tokio::test(start_paused = true)]
async fn pages_and_watches_of_what_is_compacted_are_gone() {
    let (server, maps) = server().await;
    for name in ["a", "b", "c"] {
        create(&maps, name, "1").await;
    }
    let page = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(
        (page.items.len(), page.metadata.remaining_item_count),
        (2, Some(1))
    );
    create(&maps, "aa", "1").await;
    let token = page.metadata.continue_.unwrap();
    let next = ListParams::default().limit(2).continue_token(&token);
    let rest = maps.list(&next).await.unwrap();
    assert_eq!(rest.items.len(), 1, "of the revision of the first page");
    server.compact();
    let gone = maps.list(&next).await.unwrap_err();
    assert!(
        matches!(&gone, kube::Error::Api(status) if status.code == 410),
        "{gone}"
    );
    let old = maps
        .watch(&kube::api::WatchParams::default(), "2")
        .await
        .unwrap();
    let events: Vec<_> = old.try_collect().await.unwrap();
    assert!(
        matches!(&events[..], [WatchEvent::Error(status)] if status.code == 410),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_watch_is_over_after_a_bookmark() {
    let (_server, maps) = server().await;
    let params = kube::api::WatchParams::default().timeout(90);
    let began = tokio::time::Instant::now();
    let events: Vec<_> = maps
        .watch(&params, "0")
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(90));
    assert!(
        matches!(
            &events[..],
            [WatchEvent::Bookmark(_), WatchEvent::Bookmark(_)]
        ),
        "{events:?}"
    );
}

fn review_hooks(server: &ApiServer, answers: fn(&Value) -> Value) {
    server.answer_reviews("h.example.com", move |review| async move {
        let mut response = answers(&review["request"]);
        response["uid"] = review["request"]["uid"].clone();
        Ok(json!({ "kind": "AdmissionReview", "response": response }))
    });
}

async fn configure(server: &ApiServer, more: Value) {
    let mut hook = json!({
        "name": "h.example.com", "failurePolicy": "Ignore", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1, "clientConfig": { "url": "https://127.0.0.1/" },
        "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"] }],
    });
    json_patch::merge(&mut hook, &more);
    let object = json!({ "metadata": { "name": "c" }, "webhooks": [hook] });
    let api = Api::<k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration>::all(
        server.client(User::new("admin")),
    );
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn webhooks_that_fail_are_ignored_or_not() {
    for (policy, code) in [("Ignore", None), ("Fail", Some(500))] {
        // Away; late; refusing; with a patch that does not apply.
        for case in 0..4 {
            let (server, maps) = server().await;
            configure(&server, json!({ "failurePolicy": policy })).await;
            match case {
                0 => server.answer_no_reviews("h.example.com"),
                1 => server.answer_reviews("h.example.com", |_| async {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    Err("late".to_owned())
                }),
                2 => review_hooks(
                    &server,
                    |_| json!({ "allowed": false, "status": { "message": "no" } }),
                ),
                // [{"op":"remove","path":"/nowhere"}]
                _ => review_hooks(
                    &server,
                    |_| json!({ "allowed": true, "patchType": "JSONPatch", "patch": "W3sib3AiOiJyZW1vdmUiLCJwYXRoIjoiL25vd2hlcmUifV0=" }),
                ),
            }
            let made = maps.create(&PostParams::default(), &map("a", "1")).await;
            let found = made.err().map(|error| match error {
                kube::Error::Api(status) => status.code,
                other => panic!("{other}"),
            });
            let expected = match case {
                0 | 1 => code,
                2 => Some(400),
                _ => Some(500),
            };
            assert_eq!(found, expected, "{policy} {case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_decides_by_its_expression() {
    for (says, seen) in [("yes", true), ("no", false)] {
        let (server, maps) = server().await;
        configure(
            &server,
            json!({ "matchConditions": [{ "name": "c", "expression": says }] }),
        )
        .await;
        server.decide_condition("c", |expression, request| {
            assert_eq!(request["object"]["metadata"]["name"], "a");
            expression == "yes"
        });
        review_hooks(&server, |_| json!({ "allowed": false }));
        let made = maps.create(&PostParams::default(), &map("a", "1")).await;
        assert_eq!(made.is_err(), seen, "{says}");
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_outlive_their_etcd_show_what_is_lost_until_they_are_restarted() {
    let (server, maps) = server().await;
    create(&maps, "a", "1").await;
    let kept = server.snapshot();
    for name in ["b", "c"] {
        create(&maps, name, "1").await;
    }
    relabel(&maps, "a", "2").await;
    let lost = server.revision();
    server.restore_beneath(&kept);
    let listed = async || {
        let found = maps.list(&ListParams::default()).await.unwrap();
        let of = |map: &ConfigMap| {
            let label = map.labels().get("v").cloned().unwrap_or_default();
            format!("{}={label}", map.name_any())
        };
        let all: Vec<_> = found.iter().map(of).collect();
        (found.metadata.resource_version.unwrap(), all.join(" "))
    };
    let before = lost.to_string();
    assert_eq!(listed().await, (before.clone(), "a=2 b=1 c=1".to_owned()));
    assert_eq!(maps.get("a").await.unwrap().labels()["v"], "1");
    // Under revisions that were there before, a write reaches no memory.
    let params = kube::api::WatchParams::default().timeout(10);
    let watch = maps.watch(&params, &before).await.unwrap();
    for name in ["d", "e", "f", "g"] {
        create(&maps, name, "1").await;
    }
    let known = "a=2 b=1 c=1 g=1".to_owned();
    assert_eq!(listed().await, (server.revision().to_string(), known));
    let events: Vec<_> = watch.try_collect().await.unwrap();
    assert!(
        matches!(&events[..], [WatchEvent::Added(map), ..] if map.name_any() == "g"),
        "{events:?}"
    );
    server.restart();
    let now = "a=1 d=1 e=1 f=1 g=1".to_owned();
    assert_eq!(listed().await, (server.revision().to_string(), now));
}
