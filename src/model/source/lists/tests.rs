use std::collections::BTreeSet;

use proptest::prelude::*;

use wildmatch::WildMatch;

use super::*;
use crate::model::{
    source::Held,
    testing::{keyed, version, whole},
    version::{MOST_MATCHED, MOST_PASSED, used_keys},
};

fn lists(entries: &str) -> KeyLists {
    let mut lists = KeyLists::default();
    for entry in entries.split(',').filter(|entry| !entry.is_empty()) {
        let (excluded, name) = match entry.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, entry),
        };
        lists.add(excluded, Named::read(name).unwrap());
    }
    lists
}

fn uber() -> SourceName {
    SourceName::secret("uber")
}

/// What is recorded, and after `/` what is needed besides.
fn narrowed(entries: &str, usage: &Usage) -> String {
    let lists = lists(entries);
    let narrowed = lists.narrowed(&uber(), usage);
    let narrowed = narrowed.as_ref().unwrap_or(usage);
    let mark = |key: &str| match narrowed.need_of(key) {
        Need::Required => "!",
        Need::AsFile => "~",
        Need::Optional => "",
    };
    let recorded: Vec<_> = used_keys(narrowed)
        .map(|key| format!("{key}{}", mark(key)))
        .collect();
    let besides = narrowed
        .demanded()
        .filter(|key| !narrowed.keys.contains_key(*key));
    let besides: BTreeSet<_> = besides.map(|key| format!("{key}{}", mark(key))).collect();
    let besides: Vec<_> = besides.into_iter().collect();
    format!("{}/{}", recorded.join(" "), besides.join(" "))
}

#[test]
fn a_list_takes_of_what_pods_read() {
    use Need::{AsFile, Optional, Required};
    let env = keyed(&[("a", Required), ("b", Optional)]);
    let both = Usage {
        whole: true,
        ..env.clone()
    };
    let files = keyed(&[("a", AsFile)]).of_held(Held {
        whole: true,
        keys: LiteMap::new(),
    });
    let items = keyed(&[("a", Required)]).of_held(Held {
        whole: false,
        keys: [("a", Required), ("c", Required)]
            .into_iter()
            .map(|(key, need)| (key.to_owned(), need))
            .collect(),
    });
    let all = whole(Required);
    let named = Usage::named();
    let rows: [(&str, &Usage, &str); 36] = [
        ("", &env, "a! b/"),
        ("", &all, "*/"),
        ("secret/other#a", &all, "*/"),
        ("configmap/uber#a", &all, "*/"),
        ("secret/uber#a", &env, "a!/"),
        ("secret/uber#b", &env, "b/a!"),
        ("secret/uber#x", &env, "/a!"),
        ("secret/uber#a", &all, "a/"),
        ("secret/uber#a,secret/uber#b", &all, "a b/"),
        ("secret/uber#b,secret/uber#a", &all, "a b/"),
        ("secret/u*#a,secret/uber#b", &all, "a b/"),
        ("secret/uber#a", &both, "a!/"),
        ("secret/uber#b", &both, "b/a!"),
        ("secret/uber#x", &both, "x/a!"),
        ("secret/uber#a", &named, "a/"),
        ("secret/uber#a", &files, "a~/"),
        ("secret/uber#b", &files, "/a~"),
        ("secret/uber#a", &items, "a!/c!"),
        ("secret/uber#c", &items, "/a! c!"),
        ("secret/uber#f-*", &all, "f-*/"),
        ("secret/uber#?", &env, "a! b/"),
        ("secret/uber#*", &all, "*/"),
        ("secret/uber#*,secret/uber#a", &all, "*/"),
        ("secret/uber#*", &env, "a! b/"),
        ("!secret/uber#a", &env, "b/a!"),
        ("!secret/uber#x", &env, "a! b/"),
        ("!secret/uber#a", &all, "*!a/"),
        ("!secret/uber#b,!secret/uber#a", &all, "*!a!b/"),
        ("!secret/uber#a", &both, "*!a b/a!"),
        ("!secret/uber#*", &all, "/"),
        ("secret/uber#a,!secret/uber#a", &all, "/"),
        ("secret/uber#f-*,!secret/uber#f-x", &all, "f-*!f-x/"),
        ("secret/uber#f-*,!secret/uber#x", &all, "f-*/"),
        ("secret/uber#f-*,!secret/uber#*-x", &all, "f-*!*-x/"),
        ("secret/uber#f-*,!secret/uber#f-*", &all, "/"),
        ("secret/*#f-*,!secret/*#*x,secret/uber#g", &all, "f-*!*x g/"),
    ];
    for (entries, usage, expected) in rows {
        assert_eq!(narrowed(entries, usage), expected, "{entries} of {usage:?}");
    }
}

#[test]
fn they_print_what_they_read_in_one_order() {
    let mixed = lists("secret/uber#b,!secret/uber#x,configmap/c*#a-*,secret/uber#b");
    let text = "configmap/c*#a-*,secret/uber#b,!secret/uber#x";
    assert_eq!(mixed.to_string(), text);
    assert_eq!(KeyLists::read(text), Some(mixed));
    assert_eq!(KeyLists::read(""), Some(KeyLists::default()));
    for bad in [
        "secret/uber",
        "secret/uber#b,configmap/c*#a-*",
        "secret/uber#b,secret/uber#b",
        "secret/uber#b,",
        "secret/uber#",
        "x",
    ] {
        assert_eq!(KeyLists::read(bad), None, "{bad}");
    }
}

#[test]
fn people_read_keys_as_they_would_say_them() {
    for (recorded, spoken, word) in [
        ("password", "password", "key"),
        ("feature-*", "feature-*", "keys"),
        ("*!legacy", "all but legacy", "keys"),
        ("f-*!f-x!*-y", "f-* but f-x and *-y", "keys"),
    ] {
        assert_eq!(spoken_key(recorded), spoken);
        assert_eq!(key_word([recorded].into_iter()), word);
    }
    assert_eq!(key_word(["a", "b"].into_iter()), "keys");
}

#[test]
fn lists_are_bounded() {
    let mut long = KeyLists::default();
    for number in 0..MAX_KEY_GLOBS {
        long.add(
            false,
            Named::read(&format!("secret/a#k{number}-*")).unwrap(),
        );
    }
    assert!(long.is_bounded());
    for one_more in ["secret/a#*-x", "secret/a*#x"] {
        let mut many = long.clone();
        many.add(true, Named::read(one_more).unwrap());
        assert!(!many.is_bounded());
    }
    let mut wide = KeyLists::default();
    for (number, bounded) in [true, true, false].into_iter().enumerate() {
        wide.add(true, Named::read(&format!("secret/*#{number}-*")).unwrap());
        assert_eq!(wide.is_bounded(), bounded);
    }
    let key = "k".repeat(250);
    for number in 0..16 {
        long.add(
            false,
            Named::read(&format!("secret/a#{key}{number}")).unwrap(),
        );
    }
    assert!(!long.is_bounded());
}

#[test]
fn keys_that_are_recorded_together_have_one_digest() {
    let of = |data: &[(&str, &str)], recorded| version(&uber(), "A", 1, data).used(recorded);
    let base = [("a-1", "x"), ("a-2", "y"), ("b", "z")];
    let before = of(&base, "a-*");
    assert!(before.is_some());
    assert_eq!(of(&[("a-1", "x"), ("a-2", "y"), ("b", "!")], "a-*"), before);
    assert_eq!(of(&[("a-1", "x"), ("a-2", "y")], "a-*"), before);
    for other in [
        &[("a-1", "!"), ("a-2", "y")][..],
        &[("a-1", "x")],
        &[("a-1", "x"), ("a-2", "y"), ("a-3", "")],
        &[("a-1", "y"), ("a-2", "x")],
        &[("a-2", "x"), ("a-3", "y")],
    ] {
        assert_ne!(of(other, "a-*"), before, "{other:?}");
    }
    assert_eq!(of(&base, "c*"), None);
    assert_eq!(of(&base, "a-*!a-*"), None);
    assert_eq!(of(&base, "a-*!a-2"), of(&[("a-1", "x")], "a-*"));
    assert_eq!(of(&base, "*!b"), of(&base, "a-?"));
    // Of a source that is too large all counts.
    let names: Vec<_> = (0..=MOST_MATCHED)
        .map(|number| format!("a-{number}"))
        .collect();
    let large: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let large = version(&uber(), "A", 1, &large);
    assert_eq!(large.used("b*"), Some(large.whole));
}

#[test]
fn the_letters_that_globs_go_through_are_bounded() {
    let letters = "k".repeat(248);
    let keys = |count: usize| -> Vec<_> {
        (0..count)
            .map(|number| format!("{letters}-{number:04}"))
            .collect()
    };
    let fit = MOST_PASSED / 253;
    for (count, recorded, is_whole) in [
        (fit, "*-9999", false),
        (fit + 1, "*-9999", true),
        (fit + 1, "k*-9999", true),
        (fit + 1, "?*", true),
        // What begins otherwise is not looked at, and a beginning is looked up.
        (fit + 1, "x*-9999", false),
        (fit + 1, "kk*", false),
        (fit + 1, "*!kk", false),
        (fit / 2, "*!*-9999", false),
        (fit / 2, "*a!*-9999", false),
        (fit / 2 + 1, "*a!*-9999", true),
    ] {
        let keys = keys(count);
        let data: Vec<_> = keys.iter().map(|key| (key.as_str(), "x")).collect();
        let version = version(&uber(), "A", 1, &data);
        let used = version.used(recorded);
        assert_eq!(used == Some(version.whole), is_whole, "{count} {recorded}");
    }
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["a", "b", "ab", "*", "a*", "*b", "?", "a?", "zz"])
            .prop_map(ToOwned::to_owned),
        "[ab?*]{1,3}",
    ]
}

proptest! {
    #[test]
    fn a_key_counts_where_it_is_read_and_taken(
        only in proptest::collection::vec(part(), 0..4),
        not in proptest::collection::vec(part(), 0..3),
        named in proptest::collection::btree_set("[ab]{1,2}", 0..4),
        whole in any::<bool>(),
        before in proptest::collection::btree_map("[ab]{1,2}", "[xy]", 0..5),
        after in proptest::collection::btree_map("[ab]{1,2}", "[xy]", 0..5),
    ) {
        let mut lists = KeyLists::default();
        for (excluded, keys) in [(false, &only), (true, &not)] {
            for key in keys {
                lists.add(excluded, Named::read(&format!("secret/uber#{key}")).unwrap());
            }
        }
        let usage = Usage {
            whole,
            ..keyed(&named.iter().map(|key| (key.as_str(), Need::Optional)).collect::<Vec<_>>())
        };
        let narrowed = lists.narrowed(&uber(), &usage).unwrap_or_else(|| usage.clone());
        let matches = |written: &String, key: &str| WildMatch::new(written).matches(key);
        let counts = |key: &str| {
            (whole || named.contains(key))
                && (only.is_empty() || only.iter().any(|one| matches(one, key)))
                && !not.iter().any(|one| matches(one, key))
        };
        let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let expected = all.iter().any(|key| counts(key) && before.get(*key) != after.get(*key));
        let pairs = |data: &std::collections::BTreeMap<String, String>| -> Vec<(String, String)> {
            data.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let of = |data: &[(String, String)]| {
            let data: Vec<_> = data.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            version(&uber(), "A", 1, &data)
        };
        let (before, after) = (of(&pairs(&before)), of(&pairs(&after)));
        let changed = used_keys(&narrowed).any(|key| before.used(key) != after.used(key));
        prop_assert_eq!(changed, expected);
        let text = lists.to_string();
        prop_assert_eq!(KeyLists::read(&text), Some(lists));
    }
}
