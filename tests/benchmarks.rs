//! The reports of the benchmarks: they lose no number, and every number is in its place.

use std::fs;

use reroll_harness::{
    plot,
    report::{Report, Samples, percentile, unit},
    turns::turns,
};
use serde_json::{Value, json};

/// One run of one contender, with these values.
fn run(report: &mut Report, scenario: &str, who: &str, values: &[f64]) {
    let mut samples = Samples::default();
    for value in values {
        samples.add("until ready, ms", *value);
    }
    report.add(scenario, who, samples);
}

fn rows(report: &Report) -> Vec<Value> {
    serde_json::from_str(&report.json()).expect("it is JSON")
}

#[test]
fn a_percentile_is_the_nearest_value_that_was_measured() {
    let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
    for (share, expected) in [
        (0.0, 0.0),
        (0.05, 5.0),
        (0.5, 50.0),
        (0.99, 99.0),
        (1.0, 100.0),
    ] {
        assert!(
            (percentile(&values, share) - expected).abs() < 1e-9,
            "{share}"
        );
    }
    assert!((percentile(&[3.0, 1.0], 0.5) - 3.0).abs() < 1e-9);
    assert!(percentile(&[], 0.5).is_nan());
}

#[test]
fn a_unit_is_what_follows_the_last_comma() {
    assert_eq!(unit("first, and last, MiB"), "MiB");
    assert_eq!(unit("rolled of 200"), "");
}

#[test]
fn runs_add_up_and_are_held_against_the_floor() {
    let mut report = Report::default();
    run(&mut report, "start", "floor", &[10.0, 20.0]);
    run(&mut report, "start", "floor", &[40.0]);
    run(&mut report, "start", "reroll", &[30.0, f64::NAN]);
    let rows = rows(&report);
    assert_eq!(
        rows[0],
        json!({
            "scenario": "start", "what": "until ready, ms", "who": "floor", "against": "floor", "values": [10.0, 20.0, 40.0],
            "median": 20.0, "p5": 10.0, "p95": 40.0, "p99": 40.0, "ratio": 1.0, "p99Ratio": 1.0,
        })
    );
    assert_eq!(
        rows[1],
        json!({
            "scenario": "start", "what": "until ready, ms", "who": "reroll", "against": "floor", "values": [30.0],
            "median": 30.0, "p5": 30.0, "p95": 30.0, "p99": 30.0, "ratio": 1.5, "p99Ratio": 0.75,
        })
    );
    let row = "| until ready, ms | reroll | 30.00 | 30.00 … 30.00 | 30.00 | 1.50 | 0.75 | 1 |";
    assert!(report.tables().contains(row), "{}", report.tables());
}

#[test]
fn a_scenario_may_name_its_own_rows_and_what_they_are_held_against() {
    let mut samples = Samples::default();
    samples.against("no webhook");
    samples.of("no webhook", "write, ms", 4.0);
    samples.of("reroll", "write, ms", 5.0);
    let mut report = Report::default();
    report.add("latency", "floor", samples);
    run(&mut report, "latency", "floor", &[1.0]);
    let rows = rows(&report);
    let of = |who: &str, what: &str| {
        let mut rows = rows.iter();
        rows.find(|row| row["who"] == who && row["what"] == what)
            .expect("there is one")
    };
    assert_eq!(of("reroll", "write, ms")["ratio"], json!(1.25));
    assert_eq!(of("reroll", "write, ms")["against"], json!("no webhook"));
    // Nothing was measured for that without a webhook.
    assert_eq!(of("floor", "until ready, ms")["ratio"], json!(null));
}

#[test]
fn two_binaries_are_held_against_each_other() {
    let mut report = Report::default();
    for (who, values) in [
        ("beside", [10.0, 30.0, 20.0]),
        ("reroll", [19.0, 21.0, 17.0]),
    ] {
        for value in values {
            let mut samples = Samples::default();
            samples.add("until ready, ms", value);
            // A scenario that says otherwise is told that there is no floor.
            samples.against("floor");
            samples.against("beside");
            report.add("start", who, samples);
        }
    }
    let tables = report.tables();
    for row in [
        "| what | who | median | 5 % … 95 % | 99 % | × beside | 99 %: × beside | runs |",
        "| until ready, ms | beside | 20.00 | 10.00 … 30.00 | 30.00 | 1.00 | 1.00 | 3 |",
        "| until ready, ms | reroll | 19.00 | 17.00 … 21.00 | 21.00 | 0.95 | 0.70 | 3 |",
    ] {
        assert!(tables.contains(row), "{tables}");
    }
    let read = Report::parse(&report.json()).unwrap();
    assert_eq!(read.tables(), tables);
}

#[test]
fn everybody_goes_first_as_often_as_others() {
    let order = |all: &[u8], repeat| turns(all, repeat).copied().collect::<Vec<_>>();
    assert_eq!(order(&[1, 2], 0), [1, 2]);
    assert_eq!(order(&[1, 2], 1), [2, 1]);
    assert_eq!(order(&[1, 2], 2), [1, 2]);
    assert_eq!(order(&[1, 2, 3], 1), [2, 3, 1]);
    assert_eq!(order(&[1, 2, 3], 5), [3, 1, 2]);
    assert_eq!(order(&[], 1), [0; 0]);
}

#[test]
fn nothing_is_a_multiple_of_zero() {
    let mut report = Report::default();
    run(&mut report, "start", "floor", &[0.0]);
    run(&mut report, "start", "reroll", &[30.0]);
    assert!(rows(&report).iter().all(|row| row["ratio"].is_null()));
}

#[test]
fn what_was_measured_again_replaces_the_whole_scenario_and_no_other() {
    let mut old = Report::default();
    run(&mut old, "start", "floor", &[1.0]);
    run(&mut old, "start", "peer", &[2.0]);
    run(&mut old, "burst", "floor", &[3.0]);
    let mut new = Report::default();
    run(&mut new, "start", "floor", &[4.0]);
    let mut report = Report::parse(&old.json()).unwrap();
    report.replace(new);
    let rows = rows(&report);
    let kept: Vec<_> = rows
        .iter()
        .map(|row| (&row["scenario"], &row["who"], &row["values"]))
        .collect();
    let expected = [
        (json!("burst"), json!("floor"), json!([3.0])),
        (json!("start"), json!("floor"), json!([4.0])),
    ];
    assert_eq!(
        kept,
        expected.each_ref().map(|row| (&row.0, &row.1, &row.2))
    );
}

/// A report with all that there is, from runs.
fn full() -> Report {
    let mut report = Report::default();
    for (who, factor) in [("floor", 1.0), ("reroll", 1.25), ("peer", 9.0)] {
        for run in 0..3 {
            let mut samples = Samples::default();
            for value in 0..20 {
                samples.add(
                    "write to changed template, ms",
                    factor * (20.0 + f64::from(value + run)),
                );
            }
            samples.add("rolled of 200", 200.0);
            samples.add("RSS < when ready, MiB", 12.0 * factor);
            samples.add("peak until ready, MiB", 17.5 * factor);
            for minute in 0..10 {
                let x = f64::from(minute);
                samples.point(
                    "RSS over minutes of churn, MiB",
                    x,
                    factor * (10.0 + x / 8.0),
                );
            }
            report.add("churn", who, samples);
        }
    }
    let mut samples = Samples::default();
    samples.against("no webhook");
    for (who, value) in [
        ("no webhook", 4.0),
        ("allow-only webhook", 4.25),
        ("reroll", 4.5),
    ] {
        samples.of(who, "update of a Secret, ms", value);
    }
    report.add("latency", "floor", samples);
    report
}

#[test]
fn json_that_was_written_is_read_again() {
    let json = full().json();
    // All of its numbers are such as a decimal fraction holds.
    assert!(Report::parse(&json).unwrap().json() == json);
    assert!(json.contains("curves") && json.contains("no webhook"));
}

#[test]
fn plots_show_every_row_once_per_unit() {
    let folder = tempfile::tempdir().unwrap();
    plot::write(&full(), folder.path(), |name| Some(format!("about {name}"))).unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let churn = read("churn.svg");
    let texts: Vec<&str> = churn.lines().map(str::trim).collect();
    let count = |text: &str| texts.iter().filter(|line| **line == text).count();
    for (text, times) in [
        ("churn: about churn", 1),
        ("write to changed template, ms", 1),
        ("RSS &lt; when ready, MiB", 1),
        ("RSS over minutes of churn, MiB", 1),
        // The axes: of bars, and of the curve.
        ("100 ms", 1),
        ("50 MiB", 1),
        ("MiB", 1),
        // Four rows of bars, and the curve's legend.
        ("peer", 5),
    ] {
        assert_eq!(count(text), times, "{text}: {texts:?}");
    }
    assert!(read("latency.svg").contains("allow-only webhook"));
    let overview = read("overview.svg");
    let lines = [
        "churn: write to changed template",
        "latency: update of a Secret (against no",
    ];
    for line in lines {
        assert!(overview.contains(&format!("\n{line}\n")), "{overview}");
    }
    // A count is no cost.
    assert!(!overview.contains("rolled"), "{overview}");
}
