use proptest::prelude::*;
use regex::{Regex, RegexBuilder};

use wildmatch::WildMatch;

use super::*;

fn secret(name: &str) -> SourceName {
    SourceName::secret(name)
}

fn expressions(texts: &[String]) -> Result<Patterns, Beyond> {
    let read = |text: &String| Pattern::expression(SourceKind::Secret, text);
    Patterns::new(texts.iter().filter_map(read).collect())
}

fn globs(texts: &[String]) -> Result<Patterns, Beyond> {
    let read = |text: &String| Pattern::read(&format!("secret/{text}"));
    Patterns::new(texts.iter().filter_map(read).collect())
}

#[test]
fn what_each_form_takes() {
    let rows = [
        ("my-\\w+-\\w+", "my-db-main", true),
        ("my-\\w+-\\w+", "my-db", false),
        ("kube-root-ca.crt", "kube-root-ca.crt", true),
        ("kube-root-ca.crt", "kube-root-ca-crt", true),
        ("kube-root-ca.crt", "kube-root-ca.crt2", false),
        ("d|s", "db", true),
        ("d|s", "tls", true),
        ("d|s", "app", false),
        ("(?i)DB", "db", true),
        ("app-\\d{2}", "app-42", true),
        ("[^a]b", "cb", true),
    ];
    for (expression, name, taken) in rows {
        let patterns = expressions(&[expression.to_owned()]).unwrap();
        assert_eq!(
            patterns.ready().takes(&secret(name)),
            taken,
            "{expression} {name}"
        );
        let other = SourceName::config_map(name);
        assert!(!patterns.ready().takes(&other), "{expression}");
    }
    for text in ["app[", "(", "\\p{Greek}", "a{2,1}"] {
        assert_eq!(
            Pattern::expression(SourceKind::Secret, text),
            None,
            "{text}"
        );
    }
}

#[test]
fn a_list_is_bounded_by_its_bytes_and_by_what_it_becomes() {
    let many = |text: &str, bytes: usize| vec![text.to_owned(); bytes / text.len()];
    assert!(globs(&many("app-*-secret1", MAX_BYTES)).is_ok());
    assert_eq!(
        globs(&many("app-*-secret1", MAX_BYTES + 13)),
        Err(Beyond::Globs)
    );
    // Everything of a kind costs nothing.
    assert!(globs(&many("*", 2 * MAX_BYTES)).is_ok());
    // Nor do names, with dots or without.
    let names: Vec<_> = (0..1000)
        .map(|at| format!("tls.example.org-{at}"))
        .collect();
    assert!(expressions(&names).is_ok());
    let secrets = SourceKind::Secret;
    let some: Vec<_> = (0..90).map(|at| format!("app-{at}-.*-conf")).collect();
    assert!(expressions(&some).is_ok());
    let more: Vec<_> = (0..180).map(|at| format!("app-{at}-.*-conf")).collect();
    assert_eq!(expressions(&more), Err(Beyond::Bytes(secrets)));
    for text in ["(((a{99}){99}){99})", ".{20}(a|b){200}(.{200}){9}"] {
        assert_eq!(
            expressions(&[text.to_owned()]),
            Err(Beyond::Program(secrets)),
            "{text}"
        );
    }
    // What is beyond one bound of one kind is not made good by another kind.
    let mut list: Vec<_> = vec![Pattern::expression(SourceKind::ConfigMap, "a.*").unwrap()];
    list.extend(
        more.iter()
            .filter_map(|text| Pattern::expression(secrets, text)),
    );
    assert_eq!(Patterns::new(list), Err(Beyond::Bytes(secrets)));
}

#[test]
fn what_was_put_away_takes_the_same() {
    let mut patterns = expressions(&["app-.*".to_owned()]).unwrap();
    let before = patterns.clone();
    patterns.put_away();
    assert!(patterns.expressions[0].compiled.is_none());
    assert_eq!(patterns, before);
    assert!(patterns.ready().takes(&secret("app-1")) && !patterns.ready().takes(&secret("db")));
}

#[test]
fn the_bounds_that_people_are_told_are_these() {
    use crate::model::policy::selection::expected_within;
    assert!(expected_within(Beyond::Globs).contains(&MAX_BYTES.to_string()));
    let program = format!("{} KiB", MAX_PROGRAM / 1024);
    let beyond = Beyond::Program(SourceKind::Secret);
    assert!(expected_within(beyond).contains(&program));
}

/// An expression as the releases before matched it, each by itself and by letters.
fn alone(text: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("^{text}$")).build().ok()
}

fn expression() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        "[a-c.-]{1,4}",
        Just(".*".to_owned()),
        Just("[a-c]+".to_owned()),
        Just("[^b]".to_owned()),
        Just("(a|bc)?".to_owned()),
        Just("b{1}".to_owned()),
        Just("a|c".to_owned()),
        Just("(".to_owned()),
        Just("\\.".to_owned()),
        Just("^a".to_owned()),
        Just("$".to_owned()),
    ];
    prop::collection::vec(atom, 1..5).prop_map(|atoms| atoms.concat())
}

proptest! {
    #[test]
    fn a_list_takes_what_each_of_it_took_alone(
        texts in prop::collection::vec(expression(), 1..6),
        names in prop::collection::vec("[a-c.-]{1,7}", 1..8),
    ) {
        let alone: Vec<_> = texts.iter().filter_map(|text| alone(text)).collect();
        let list = expressions(&texts).unwrap();
        prop_assert_eq!(list.iter().count(), alone.len(), "{:?}", texts);
        for name in names {
            let before = alone.iter().any(|one| one.is_match(&name));
            prop_assert_eq!(list.ready().takes(&secret(&name)), before, "{:?} {}", texts, name);
        }
    }

    #[test]
    fn globs_take_what_they_took(
        texts in prop::collection::vec("[a-c.*?-]{1,7}", 1..6),
        names in prop::collection::vec("[a-c.-]{1,7}", 1..8),
    ) {
        let list = globs(&texts).unwrap();
        for name in names {
            let before = texts.iter().any(|text| WildMatch::new(text).matches(&name));
            prop_assert_eq!(list.ready().takes(&secret(&name)), before, "{:?} {}", texts, name);
        }
    }
}
