//! `docs/design.md` has the decision table, one row a line. Here its rows are compared with those of the tests, both ways.

use std::collections::BTreeSet;

use super::{aborted, csi, formers, parts, table, whole, *};

const DOCUMENT: &str = include_str!("../../../../docs/design.md");
const BEGIN: &str = "## The decision table";

/// A decision as the document writes it: the label `decision` of the metric, and the cause.
pub(super) fn said(outcome: Outcome, cause: Option<CauseKind>) -> String {
    match cause {
        Some(cause) => format!("{} ({})", outcome.as_str(), cause.as_str()),
        None => outcome.as_str().to_owned(),
    }
}

/// Names and decisions of the document's rows: first and last but one of the columns.
fn documented() -> Vec<(&'static str, String)> {
    let (_, section) = DOCUMENT.split_once(BEGIN).expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, .., decision, _why] = cells[..] else {
            panic!("too few columns: {row}");
        };
        (name.trim_matches('`'), decision.to_owned())
    })
    .collect()
}

#[test]
fn the_document_and_the_tests_have_the_same_rows() {
    let tested: BTreeSet<_> = [
        whole::outcomes(),
        table::outcomes(),
        formers::outcomes(),
        aborted::outcomes(),
        parts::outcomes(),
        csi::outcomes(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let rows = documented();
    let names: BTreeSet<_> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), rows.len(), "a row is documented twice");
    let documented: BTreeSet<_> = rows.into_iter().collect();
    let missing: Vec<_> = tested.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/design.md lacks {missing:?}");
    let untested: Vec<_> = documented.difference(&tested).collect();
    assert!(untested.is_empty(), "no test has {untested:?}");
}
