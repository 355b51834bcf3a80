use proptest::prelude::*;

use super::{super::testing::*, *};
use crate::model::{
    digest::{Digest, DigestKey},
    format::{FORMAT, NEWEST_FORMAT},
    source::{KeyLists, References, SourceName, Usage},
};

fn digest() -> impl Strategy<Value = Digest> {
    any::<u64>().prop_map(|n| key().digest([n.to_be_bytes().as_slice()]))
}

fn state() -> impl Strategy<Value = KeyState> {
    prop_oneof![
        digest().prop_map(KeyState::Seen),
        Just(KeyState::Waiting),
        Just(KeyState::Unknown)
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let states = proptest::collection::btree_map("[-._a-zA-Z0-9]{1,12}|\\*", state(), 0..4);
    prop_oneof![
        ("[a-f0-9-]{0,36}", any::<u64>(), states, any::<bool>()).prop_map(
            |(uid, resource_version, states, immutable)| {
                Entry::Seen {
                    uid,
                    resource_version,
                    states: states.into_iter().collect(),
                    immutable,
                }
            }
        ),
        Just(Entry::Waiting),
        Just(Entry::Unknown),
        ("[a-f0-9-]{0,36}", any::<u64>(), any::<bool>()).prop_map(
            |(uid, resource_version, immutable)| Entry::Deleted {
                uid,
                resource_version,
                immutable
            }
        ),
    ]
}

fn name() -> impl Strategy<Value = SourceName> {
    let kind = prop::sample::select(super::super::source::SourceKind::ALL.to_vec());
    (kind, "[a-z0-9.-]{1,40}").prop_map(|(kind, name)| SourceName { kind, name })
}

fn observed() -> impl Strategy<Value = Observed> {
    let entries =
        || proptest::collection::btree_map(name(), entry(), 0..5).prop_map(Entries::from_iter);
    let fold = proptest::option::of(
        entries().prop_map(|entries| Fold::of(&key(), &entries, &References::new())),
    );
    let head = (
        "[a-f0-9-]{0,36}",
        proptest::option::of(any::<i64>()),
        any::<u64>(),
        // Whatever a person wrote into the template.
        ".{0,20}",
    );
    let unrecorded = prop::sample::select(vec![
        Unrecorded::Nothing,
        Unrecorded::Unseen,
        Unrecorded::More,
    ]);
    let formers = (
        proptest::collection::vec((name(), entry()), 0..3),
        unrecorded,
    )
        .prop_map(|(entries, unrecorded)| Formers {
            entries,
            unrecorded,
        });
    let lists = prop::sample::select(vec![
        "",
        "secret/uber#db_32",
        "configmap/cfg#a-*,!secret/*#legacy",
    ]);
    (head, entries(), fold, formers, lists).prop_map(
        |((workload_uid, created_at, sequence, restarted_for), entries, fold, formers, lists)| {
            let observed = Observed {
                format: FORMAT,
                key_id: key().id().to_owned(),
                workload_uid,
                created_at,
                sequence,
                restarted_for,
                entries,
                fold,
                formers,
                lists: KeyLists::read(lists).unwrap(),
            };
            observed.in_format(FORMAT)
        },
    )
}

proptest! {
    #[test]
    fn reads_what_it_printed(observed in observed()) {
        let text = observed.print(&key());
        prop_assert_eq!(Observed::read(&text, &key()), Reading::Genuine(observed.clone()));
        let under_another = Observed::read(&text, &other_key());
        prop_assert_eq!(under_another, Reading::OtherKey(observed.clone()));
        prop_assert_eq!(observed.print(&key()), text.as_str(), "the same text for the same content");
        prop_assert!(text.len() <= observed.length_at_most(), "{}", text);
    }

    #[test]
    fn a_byte_that_is_not_ours_is_noticed(observed in observed(), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut bytes = observed.print(&key()).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let Ok(text) = String::from_utf8(bytes) else {
            return Ok(());
        };
        prop_assert!(!matches!(Observed::read(&text, &key()), Reading::Genuine(_)), "{text}");
    }

    #[test]
    fn what_is_cut_or_added_is_noticed(observed in observed(), at in any::<prop::sample::Index>()) {
        let text = observed.print(&key());
        let at = at.index(text.len());
        if text.is_char_boundary(at) {
            prop_assert_eq!(Observed::read(&text[..at], &key()), Reading::Foreign);
        }
        let added = text.replacen('{', "{\"other\":1,", 1);
        prop_assert!(!matches!(Observed::read(&added, &key()), Reading::Genuine(_)), "{added}");
    }

    #[test]
    fn reading_is_total(text in ".{0,200}") {
        let _ = Observed::read(&text, &key());
    }
}

#[test]
fn forged_foreign_and_newer() {
    let world = World::new();
    let observed = world.observed([(SourceName::secret("s"), Entry::Waiting)]);
    let text = observed.print(&key());
    insta::assert_snapshot!(text);
    let forged = text.replace("waiting", "unknown");
    assert_eq!(Observed::read(&forged, &key()), Reading::Foreign);
    let no_mac = text[..text.find(",\"m\"").unwrap()].to_owned() + "}";
    assert_eq!(Observed::read(&no_mac, &key()), Reading::Foreign);
    // What a newer release wrote bears a code under a key that is known; what somebody made up does not.
    let newer = |format: u64, key: &DigestKey| {
        let observed = Observed {
            format,
            key_id: key.id().to_owned(),
            ..observed.clone()
        };
        let text = observed.print(&key.clone().with_format(format));
        // With a member that this release does not know.
        let (covered, _) = text.rsplit_once(",\"m\":").unwrap();
        let covered = format!("{covered},\"z\":[1]}}");
        let code = key.digest([b"observed".as_slice(), covered.as_bytes()]);
        covered.strip_suffix('}').unwrap().to_owned() + &format!(",\"m\":\"{code}\"}}")
    };
    assert_eq!(Observed::read(&newer(9, &key()), &key()), Reading::Newer(9));
    let forged = newer(99, &key()).replacen("\"n\":5", "\"n\":6", 1);
    assert_eq!(Observed::read(&forged, &key()), Reading::Foreign);
    assert_eq!(Observed::read("{\"v\":99}", &key()), Reading::Foreign);
    assert_eq!(
        Observed::read("{\"v\":99,\"x\":[]}", &key()),
        Reading::Foreign
    );
    let unknown = Observed::read(&newer(99, &other_key()), &key());
    assert!(
        matches!(&unknown, Reading::OtherKey(of) if of.is_of(WORKLOAD) && of.entries.is_empty()),
        "{unknown:?}"
    );
    let keys = other_key().with_previous(Some(key()));
    assert_eq!(Observed::read(&newer(9, &key()), &keys), Reading::Newer(9));
    for foreign in [
        "",
        "null",
        "{}",
        "[]",
        "{\"v\":0}",
        "{\"v\":1}",
        "{\"v\":-1}",
        "{\"v\":1e99}",
    ] {
        assert_eq!(
            Observed::read(foreign, &key()),
            Reading::Foreign,
            "{foreign}"
        );
    }
    // A twin field must not hide behind the one that is authenticated.
    let twins = text.replacen("\"n\":5", "\"n\":5,\"n\":5", 1);
    assert_eq!(Observed::read(&twins, &key()), Reading::Foreign);
}

#[test]
fn bad_parts_are_foreign_under_any_key() {
    let text = World::new()
        .observed([(
            SourceName::secret("s"),
            Entry::of(
                &version(&SourceName::secret("s"), "A", 1, &[]),
                &Usage::named(),
            ),
        )])
        .print(&key());
    for (from, to) in [
        ("secret/s", "pod/s"),
        ("secret/s", "secret/"),
        ("\"*\":\"", "\"*\":\"?"),
    ] {
        assert!(text.contains(from));
        let bad = text.replacen(from, to, 1);
        assert_eq!(
            Observed::read(&bad, &other_key()),
            Reading::Foreign,
            "{bad}"
        );
    }
}

#[test]
fn what_is_waited_for_stays_apart_from_a_fold_while_it_fits() {
    let name = |number: usize| SourceName::secret(format!("{number:0>253}"));
    let all = |waiting: usize| {
        let entry = |number| {
            if number < waiting {
                Entry::Waiting
            } else {
                Entry::Unknown
            }
        };
        let observed = World::new().observed((0..200).map(|number| (name(number), entry(number))));
        observed.fitted(&key(), &References::new(), &[name(199)])
    };
    let some = all(10);
    assert!(some.fold.is_some() && some.print(&key()).len() <= LIMIT);
    assert_eq!(
        some.entries.keys().cloned().collect::<Vec<_>>(),
        (0..10).chain([199]).map(name).collect::<Vec<_>>()
    );
    let too_many = all(150);
    assert!(too_many.entries.is_empty() && too_many.print(&key()).len() <= LIMIT);
}

proptest! {
    #[test]
    fn under_the_key_before_it_is_verified_too(observed in observed()) {
        let keys = other_key().with_previous(Some(key()));
        let text = observed.print(&key());
        prop_assert_eq!(Observed::read(&text, &keys), Reading::Previous(observed.clone()));
        prop_assert_eq!(observed.print(&keys), text.clone(), "with the key that it was made with");
        let forged = text.replacen("\"n\":", "\"n\":1", 1);
        prop_assert_eq!(Observed::read(&forged, &keys), Reading::Foreign);
    }

    #[test]
    fn an_older_format_is_read_and_a_newer_one_is_not(observed in observed()) {
        let later = NEWEST_FORMAT + 1;
        let newer = key().with_format(later);
        let text = observed.print(&key());
        prop_assert_eq!(Observed::read(&text, &newer), Reading::Genuine(observed.clone()));
        prop_assert_eq!(observed.print(&newer), text, "what has not changed is not rewritten");
        let next = Observed { format: later, ..observed };
        prop_assert_eq!(Observed::read(&next.print(&newer), &newer), Reading::Genuine(next.clone()));
        prop_assert_eq!(Observed::read(&next.print(&newer), &key()), Reading::Newer(later));
    }
}
