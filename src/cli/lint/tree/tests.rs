use proptest::prelude::*;
use serde_json::json;

use super::*;

fn one(text: &str) -> Node {
    let mut all = documents(text).unwrap();
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0)
}

#[test]
fn each_key_and_value_has_its_line() {
    let text = "# comment\na: 1\nb:\n  c: x\n  list:\n    - y\n    - z: |\n        text\n";
    let node = one(text);
    let lines: Vec<_> = node.entries().map(|(key, _)| key.line).collect();
    assert_eq!(lines, [2, 3]);
    assert_eq!(node.line, 2);
    assert_eq!(node.at(&["b", "c"]).unwrap().line, 4);
    let items = node.at(&["b", "list"]).unwrap().items();
    assert_eq!(
        items.iter().map(|item| item.line).collect::<Vec<_>>(),
        [6, 7]
    );
    assert_eq!(items[1].get("z").unwrap().text(), Some("text\n"));
    assert_eq!(node.pointer("/b/list/1/z").unwrap().text(), Some("text\n"));
}

#[test]
fn scalars_are_what_they_are_for_kubectl() {
    let rows = [
        ("off", json!(false)),
        ("yes", json!(true)),
        ("\"off\"", json!("off")),
        ("auto", json!("auto")),
        ("5", json!(5)),
        ("-1", json!(-1)),
        ("5s", json!("5s")),
        ("1.5", json!(1.5)),
        ("~", json!(null)),
        ("!!str off", json!("off")),
        (".nan", json!(null)),
        ("!!binary eA==", json!("eA==")),
        ("[a, {b: c}]", json!(["a", {"b": "c"}])),
        ("&x a", json!("a")),
    ];
    for (text, expected) in rows {
        let node = one(&format!("k: {text}\n"));
        assert_eq!(node.json(), json!({ "k": expected }), "{text}");
    }
}

#[test]
fn documents_aliases_merges_and_keys_that_stand_twice() {
    let text = "---\n---\n# nothing\n---\na: &a {k: v, l: 1}\nb:\n  <<: *a\n  l: 2\n---\nc: 1\nc: 2\n1: x\ntrue: z\n...\n";
    let all = documents(text).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].json()["b"], json!({ "k": "v", "l": 2 }));
    assert_eq!(all[0].at(&["b", "l"]).unwrap().line, 8);
    assert_eq!(all[1].json(), json!({ "c": 2, "1": "x", "true": "z" }));
    assert_eq!(documents("").unwrap(), []);
    assert_eq!(documents("# Source: x\n---\n").unwrap(), []);
}

#[test]
fn json_is_read_with_its_lines() {
    let long = "x".repeat(5_000);
    let text = format!(
        "\u{feff}{{\n\t\"a\": \"{long}\",\n\t\"b\": {{\"c\": \"\\u00e4\\ud83d\\ude00\"}}\n}}\n"
    );
    let node = one(&text);
    assert_eq!(node.text_at(&["b", "c"]), Some("ä😀"));
    assert_eq!(node.at(&["b", "c"]).unwrap().line, 3);
    assert_eq!(node.text_at(&["a"]).unwrap().len(), 5_000);
}

#[test]
fn what_is_no_yaml_has_a_line_and_shows_no_data() {
    let refused = |text: &str| {
        let NoYaml { line, why } = documents(text).unwrap_err();
        let line = line.map_or("?".to_owned(), |line| line.to_string());
        format!("{text:?}\n  {line}: {why}\n")
    };
    let texts = [
        "a: b\nc: [d\n",
        "a: 1\n  b: hunter2\n",
        "a:\n\t- hunter2\n",
        "a: {{ .Values.hunter2 }}\n",
        "{{- if .Values.hunter2 }}\na: b\n{{- end }}\n",
        "a: \"hunter2\n",
        "a: *unknown\n",
        "a: b\n[c]: d\n",
        "a: b\n---\na: 'c\n---\n",
    ];
    let told: String = texts.into_iter().map(refused).collect();
    assert!(
        texts
            .iter()
            .all(|text| told.contains(&format!("{text:?}\n")))
    );
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_too_deep_or_too_much_is_refused() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let block = |levels: usize| {
        let lines = (0..levels).map(|at| " ".repeat(at) + "a:\n");
        lines.collect::<String>()
    };
    let bomb = (1..12).map(|at| {
        let alias = format!("*a{}", at - 1);
        let all = [alias.as_str(); 9].join(", ");
        format!("a{at}: &a{at} [{all}]")
    });
    let bomb: Vec<_> = ["a0: &a0 [x]".to_owned()].into_iter().chain(bomb).collect();
    let bomb = bomb.join("\n");
    let read = move || {
        let is_read = |text: String| documents(&text).is_ok();
        assert!(is_read(deep(DEPTH)) && is_read(block(DEPTH)));
        for levels in [DEPTH + 1, 200, 2_000] {
            assert!(
                !is_read(deep(levels)) && !is_read(block(levels)),
                "{levels}"
            );
        }
        let why = |text: &str| documents(text).unwrap_err().why;
        let words = [why(&deep(DEPTH + 1)), why(&bomb), why("a: &a [*a]\n")];
        let expected = [
            "lists and maps stand in one another more than 64 deep",
            "its aliases (*name) make too much of it: write out what they repeat",
            "an alias (*name) stands in what it repeats, which has no end",
        ];
        assert_eq!(words, expected);
    };
    // As much as a program has where it begins; a debug build takes some.
    let thread = std::thread::Builder::new().stack_size(8 << 20);
    thread.spawn(read).unwrap().join().unwrap();
}

#[test]
fn more_than_the_usual_bounds_is_read() {
    let many = "---\na: 1\nb: [1, 2]\n".repeat(100_000);
    assert_eq!(documents(&many).unwrap().len(), 100_000);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        let _ = documents(&text);
    }

    #[test]
    fn so_is_what_looks_like_yaml(text in "([ \\t\\n]{0,4}([a-z]{1,3}: ?|- |\\[|\\]|\\{|\\}|&a |\\*a|<<: |\"|'|\\||>|#|!!?[a-z]{0,6} |---\\n|\\.\\.\\.\\n|[0-9.]+|off|,|%[A-Z]+ )){0,40}") {
        let _ = documents(&text);
    }
}
