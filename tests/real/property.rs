//! A sample of `tests/admission_property.rs` through the real API server: it stores what the model computes.

use std::sync::Arc;

use axum::http;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt, api::ListParams};
use reroll::{
    model::{
        Conventions, DigestKey, Index, Observed, Policy, SourceKey, SourceKind, SourceName,
        Version, WorkloadKey,
        adopted::Adoption,
        index::just_read,
        observed::Reading,
        policy::Selection,
        source::KindSet,
        workload::{KINDS as ROWS, Workload},
    },
    webhook::{review::Request, workloads::Write},
};
use reroll_harness::{
    Arena, KINDS, LAST_RESTART, OBSERVED, RESTARTED_FOR, eventually,
    generate::{Generator, Shapes, bare, own, review},
};
use serde_json::{Value, json};

/// Workloads that are created; each is then updated several times.
const SAMPLE: u64 = 30;
const UPDATES: usize = 3;

/// What the webhook is expected to know.
struct Known {
    key: DigestKey,
    sources: Vec<(SourceName, Version)>,
}

impl Known {
    async fn read(arena: &Arena) -> Self {
        let own = Api::<Secret>::namespaced(arena.client.clone(), &arena.own_namespace);
        let key = own.get("reroll-digest-key").await.unwrap().data.unwrap();
        let key = DigestKey::new(&key["key"].0).unwrap();
        let space = arena.namespace.as_str();
        let (client, all) = (&arena.client, ListParams::default());
        let secrets = Api::<Secret>::namespaced(client.clone(), space);
        let maps = Api::<ConfigMap>::namespaced(client.clone(), space);
        let mut sources = Vec::new();
        for secret in secrets.list(&all).await.unwrap() {
            let name = SourceName::secret(secret.name_any());
            sources.push((name, Version::of_secret(&key, space, &secret)));
        }
        for map in maps.list(&all).await.unwrap() {
            let name = SourceName::config_map(map.name_any());
            sources.push((name, Version::of_config_map(&key, space, &map)));
        }
        Self { key, sources }
    }

    /// The object as it should be stored, computed here.
    fn admit(&self, arena: &Arena, operation: &str, object: &Value, old: &Value) -> Value {
        let mut index = Index::new(self.key.clone()).with_conventions(Arc::new(conventions()));
        for kind in SourceKind::ALL {
            index.set_synced(kind);
        }
        for (source, version) in &self.sources {
            let key = SourceKey {
                namespace: arena.namespace.clone(),
                source: source.clone(),
            };
            index.apply_source(&key, version.clone());
        }
        if !old.is_null() {
            let kind = ROWS.iter().find(|row| row.kind == old["kind"]).unwrap();
            let key = WorkloadKey {
                kind,
                namespace: arena.namespace.clone(),
                name: old["metadata"]["name"].as_str().unwrap().to_owned(),
            };
            let stored = serde_json::from_value(old.clone()).unwrap();
            index.apply_workload(&key, Workload::read(kind, &stored));
        }
        let mut review = review(operation, object, old);
        review["request"]["namespace"] = json!(arena.namespace);
        let body = review.to_string();
        let request = Request::parse(body.as_bytes()).unwrap_or_else(|_| panic!("{body}"));
        let write = Write::read(&request, &index, "nobody").unwrap();
        let reads: Vec<_> = write
            .to_read()
            .map(|source| {
                let found = self.sources.iter().find(|(name, _)| name == source);
                (source.clone(), found.map(|(_, version)| version.clone()))
            })
            .collect();
        let now = reroll::state::system_clock()().as_second();
        let admitted = write.answer(&index, &just_read(&reads), &Adoption::None, now);
        let mut expected = object.clone();
        json_patch::patch(&mut expected, &admitted.patch).unwrap();
        expected
    }

    /// Whether `observed` will be there: the controller writes what the webhook leaves to it.
    fn is_adopted(object: &Value) -> bool {
        let kind = ROWS.iter().find(|row| row.kind == object["kind"]).unwrap();
        let stored = serde_json::from_value(object.clone()).unwrap();
        let workload = Workload::read(kind, &stored);
        let (policy, _) = Policy::of(&workload, conventions().defaults());
        matches!(policy.selection, Selection::Some(_)) && workload.controller.is_none()
    }

    /// `observed` without the clock's part, which is another one here than there.
    fn observed(&self, object: &Value) -> Option<Result<Observed, String>> {
        let text = own(object, OBSERVED)?;
        Some(match Observed::read(text, &self.key) {
            Reading::Genuine(observed) => Ok(Observed {
                created_at: observed.created_at.map(|_| 0),
                ..observed
            }),
            _ => Err(text.to_owned()),
        })
    }
}

/// What the process is told.
fn conventions() -> Conventions {
    Conventions {
        ignored: KindSet::from_iter([SourceKind::SecretProviderClass]),
        ..Conventions::default()
    }
}

async fn send(client: &Client, method: &str, path: &str, body: &Value) -> Result<Value, u16> {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{path}?fieldManager=test"))
        .header("Content-Type", "application/json")
        .body(body.to_string().into_bytes())
        .unwrap();
    match client.request::<Value>(request).await {
        Ok(object) => Ok(object),
        Err(kube::Error::Api(status)) if status.code == 409 => Err(409),
        Err(error) => panic!("{error}\n{body:#}"),
    }
}

/// Runs one workload's life. Returns how many writes there were, and how many of them the webhook changed.
async fn live(arena: &Arena, known: &Known, genuine: &Value, seed: u64) -> (usize, usize) {
    let mut generator = Generator::new(seed, Shapes::Valid);
    generator
        .genuine
        .0
        .extend(own(genuine, OBSERVED).map(ToOwned::to_owned));
    let kind = *generator.pick(&KINDS);
    let name = format!("w{seed}");
    let path = format!(
        "/apis/apps/v1/namespaces/{}/{}s",
        arena.namespace,
        kind.to_lowercase()
    );
    let check = |what: &str, sent: &Value, expected: &Value, stored: &Value| {
        let what = format!("seed {seed}, {what}\nsent {sent:#}\nstored {stored:#}");
        assert_eq!(known.observed(stored), known.observed(expected), "{what}");
        for key in [LAST_RESTART, RESTARTED_FOR] {
            assert_eq!(own(stored, key), own(expected, key), "{key} of {what}");
        }
        let others = |object: &Value| {
            let bare = bare(object, &serde_json::Value::Null);
            let mut all = bare["metadata"]["annotations"].clone();
            if let Some(map) = all.as_object_mut() {
                map.remove("deployment.kubernetes.io/revision");
                map.remove("deprecated.daemonset.template.generation");
            }
            let of_template = &bare["spec"]["template"]["metadata"]["annotations"];
            (
                all.as_object()
                    .is_some_and(|map| !map.is_empty())
                    .then_some(all),
                of_template.clone(),
            )
        };
        assert_eq!(others(stored), others(sent), "{what}");
        usize::from(
            [OBSERVED, LAST_RESTART, RESTARTED_FOR]
                .iter()
                .any(|key| own(stored, key) != own(sent, key)),
        )
    };
    let object = generator.workload(kind, &name);
    let expected = known.admit(arena, "CREATE", &object, &Value::Null);
    let stored = send(&arena.client, "POST", &path, &object).await.unwrap();
    let mut patched = check("created", &object, &expected, &stored);
    let mut adopted = Known::is_adopted(&stored);
    for _ in 0..UPDATES {
        loop {
            if adopted {
                // The controller fills in the uid, or adopts it; from then on nothing but the user changes it.
                arena.adopted(kind, &name).await;
            }
            // Until the kind's controller has seen it there may be pods of a template that only who followed it knows
            // of.
            let old = eventually(&format!("{kind} {name} is seen"), async || {
                let old = arena.get(kind, &name).await;
                let observed = old.data["status"]["observedGeneration"].as_i64();
                (observed == old.metadata.generation).then_some(old)
            })
            .await;
            let old = serde_json::to_value(old).unwrap();
            let mut again = Generator::new(generator.random.clone().u64(..), Shapes::Valid);
            again.genuine = generator.genuine.clone();
            let sent = again.change(&old);
            let expected = known.admit(arena, "UPDATE", &sent, &old);
            // Together with the resourceVersion in it this is refused unless `old` is what is stored.
            match send(&arena.client, "PUT", &format!("{path}/{name}"), &sent).await {
                Ok(stored) => {
                    patched += check(&format!("updated from {old:#}"), &sent, &expected, &stored);
                    adopted = Known::is_adopted(&stored);
                    generator.random.u64(..);
                    generator
                        .genuine
                        .0
                        .extend(own(&stored, OBSERVED).map(ToOwned::to_owned));
                    generator
                        .genuine
                        .1
                        .extend(own(&stored, RESTARTED_FOR).map(ToOwned::to_owned));
                    break;
                }
                Err(code) => assert_eq!(code, 409),
            }
        }
    }
    (1 + UPDATES, patched)
}

#[tokio::test]
async fn the_api_server_stores_what_the_core_computes() {
    let arena = Arena::new("property").await;
    for name in ["db", "tls", "late"] {
        arena.secret(name, &[("a", "1"), ("b", "2")]).await;
    }
    for name in ["app", "more.conf"] {
        arena.config_map(name, &[("a", "1"), ("b", "2")]).await;
    }
    // Whether the cluster has them is up to other tests.
    let reroll = arena
        .reroll()
        .flag("--ignore-resources", "secretproviderclasses");
    // On a busy machine nothing may be answered from memory: it is the same, but the counts below would be others.
    let reroll = reroll.start().await;
    let known = Known::read(&arena).await;
    let first = reroll_harness::deployment("first", "db", "a");
    let first = serde_json::to_value(arena.create(&first).await).unwrap();
    assert!(matches!(known.observed(&first), Some(Ok(_))), "{first:#}");

    let lives = (0..SAMPLE).map(|seed| live(&arena, &known, &first, seed));
    let counts: Vec<_> = stream::iter(lives).buffer_unordered(6).collect().await;
    let (writes, patched) = counts
        .iter()
        .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    assert!(
        writes >= 60 && patched * 2 > writes,
        "{patched} of {writes}"
    );
    let answered = "reroll_admission_requests_total{webhook=\"workloads\",operation=\"UPDATE\",outcome=\"patched\"}";
    assert!(reroll.metric(answered).await > 0.0);
}
