//! Tests of selectors, of addresses, and that the chart has the same webhooks.

use std::{fs, path::Path};

use kube::core::SelectorExt as _;
use serde_json::{Value, json};

use super::{configurations::requirements, *};
use crate::model::{
    DigestKey,
    workload::{DEPLOYMENT_CONFIG, ROLLOUT},
};

#[test]
fn a_probe_has_labels_that_are_selected() {
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let selector: Selector = [
        Expression::Equal("a".to_owned(), "1".to_owned()),
        Expression::In("b".to_owned(), set(&["2", "3"])),
        Expression::NotIn("c".to_owned(), set(&["4"])),
        Expression::NotEqual("d".to_owned(), "5".to_owned()),
        Expression::Exists("e".to_owned()),
        Expression::DoesNotExist("f".to_owned()),
    ]
    .into_iter()
    .collect();
    assert!(selector.matches(&labels_for(Some(&selector))));
    assert_eq!(requirements(Some(&selector)).len(), 6);
    assert!(requirements(None).is_empty());
}

#[test]
fn only_the_host_itself_makes_a_url_local() {
    let local = |url: &str| is_loopback(&url.parse().unwrap());
    for url in [
        "https://127.0.0.1:6443",
        "http://127.1.2.3",
        "https://localhost:6443/path",
        "https://[::1]:6443",
    ] {
        assert!(local(url), "{url}");
    }
    for url in [
        "https://127.0.0.1.example.com",
        "https://localhost.example.com",
        "https://10.0.0.1:6443",
        "https://0.0.0.0",
        "https://example.com/127.0.0.1",
    ] {
        assert!(!local(url), "{url}");
    }
}

fn registration() -> Registration {
    Registration {
        name: "reroll".to_owned(),
        url: "https://127.0.0.1:8443".to_owned(),
        authority: String::new(),
        namespaces: Vec::new(),
        own_namespace: "reroll".to_owned(),
        own_user: "system:serviceaccount:reroll:reroll".to_owned(),
        kinds: Kinds::default(),
        conventions: Arc::default(),
    }
}

#[test]
fn the_first_namespace_is_probed_where_the_usual_one_is_not_selected() {
    let conventions = Conventions {
        namespaces: Some([("team", "a")].into_iter().collect()),
        ..Conventions::default()
    };
    let key = DigestKey::new(&[7; DigestKey::LENGTH]).unwrap();
    let mut index = Index::new(key).with_conventions(Arc::new(conventions));
    assert_eq!(registration().probed_namespace(&index, 0), None);
    let others = (10..40).rev().map(|number| format!("shop-{number}"));
    for name in others.chain(["kube-system".to_owned()]) {
        index.select_namespace(&name, false);
        index.apply_namespace(&name, Some("auto".to_owned()));
    }
    let probed = |turn| registration().probed_namespace(&index, turn);
    assert_eq!(probed(0).as_deref(), Some("shop-10"));
    assert_eq!(probed(1).as_deref(), Some("shop-11"));
    assert_eq!(probed(30).as_deref(), Some("shop-10"), "and around");
}

#[test]
fn our_own_namespace_is_never_probed_and_each_that_is_named_has_its_turn() {
    let key = DigestKey::new(&[7; DigestKey::LENGTH]).unwrap();
    let index = Index::new(key);
    let probed = |own: &str, named: &[&str], turn| {
        let registration = Registration {
            own_namespace: own.to_owned(),
            namespaces: named.iter().map(ToString::to_string).collect(),
            ..registration()
        };
        registration.probed_namespace(&index, turn)
    };
    assert_eq!(probed("reroll", &[], 0).as_deref(), Some("default"));
    assert_eq!(probed("default", &[], 0), None, "nobody asks about it");
    assert_eq!(probed("a", &["a"], 0), None);
    assert_eq!(probed("a", &["a", "b", "c"], 0).as_deref(), Some("b"));
    assert_eq!(probed("a", &["a", "b", "c"], 1).as_deref(), Some("c"));
    assert_eq!(probed("a", &["a", "b", "c"], 2).as_deref(), Some("b"));
}

/// Each webhook by its name: as it is registered here, and as the chart has it.
type Webhooks = BTreeMap<String, Value>;

/// The webhooks of configurations, in one form: texts of expressions on one line, and of `clientConfig` the path alone.
fn webhooks(configurations: Vec<Value>) -> Webhooks {
    let mut all = Webhooks::new();
    for configuration in configurations {
        for webhook in configuration["webhooks"].as_array().unwrap() {
            let mut webhook = webhook.clone();
            let client = &webhook["clientConfig"];
            let path = match client["url"].as_str() {
                Some(url) => url.parse::<Uri>().unwrap().path().into(),
                None => client["service"]["path"].clone(),
            };
            webhook["clientConfig"] = path;
            if webhook["objectSelector"] == json!({ "matchExpressions": [] }) {
                webhook.as_object_mut().unwrap().remove("objectSelector");
            }
            for condition in webhook["matchConditions"].as_array_mut().unwrap() {
                let text = condition["expression"].as_str().unwrap();
                condition["expression"] =
                    text.split_whitespace().collect::<Vec<_>>().join(" ").into();
            }
            let name = webhook["name"].as_str().unwrap().to_owned();
            assert!(all.insert(name, webhook).is_none());
        }
    }
    all
}

#[test]
fn the_chart_has_the_same_webhooks() {
    let mut here = registration();
    for kind in [&ROLLOUT, &DEPLOYMENT_CONFIG] {
        here.kinds = here.kinds.with(kind).unwrap();
    }
    let here = webhooks(vec![here.validating(), here.mutating()]);
    // What the chart renders with its own values; charts/check compares the two.
    let rendered = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/webhooks.yaml");
    let rendered = fs::read_to_string(rendered).unwrap();
    let rendered = webhooks(serde_saphyr::from_multiple(&rendered).unwrap());
    assert_eq!(here.len(), 5);
    assert_eq!(here, rendered);
}
