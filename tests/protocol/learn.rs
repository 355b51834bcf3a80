//! How an index of the product learns what there is.

use std::{collections::BTreeMap, sync::LazyLock};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use litemap::LiteMap;
use reroll::model::{
    Decision, DigestKey, Index, SourceKey, SourceKind, SourceName, Version, WorkloadKey,
    index::{By, just_read},
    workload::{KINDS, Workload},
};

use crate::{
    api::{NAME, NAMESPACE, object_of},
    intern::{Json, Memo},
    view::Step,
    world::{Live, News, SOURCES, Source, Time, seconds},
};

static WORKLOADS: LazyLock<Memo<Json, Workload>> = LazyLock::new(Memo::default);
static VERSIONS: LazyLock<Memo<(Source, Live), Option<Version>>> = LazyLock::new(Memo::default);

pub(crate) fn digest_key() -> DigestKey {
    DigestKey::new(&[7; 32]).unwrap()
}

pub(crate) fn workload_key() -> WorkloadKey {
    WorkloadKey {
        kind: &KINDS[0],
        namespace: NAMESPACE.to_owned(),
        name: NAME.to_owned(),
    }
}

pub(crate) fn name_of(source: Source) -> SourceName {
    match source {
        Source::A => SourceName::secret("a"),
        Source::B => SourceName::config_map("b"),
    }
}

pub(crate) fn source_of(name: &SourceName) -> Source {
    match name.kind {
        SourceKind::Secret => Source::A,
        _ => Source::B,
    }
}

pub(crate) fn version(source: Source, live: Live) -> Option<Version> {
    VERSIONS.get((source, live), |(source, live)| {
        read_version(*source, *live)
    })
}

fn read_version(source: Source, live: Live) -> Option<Version> {
    let object = object_of(source, live)?;
    Some(match source {
        Source::A => {
            let secret = serde_json::from_value::<Secret>(object).unwrap();
            Version::of_secret(&digest_key(), NAMESPACE, &secret)
        }
        Source::B => {
            let map = serde_json::from_value::<ConfigMap>(object).unwrap();
            Version::of_config_map(&digest_key(), NAMESPACE, &map)
        }
    })
}

/// Builds an index again, and the decision by it.
pub(crate) fn replay(history: &[Step]) -> (Index, Option<Decision>) {
    let mut index = Index::new(digest_key());
    let mut decision = None;
    for step in history {
        decision = learn(&mut index, step);
    }
    (index, decision)
}

/// Takes in one step, as the judge does, and judges.
fn learn(index: &mut Index, step: &Step) -> Option<Decision> {
    let key = workload_key();
    match step {
        Step::Event(News::Source(source, live)) => take_source(index, *source, *live, By::Event),
        Step::Event(News::Workload(object)) => take_workload(index, *object, By::Event),
        Step::Answer(None) => drop(index.delete_workload(&key)),
        Step::Answer(Some(object)) => {
            let asked = index.tick();
            take_workload(index, *object, By::Answer(asked));
        }
        Step::List(sources, workload) => {
            let asked = index.tick();
            for (source, live) in SOURCES.iter().zip(sources) {
                if live.exists() {
                    take_source(index, *source, *live, By::List(asked));
                }
                index.set_synced(name_of(*source).kind);
            }
            if let Some(object) = workload {
                take_workload(index, *object, By::List(asked));
            }
        }
        Step::Read(reads) => {
            let asked = index.tick();
            for (source, live) in reads {
                take_source(index, *source, *live, By::Answer(asked));
                index.judge(&key, &just_read(&[]));
            }
            let one = |(source, live): &(Source, Live)| (name_of(*source), version(*source, *live));
            let reads: Vec<_> = reads.iter().map(one).collect();
            return index.judge_read(&key, asked, &reads).decision;
        }
        Step::Started(started) => index.set_started(&key, *started),
        Step::Ages(ages) => {
            let one = |(source, made): &(Source, Time)| {
                let made = LiteMap::from_iter([("k".to_owned(), seconds(*made))]);
                (name_of(*source), made)
            };
            let asked = index.tick();
            index.set_ages(
                &key,
                ages.iter().map(one).collect::<BTreeMap<_, _>>(),
                asked,
            );
        }
        Step::AdoptedNone => index.set_examined(&key),
    }
    index.judge(&key, &just_read(&[])).decision
}

fn take_source(index: &mut Index, source: Source, live: Live, by: By) {
    let key = SourceKey {
        namespace: NAMESPACE.to_owned(),
        source: name_of(source),
    };
    let now = seconds(live.written);
    match (version(source, live), by) {
        (Some(version), by) => drop(index.take_source(&key, version, by)),
        (None, By::Event) => drop(index.delete_source(&key, live.revision.into(), now)),
        (None, by) => drop(index.miss_source(&key, by, now)),
    }
}

fn take_workload(index: &mut Index, object: Json, by: By) {
    let key = workload_key();
    let workload = WORKLOADS.get(object, |object| {
        let object = serde_json::from_value((*object.value()).clone()).unwrap();
        Workload::read(key.kind, &object)
    });
    index.take_workload(&key, workload, by);
}
