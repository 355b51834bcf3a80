//! Opt-ins that take only some keys: each way of using a source beside each list, and lists that change.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::{
    annotation::RESTART_ON,
    policy::{Defaults, Policy, Selection},
    source::references,
    version::used_keys,
    workload::{Asks, OlderPods},
};

const NAME: &str = "uber";
const DATA: [(&str, &str); 4] = [
    ("db_32", "1"),
    ("db_33", "1"),
    ("legacy", "1"),
    ("other", "1"),
];

/// The ways in which a pod template uses a source; what is optional keeps nothing waiting.
fn ways() -> Vec<(&'static str, Value)> {
    let volume = |volume: Value, sub_paths: &[&str]| {
        let mut mounts = Vec::new();
        for path in sub_paths {
            mounts.push(json!({ "name": "v", "mountPath": format!("/v/{path}"), "subPath": path }));
        }
        if sub_paths.is_empty() {
            mounts.push(json!({ "name": "v", "mountPath": "/v" }));
        }
        let mut volume = volume;
        volume["name"] = json!("v");
        json!({ "containers": [{ "volumeMounts": mounts }], "volumes": [volume] })
    };
    let items = json!([{ "key": "db_32", "path": "p" }, { "key": "legacy", "path": "q" }]);
    let variable = |key: &str| json!({ "name": key, "valueFrom": { "secretKeyRef": { "name": NAME, "key": key, "optional": true } } });
    let secret = json!({ "secret": { "secretName": NAME, "optional": true } });
    let with_items = json!({ "secret": { "secretName": NAME, "optional": true, "items": items } });
    let projected =
        json!({ "projected": { "sources": [{ "secret": { "name": NAME, "optional": true } }] } });
    let projected_items = json!({ "projected": { "sources": [{ "secret": { "name": NAME, "optional": true, "items": items } }] } });
    vec![
        (
            "env",
            json!({ "containers": [{ "env": [variable("db_32"), variable("legacy")] }] }),
        ),
        (
            "envFrom",
            json!({ "containers": [{ "envFrom": [{ "secretRef": { "name": NAME, "optional": true } }] }] }),
        ),
        ("volume", volume(secret.clone(), &[])),
        ("items", volume(with_items.clone(), &[])),
        ("subPath", volume(secret, &["db_32", "legacy"])),
        ("items and subPath", volume(with_items, &["p"])),
        ("projected", volume(projected, &[])),
        ("projected items", volume(projected_items, &[])),
        (
            "env and envFrom",
            json!({ "containers": [{
            "env": [variable("db_32")], "envFrom": [{ "secretRef": { "name": NAME, "optional": true } }],
        }] }),
        ),
        ("nothing", json!({ "containers": [{}] })),
    ]
}

fn uber() -> SourceName {
    SourceName::secret(NAME)
}

fn live(rv: u64, data: &[(&str, &str)]) -> Live {
    Live::Present(version(&uber(), "A", rv, data))
}

/// A workload that uses a source so, with this opt-in.
fn asking(list: &str, spec: &Value) -> World {
    let template = references(&json!({ "spec": spec }));
    let asks = Asks::from_iter([(RESTART_ON.to_owned(), list.to_owned())]);
    let (policy, complaints) = Policy::read(&asks, Defaults::default());
    assert_eq!(complaints, [], "{list}");
    let mut world = World::new();
    if let Selection::Some(rules) = &policy.selection {
        world.uses = rules.select(&template, [uber()].iter());
    }
    (world.policy, world.template) = (policy, Some(template));
    world
}

/// Returns the keys of which a change restarts, of those that are there and of one that is not.
fn restarting(list: &str, spec: &Value) -> String {
    let mut world = asking(list, spec);
    world.set(&uber(), live(10, &DATA));
    let before = world.decide(Known::Nothing).next().cloned().unwrap();
    let restarts = |data: &[(&str, &str)]| {
        let mut world = world.clone();
        world.set(&uber(), live(11, data));
        let decision = world.decide(Known::Observed(&before));
        match decision.outcome() {
            Outcome::Restart => true,
            Outcome::Keep => false,
            other => panic!("{list} {spec}: {other:?}"),
        }
    };
    let mut all = Vec::new();
    for (key, _) in DATA {
        let changed = DATA.map(|(one, value)| (one, if one == key { "2" } else { value }));
        let without: Vec<_> = DATA.into_iter().filter(|(one, _)| *one != key).collect();
        let (by_value, by_absence) = (restarts(&changed), restarts(&without));
        assert_eq!(by_value, by_absence, "{list} {spec}: {key}");
        all.extend(by_value.then_some(key));
    }
    let mut more = DATA.to_vec();
    more.push(("db_34", "1"));
    all.extend(restarts(&more).then_some("+db_34"));
    all.join(" ")
}

#[test]
fn only_the_keys_of_a_list_restart_however_a_source_is_used() {
    let all = "db_32 db_33 legacy other +db_34";
    let both = "db_32 legacy";
    #[rustfmt::skip]
    let rows: [(&str, [&str; 10]); 16] = [
        // env, envFrom, volume, items, subPath, items and subPath, projected, projected items, env and envFrom, nothing
        ("auto", [both, all, all, both, both, "db_32", all, both, all, ""]),
        ("secret/uber", [both, all, all, both, both, "db_32", all, both, all, all]),
        ("secret/uber#db_32", ["db_32"; 10]),
        ("auto,secret/uber#db_32", ["db_32"; 10]),
        ("secrets, secret/uber#db_32 ,secret/*", ["db_32"; 10]),
        ("secret/u*#db_32", ["db_32"; 10]),
        ("secret/uber#db_33", ["", "db_33", "db_33", "", "", "", "db_33", "", "db_33", "db_33"]),
        ("secret/uber#db_32,secret/uber#other", ["db_32", "db_32 other", "db_32 other", "db_32", "db_32", "db_32", "db_32 other", "db_32", "db_32 other", "db_32 other"]),
        ("secret/uber#db_*", ["db_32", "db_32 db_33 +db_34", "db_32 db_33 +db_34", "db_32", "db_32", "db_32", "db_32 db_33 +db_34", "db_32", "db_32 db_33 +db_34", "db_32 db_33 +db_34"]),
        ("secret/uber#*", [both, all, all, both, both, "db_32", all, both, all, all]),
        ("!secret/uber#legacy", ["db_32", "db_32 db_33 other +db_34", "db_32 db_33 other +db_34", "db_32", "db_32", "db_32", "db_32 db_33 other +db_34", "db_32", "db_32 db_33 other +db_34", ""]),
        ("auto,!secret/*#db_*", ["legacy", "legacy other", "legacy other", "legacy", "legacy", "", "legacy other", "legacy", "legacy other", ""]),
        ("secret/uber#db_*,!secret/uber#db_32", ["", "db_33 +db_34", "db_33 +db_34", "", "", "", "db_33 +db_34", "", "db_33 +db_34", "db_33 +db_34"]),
        ("auto,!secret/uber#*", [""; 10]),
        ("auto,!secret/uber,secret/uber#db_32", [""; 10]),
        ("auto,configmap/uber#db_32,secret/other#db_32", [both, all, all, both, both, "db_32", all, both, all, ""]),
    ];
    for (list, expected) in rows {
        for ((way, spec), expected) in ways().iter().zip(expected) {
            assert_eq!(restarting(list, spec), expected, "{list}: {way}");
        }
    }
}

#[test]
fn a_recreation_counts_by_its_uid_as_ever() {
    let (_, spec) = &ways()[1];
    let recreated = |list: &str, on_recreate, data: &[(&str, &str)]| {
        let mut world = asking(list, spec).on_recreate(on_recreate);
        world.set(&uber(), live(10, &DATA));
        let before = world.decide(Known::Nothing).next().cloned().unwrap();
        world.set(&uber(), Live::Present(version(&uber(), "B", 11, data)));
        world.decide(Known::Observed(&before)).outcome()
    };
    let other = [("db_32", "1"), ("other", "2")];
    let list = "secret/uber#db_32";
    assert_eq!(
        recreated(list, OnRecreate::Restart, &DATA),
        Outcome::Restart
    );
    assert_eq!(recreated(list, OnRecreate::Content, &DATA), Outcome::Record);
    assert_eq!(
        recreated(list, OnRecreate::Content, &other),
        Outcome::Record
    );
    assert_eq!(
        recreated("auto", OnRecreate::Content, &other),
        Outcome::Restart
    );
    assert_eq!(
        recreated("auto,!secret/uber#*", OnRecreate::Restart, &other),
        Outcome::Keep
    );
}

#[test]
fn what_pods_need_is_waited_for_though_a_list_leaves_it_out() {
    let variable = |key: &str| json!({ "name": key, "valueFrom": { "secretKeyRef": { "name": NAME, "key": key } } });
    let spec = json!({ "containers": [{ "env": [variable("db_32"), variable("other")] }] });
    let mut world = asking("secret/uber#db_32", &spec);
    world.set(&uber(), live(10, &DATA));
    let before = world.decide(Known::Nothing).next().cloned().unwrap();
    world.set(&uber(), live(11, &[("db_32", "2")]));
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Wait);
    assert_eq!(decision.causes().len(), 1);
    world.set(&uber(), live(12, &[("db_32", "2"), ("other", "2")]));
    assert_eq!(
        world.decide(Known::Observed(&before)).outcome(),
        Outcome::Restart
    );
    world.set(&uber(), live(12, &[("db_32", "1"), ("other", "2")]));
    assert_eq!(
        world.decide(Known::Observed(&before)).outcome(),
        Outcome::Keep
    );
}

#[test]
fn causes_name_the_keys() {
    let (_, spec) = &ways()[1];
    let cause = |list: &str, key: &str| {
        let mut world = asking(list, spec);
        world.set(&uber(), live(10, &DATA));
        let before = world.decide(Known::Nothing).next().cloned().unwrap();
        let changed = DATA.map(|(one, value)| (one, if one == key { "2" } else { value }));
        world.set(&uber(), live(11, &changed));
        super::super::cause::joined(world.decide(Known::Observed(&before)).causes())
    };
    assert_eq!(cause("auto", "db_32"), "Secret uber was updated");
    assert_eq!(
        cause("secret/uber#db_32", "db_32"),
        "Secret uber was updated (key db_32)"
    );
    assert_eq!(
        cause("secret/uber#db_*", "db_32"),
        "Secret uber was updated (keys db_*)"
    );
    assert_eq!(
        cause("auto,!secret/uber#legacy", "db_32"),
        "Secret uber was updated (keys all but legacy)"
    );
}

const LISTS: [&str; 12] = [
    "auto",
    "secret/uber#db_32",
    "secret/uber#db_33",
    "secret/uber#db_32,secret/uber#legacy",
    "secret/uber#db_*",
    "secret/uber#db_*,secret/uber#other",
    "auto,secret/*#*2",
    "auto,!secret/uber#legacy",
    "auto,!secret/uber#db_32",
    "auto,!secret/uber#db_*,!secret/uber#other",
    "auto,!secret/uber#*",
    "secret/uber",
];

/// Whether a list takes a key, said in another way than the code does.
fn takes(list: &str, key: &str) -> bool {
    match list {
        "auto" | "secret/uber" => true,
        "secret/uber#db_32" => key == "db_32",
        "secret/uber#db_33" => key == "db_33",
        "secret/uber#db_32,secret/uber#legacy" => key == "db_32" || key == "legacy",
        "secret/uber#db_*" => key.starts_with("db_"),
        "secret/uber#db_*,secret/uber#other" => key.starts_with("db_") || key == "other",
        "auto,secret/*#*2" => key.ends_with('2'),
        "auto,!secret/uber#legacy" => key != "legacy",
        "auto,!secret/uber#db_32" => key != "db_32",
        "auto,!secret/uber#db_*,!secret/uber#other" => key == "legacy",
        "auto,!secret/uber#*" => false,
        other => panic!("{other}"),
    }
}

fn some_data() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let value = || prop::sample::select(vec!["1", "2", ""]);
    (value(), value(), value(), value()).prop_map(|(a, b, c, d)| {
        let all = [("db_32", a), ("db_33", b), ("legacy", c), ("other", d)];
        all.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect()
    })
}

proptest! {
    /// Another list restarts for nothing that was not watched before: neither for the change of the list, nor for what changed
    /// before in keys that it takes newly. It is not known whether the controller saw the list change, and pods are older than
    /// the last write.
    #[test]
    fn another_list_restarts_nothing(
        way in 0..10usize,
        lists in (prop::sample::select(LISTS.to_vec()), prop::sample::select(LISTS.to_vec())),
        data in (some_data(), some_data()),
        older in prop::sample::select(vec![OlderPods::Gone, OlderPods::Left]),
        by_webhook in any::<bool>(),
    ) {
        let (_, spec) = &ways()[way];
        let mut world = asking(lists.0, spec);
        world.set(&uber(), live(10, &data.0));
        world.older = older;
        let before = world.decide(Known::Nothing).next().cloned().unwrap();
        let mut after = asking(lists.1, spec);
        after.older = older;
        after.set(&uber(), live(11, &data.1));
        if by_webhook {
            after.template_before.clone_from(&after.template);
            after.used_before = Some(world.uses.clone());
        }
        // Whatever a template gained would have changed since.
        let used = after.template.iter().chain([&after.uses]);
        let keys = used.filter_map(|all| all.get(&uber())).flat_map(used_keys);
        let ages = keys.map(|key| (key.to_owned(), i64::MIN)).collect();
        after.ages = Some(std::iter::once((uber(), ages)).collect());
        let decision = after.decide(Known::Observed(&before));
        let value = |data: &[(&str, &'static str)], key: &str| {
            data.iter().find(|(one, _)| *one == key).map(|(_, value)| *value)
        };
        let changed = DATA.iter().any(|(key, _)| {
            takes(lists.0, key)
                && takes(lists.1, key)
                && value(&data.0, key) != value(&data.1, key)
        });
        if decision.outcome() == Outcome::Restart {
            prop_assert!(changed, "{:?}", decision);
        }
        if lists.0 == lists.1 && way != 9 {
            let read = |key: &str| restarting("auto", spec).split(' ').any(|one| one == key);
            let due = DATA.iter().any(|(key, _)| {
                read(key) && takes(lists.0, key) && value(&data.0, key) != value(&data.1, key)
            });
            prop_assert_eq!(decision.outcome() == Outcome::Restart, due);
        }
        let next = decision.next().unwrap();
        // No template dropped anything. Of what the template does not refer to, while nobody saw a write and older pods are
        // left, that is not known.
        let untold = way == 9 && !by_webhook && older == OlderPods::Left;
        prop_assert!(untold || next.formers.is_empty(), "{:?}", next);
        // It is written once, and the same list says the same afterwards.
        if decision.outcome() != Outcome::Restart {
            prop_assert_eq!(&next.lists, &after.subject().lists());
            let again = after.decide(Known::Observed(next));
            prop_assert_eq!(again.outcome(), Outcome::Keep);
            // The way back does neither.
            world.set(&uber(), live(11, &data.1));
            world.ages.clone_from(&after.ages);
            let back = world.decide(Known::Observed(next));
            prop_assert!(untold || back.outcome() != Outcome::Restart, "{:?}", back);
        }
    }

    /// A template that gains a source while the webhook is away is judged by the keys that count.
    #[test]
    fn what_a_template_gains_is_judged_by_the_keys_that_count(
        way in 0..9usize,
        list in prop::sample::select(LISTS.to_vec()),
    ) {
        let (_, spec) = &ways()[way];
        let empty = asking("auto", &json!({ "containers": [{}] }));
        let mut world = asking(list, spec);
        let named = list.starts_with("secret/");
        world.set(&uber(), live(10, &DATA));
        let mut before = empty.observed([]);
        before.lists = world.subject().lists();
        let Some(usage) = world.uses.get(&uber()).filter(|usage| usage.is_read()).cloned() else {
            return Ok(());
        };
        world.ages = None;
        let asked = world.decide(Known::Observed(&before)).outcome();
        prop_assert_eq!(asked, Outcome::Undecided(Doubt::AskAges), "{} {}", list, named);
        let ages = used_keys(&usage).map(|key| (key.to_owned(), i64::MIN)).collect();
        world.ages = Some(std::iter::once((uber(), ages)).collect());
        let decision = world.decide(Known::Observed(&before));
        prop_assert_eq!(decision.outcome(), Outcome::Restart);
    }
}

#[test]
fn a_template_that_drops_a_source_leaves_the_keys_that_counted() {
    let (_, spec) = &ways()[1];
    let nothing = json!({ "containers": [{}] });
    for (list, key) in [
        ("auto,secret/uber#db_32", "db_32"),
        ("auto,!secret/uber#legacy", "*!legacy"),
        ("auto", "*"),
    ] {
        let mut world = asking(list, spec);
        world.set(&uber(), live(10, &DATA));
        let before = world.decide(Known::Nothing).next().cloned().unwrap();
        let mut without = asking(list, &nothing);
        without.uses.remove(&uber());
        without.older = OlderPods::Left;
        without.template_before.clone_from(&world.template);
        without.used_before = Some(world.uses.clone());
        let decision = without.decide(Known::Observed(&before));
        let next = decision.next().unwrap();
        let former = next.formers.iter().next();
        let Some((_, Entry::Seen { states, .. })) = former else {
            panic!("{list}: {next:?}");
        };
        assert_eq!(states.keys().collect::<Vec<_>>(), [key], "{list}");
    }
}
