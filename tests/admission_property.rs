//! Whatever a user writes, the webhook's patch applies, changes no field of any other writer, and a second call changes
//! nothing. A patch that does not apply would fail the *user's* request, whatever the `failurePolicy`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use reroll::{
    model::{
        DigestKey, Index, SourceKey, SourceKind, SourceName, Version, WorkloadKey,
        adopted::{Adopted, Adoption, Pod},
        index::just_read,
        workload::{KINDS as ROWS, Workload},
    },
    webhook::{
        review::{Answer, Request},
        warnings::Told,
        workloads::Write,
    },
};
use reroll_harness::{
    KINDS, OBSERVED, RESTARTED_FOR,
    generate::{CLASSES, CONFIG_MAPS, Generator, RESTARTED_AT, SECRETS, Shapes, bare, own, review},
};
use serde_json::{Value, json};

const NAMESPACE: &str = "shop";
const CASES: u64 = 700;
/// Unix seconds.
const NOW: i64 = 1_800_000_000;

fn key() -> DigestKey {
    DigestKey::new(&[7; 32]).unwrap()
}

fn source_key(source: &SourceName) -> SourceKey {
    SourceKey {
        namespace: NAMESPACE.to_owned(),
        source: source.clone(),
    }
}

fn sources() -> impl Iterator<Item = SourceName> {
    let secrets = SECRETS.into_iter().map(SourceName::secret);
    let maps = CONFIG_MAPS.into_iter().map(SourceName::config_map);
    let classes = CLASSES.into_iter().map(SourceName::secret_provider_class);
    secrets.chain(maps).chain(classes)
}

/// Some version of a source: few uids and values, so that the same ones come again.
fn version(generator: &mut Generator, source: &SourceName, resource_version: u64) -> Version {
    let metadata = json!({
        "name": source.name,
        "uid": format!("{}-{}", source.name, generator.random.u8(0..3)),
        "resourceVersion": resource_version.to_string(),
        "annotations": { "reroll.dev/ignore": generator.often(5).to_string() },
    });
    let values = ["AAAA", "BBBB"];
    let data = json!({ "a": *generator.pick(&values), "b": *generator.pick(&values) });
    let object = json!({ "metadata": metadata, "data": data });
    match source.kind {
        SourceKind::Secret => Version::of_secret(
            &key(),
            NAMESPACE,
            &serde_json::from_value::<Secret>(object).unwrap(),
        ),
        SourceKind::SecretProviderClass => {
            let meta = serde_json::from_value(object["metadata"].clone()).unwrap();
            let pair = ("a", object["data"]["a"].as_str().unwrap());
            Version::of_objects(&key(), NAMESPACE, &source.name, &meta, [pair].into_iter())
        }
        SourceKind::ConfigMap => {
            let object = serde_json::from_value::<ConfigMap>(object).unwrap();
            Version::of_config_map(&key(), NAMESPACE, &object)
        }
    }
}

/// A webhook with what it knows, and one workload's life.
struct Life {
    seed: u64,
    generator: Generator,
    index: Index,
    resource_version: u64,
    now: i64,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut life = Self {
            seed,
            generator: Generator::new(seed, Shapes::Odd),
            index: Index::new(key()),
            resource_version: 100,
            now: NOW,
        };
        for kind in SourceKind::ALL {
            if life.generator.often(90) {
                life.index.set_synced(kind);
            }
        }
        if life.generator.often(25) {
            let default = (*life.generator.pick(&["auto", "off", "secrets", "?"])).to_owned();
            life.index.apply_namespace(NAMESPACE, Some(default));
        }
        life.turn();
        life
    }

    /// Sources change.
    fn turn(&mut self) {
        for source in sources().filter(|source| source.name != "gone") {
            self.resource_version += 1;
            if self.generator.often(40) {
                let version = version(&mut self.generator, &source, self.resource_version);
                self.index.apply_source(&source_key(&source), version);
            } else if self.generator.often(20) {
                self.index
                    .delete_source(&source_key(&source), self.resource_version, self.now);
            }
        }
    }

    /// Draws what a new workload may adopt: pods with marks of its own, of others, and without.
    fn adoption(&mut self) -> Adoption {
        match *self.generator.pick(&[0, 1, 2, 2]) {
            0 => Adoption::None,
            1 => Adoption::Unknown,
            _ => {
                let at = "2026-01-01T00:00:00Z";
                let mut some = || {
                    let restarted_for = *self.generator.pick(&[None, Some("other"), Some("rf")]);
                    let values = [None, Some(at), Some("soon")];
                    let marked = self.generator.often(30);
                    Pod {
                        mark: if marked { Some("~rf") } else { restarted_for }
                            .unwrap_or_default()
                            .to_owned(),
                        marked_at: marked.then(|| at.parse().unwrap()),
                        restarted_for: restarted_for.map(ToOwned::to_owned),
                        kubectl: if marked {
                            Some(at)
                        } else {
                            *self.generator.pick(&values)
                        }
                        .map(ToOwned::to_owned),
                        created: *self.generator.pick(&[-1, self.now]),
                        revision: String::new(),
                        number: self.generator.often(20).then_some(1),
                    }
                };
                let pods = vec![some(), some()];
                let copies = self.generator.genuine.0.clone();
                Adoption::Pods(Adopted { pods, copies })
            }
        }
    }

    /// Mutates twice. Returns the object as it is persisted, and whether the patch changed anything.
    fn admit(&mut self, operation: &str, object: &Value, old: &Value) -> (Value, bool) {
        let seed = self.seed;
        let mut reads: Option<Vec<(SourceName, Option<Version>)>> = None;
        let adoption = if operation == "CREATE" {
            &self.adoption()
        } else {
            &Adoption::None
        };
        // A mark by time that it takes over from its pods is reroll's, too.
        let marked = json!({ "metadata": { "annotations": { RESTARTED_AT: "~rf" } } });
        let takes_over = matches!(adoption, Adoption::Pods(adopted)
            if adopted.pods.iter().any(|pod| pod.marked_at.is_some()));
        let before = if takes_over { &marked } else { old };
        let mut results = Vec::new();
        let mut current = object.clone();
        for round in 0..2 {
            let body = serde_json::to_vec(&review(operation, &current, old)).unwrap();
            let request = Request::parse(&body).unwrap_or_else(|_| panic!("seed {seed}: unread"));
            let Some(write) = Write::read(&request, &self.index, "system:reroll") else {
                assert_eq!(
                    round, 0,
                    "seed {seed}: the second call is not answered\n{current:#}"
                );
                return (current, false);
            };
            let reads = reads.get_or_insert_with(|| {
                let wanted: Vec<_> = write.to_read().cloned().collect();
                let mut some = Vec::new();
                for source in wanted {
                    self.resource_version += 1;
                    if self.generator.often(80) {
                        let found = (self.generator.often(70) && source.name != "gone")
                            .then(|| version(&mut self.generator, &source, self.resource_version));
                        some.push((source, found));
                    }
                }
                some
            });
            let admitted = write.answer(&self.index, &just_read(reads), adoption, self.now + round);
            let answer = Answer::allow(request.uid.clone(), Told::All.lines(admitted.warnings))
                .with_patch(&admitted.patch);
            let mut next = current.clone();
            json_patch::patch(&mut next, &admitted.patch).unwrap_or_else(|error| {
                panic!(
                    "seed {seed}: {error}\n{}\n{current:#}",
                    json!(admitted.patch)
                )
            });
            // A DaemonSet that is made over pods gets a number above theirs.
            let numbers = operation == "CREATE" && object["kind"] == "DaemonSet";
            let bare = |object: &Value| {
                let mut object = object.clone();
                if numbers && let Some(all) = object["metadata"]["annotations"].as_object_mut() {
                    all.remove("deprecated.daemonset.template.generation");
                }
                bare(&object, before)
            };
            assert_eq!(
                bare(&next),
                bare(&current),
                "seed {seed}: the patch touches what is not reroll's"
            );
            let answer = serde_json::to_value(&answer).unwrap();
            results.push((next.clone(), answer["response"]["warnings"].clone()));
            assert_eq!(
                answer["response"]["patch"].is_null(),
                next == current,
                "seed {seed}"
            );
            current = next;
        }
        let [first, second] = &results[..] else {
            unreachable!()
        };
        assert_eq!(
            first, second,
            "seed {seed}: {operation} is not idempotent\nof {object:#}\nover {old:#}"
        );
        (current.clone(), current != *object)
    }

    /// As the API server stores it.
    fn persist(&mut self, object: &mut Value, old: &Value) {
        self.resource_version += 1;
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        let uid = old["metadata"]["uid"]
            .as_str()
            .map_or_else(|| format!("workload-{}", self.seed), ToOwned::to_owned);
        if let Some(meta) = object["metadata"].as_object_mut() {
            meta.entry("name").or_insert(json!("web"));
            meta.insert("uid".to_owned(), json!(uid));
            meta.insert("generation".to_owned(), json!(generation));
            meta.insert(
                "creationTimestamp".to_owned(),
                json!("2027-01-15T08:00:00Z"),
            );
            meta.insert(
                "resourceVersion".to_owned(),
                json!(self.resource_version.to_string()),
            );
        }
        self.generator
            .genuine
            .0
            .extend(own(object, OBSERVED).map(ToOwned::to_owned));
        self.generator
            .genuine
            .1
            .extend(own(object, RESTARTED_FOR).map(ToOwned::to_owned));
    }

    /// The watch brings it, and the controller decides.
    fn watch(&mut self, kind: &str, object: &Value) {
        let kind = ROWS.iter().find(|row| row.kind == kind).unwrap();
        if let Ok(object) = serde_json::from_value(object.clone()) {
            let key = WorkloadKey {
                kind,
                namespace: NAMESPACE.to_owned(),
                name: "web".to_owned(),
            };
            self.index
                .apply_workload(&key, Workload::read(kind, &object));
            drop(self.index.judge(&key, &just_read(&[])));
        }
    }
}

#[test]
fn every_patch_applies_and_mutating_twice_is_mutating_once() {
    let (mut answered, mut patched) = (0, 0);
    for seed in 0..CASES {
        let mut life = Life::new(seed);
        let kind = *life.generator.pick(&KINDS);
        let object = life.generator.workload(kind, "web");
        let (mut stored, changed) = life.admit("CREATE", &object, &Value::Null);
        answered += 1;
        patched += u32::from(changed);
        for _ in 0..3 {
            let old = stored.clone();
            life.persist(&mut stored, &old);
            if life.generator.often(70) {
                life.watch(kind, &stored);
            }
            if life.generator.often(60) {
                life.turn();
            }
            life.now += 5;
            let old = stored.clone();
            let changed_by_user = life.generator.change(&old);
            let (next, changed) = life.admit("UPDATE", &changed_by_user, &old);
            answered += 1;
            patched += u32::from(changed);
            stored = next;
        }
    }
    // Opted out, unreadable, owned or odd ones are left alone, and an update of something else changes nothing.
    assert!(
        patched * 2 > answered,
        "{patched} of {answered} had a patch"
    );
}
