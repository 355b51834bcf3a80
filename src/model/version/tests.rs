use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};
use proptest::prelude::*;

use super::{super::testing::*, *};
use crate::model::{annotation, source::Need};

type Data = BTreeMap<String, String>;

fn data() -> impl Strategy<Value = Data> {
    proptest::collection::btree_map("[-._a-z0-9]{1,4}", ".{0,6}", 0..5)
}

fn of(source: &SourceName, data: &Data) -> Version {
    let list: Vec<_> = data.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    version(source, "A", 1, &list)
}

fn all(version: &Version) -> Vec<Digest> {
    let keys = version.keys.iter().flatten().map(|(_, digest)| *digest);
    keys.chain([version.whole]).collect()
}

proptest! {
    #[test]
    fn order_does_not_matter(data in data(), shift in any::<prop::sample::Index>()) {
        let source = SourceName::secret("s");
        let mut list: Vec<_> = data.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let straight = version(&source, "A", 1, &list);
        if !list.is_empty() {
            let by = shift.index(list.len());
            list.rotate_left(by);
        }
        prop_assert_eq!(version(&source, "A", 1, &list), straight);
    }

    #[test]
    fn equal_exactly_where_the_data_is(a in data(), b in data()) {
        let source = SourceName::config_map("s");
        let (left, right) = (of(&source, &a), of(&source, &b));
        prop_assert_eq!(left.whole == right.whole, a == b);
        for key in a.keys().chain(b.keys()) {
            prop_assert_eq!(left.key(key) == right.key(key), a.get(key) == b.get(key), "{}", key);
            prop_assert_eq!(left.key(key).is_some(), a.contains_key(key));
        }
    }
}

#[test]
fn what_reads_alike_is_told_apart() {
    let source = SourceName::secret("s");
    let wholes = [
        [("a", "1;b=2")].as_slice(),
        &[("a", "1"), ("b", "2")],
        &[("a", "1\u{0}b\u{0}2")],
        &[("a1", ""), ("b2", "")],
        &[("a", ""), ("1b2", "")],
        &[],
    ]
    .map(|data| version(&source, "A", 1, data).whole);
    for (at, digest) in wholes.iter().enumerate() {
        assert!(!wholes[..at].contains(digest), "{at}");
    }
}

#[test]
fn the_same_data_elsewhere_digests_otherwise() {
    let data = &[("k", "v")];
    let here = version(&SourceName::secret("s"), "A", 1, data);
    let mut elsewhere = vec![
        version(&SourceName::secret("t"), "A", 1, data),
        version(&SourceName::config_map("s"), "A", 1, data),
        version_under(&other_key(), &SourceName::secret("s"), "A", 1, data),
    ];
    let other_namespace = Secret {
        metadata: ObjectMeta {
            name: Some("s".to_owned()),
            ..ObjectMeta::default()
        },
        data: Some([("k".to_owned(), ByteString(b"v".to_vec()))].into()),
        ..Secret::default()
    };
    elsewhere.push(Version::of_secret(&key(), "other", &other_namespace));
    // Name and namespace must not run into each other either.
    for digest in elsewhere.iter().flat_map(all) {
        assert!(!all(&here).contains(&digest));
    }
    assert_ne!(
        here.key("k"),
        Some(here.whole),
        "a key alone is not the whole"
    );
}

#[test]
fn only_data_counts() {
    let plain = Secret {
        metadata: ObjectMeta {
            name: Some("s".to_owned()),
            ..ObjectMeta::default()
        },
        data: Some([("k".to_owned(), ByteString(b"v".to_vec()))].into()),
        ..Secret::default()
    };
    let mut dressed = plain.clone();
    dressed.immutable = Some(true);
    dressed.type_ = Some("other".to_owned());
    dressed.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    dressed.metadata.annotations =
        Some([(annotation::IGNORE.to_owned(), "true".to_owned())].into());
    let (a, b) = (
        Version::of_secret(&key(), NAMESPACE, &plain),
        Version::of_secret(&key(), NAMESPACE, &dressed),
    );
    assert_eq!(all(&a), all(&b));
    assert!(b.immutable && b.ignored && !a.immutable && !a.ignored);
}

#[test]
fn both_halves_of_a_config_map_are_data() {
    let map = ConfigMap {
        data: Some([("a".to_owned(), "1".to_owned())].into()),
        binary_data: Some([("b".to_owned(), ByteString(vec![0, 255]))].into()),
        ..ConfigMap::default()
    };
    let version = Version::of_config_map(&key(), NAMESPACE, &map);
    assert!(version.key("a").is_some() && version.key("b").is_some());
    let moved = ConfigMap {
        data: None,
        binary_data: Some(
            [
                ("a".to_owned(), ByteString(b"1".to_vec())),
                ("b".to_owned(), ByteString(vec![0, 255])),
            ]
            .into(),
        ),
        ..ConfigMap::default()
    };
    assert_eq!(
        all(&version),
        all(&Version::of_config_map(&key(), NAMESPACE, &moved))
    );
}

#[test]
fn when_the_data_was_written() {
    let time = |seconds| Time(jiff::Timestamp::from_second(seconds).unwrap());
    let managed = |field: &str, seconds| ManagedFieldsEntry {
        fields_v1: Some(FieldsV1(serde_json::json!({ field: {} }))),
        time: Some(time(seconds)),
        ..ManagedFieldsEntry::default()
    };
    let of = |entries: Vec<ManagedFieldsEntry>| {
        written(&ObjectMeta {
            creation_timestamp: Some(time(100)),
            managed_fields: Some(entries),
            ..ObjectMeta::default()
        })
    };
    assert_eq!(of(vec![]), 100);
    assert_eq!(of(vec![managed("f:metadata", 300)]), 100);
    assert_eq!(
        of(vec![
            managed("f:data", 150),
            managed("f:binaryData", 200),
            managed("f:metadata", 300)
        ]),
        200
    );
    assert_eq!(of(vec![managed("f:stringData", 150)]), 150);
    assert_eq!(of(vec![managed("f:data", 50)]), 100);
    assert_eq!(written(&ObjectMeta::default()), 0);
}

#[test]
fn used_keys_of_a_usage() {
    let both = Usage {
        whole: true,
        ..keyed(&[("k", Need::Required)])
    };
    assert_eq!(used_keys(&both).collect::<Vec<_>>(), [WHOLE, "k"]);
    let version = version(&SourceName::secret("s"), "A", 1, &[("k", "v")]);
    assert_eq!(version.used(WHOLE), Some(version.whole));
    assert_eq!(version.used("k"), version.key("k"));
    assert_eq!(version.used("other"), None);
}
