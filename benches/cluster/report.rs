//! What was measured: medians and spreads, and how many times the floor.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use crate::{contender::Contender, scenarios::Scenario};

/// What one run of a scenario gave: values by what they are, in the unit that the name says.
#[derive(Clone, Debug, Default)]
pub struct Samples(BTreeMap<&'static str, Vec<f64>>);

impl Samples {
    /// One more value.
    pub fn add(&mut self, what: &'static str, value: f64) {
        self.0.entry(what).or_default().push(value);
    }
}

/// Values by scenario, by what they are, and by contender.
#[derive(Default)]
pub struct Report(BTreeMap<(String, &'static str), BTreeMap<String, Vec<f64>>>);

impl Report {
    /// Takes in one run.
    pub fn add(&mut self, scenario: Scenario, contender: &Contender, samples: Samples) {
        for (what, values) in samples.0 {
            let of_all = self.0.entry((scenario.to_string(), what)).or_default();
            of_all
                .entry(contender.to_string())
                .or_default()
                .extend(values);
        }
    }

    /// A table of one scenario, in Markdown.
    pub fn table(&self, scenario: Scenario) -> String {
        let name = scenario.to_string();
        let mut text = format!(
            "\n{name}\n\n| what | who | median | 5 % … 95 % | 99 % | × floor | runs |\n|---|---|---|---|---|---|---|\n"
        );
        for ((_, what), of_all) in self.0.iter().filter(|((of, _), _)| *of == name) {
            for (who, values) in of_all {
                let ratio = self.ratio(&name, what, values);
                let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
                let at = |share| percentile(values, share);
                let _ = writeln!(
                    text,
                    "| {what} | {who} | {:.2} | {:.2} … {:.2} | {:.2} | {ratio} | {} |",
                    at(0.5),
                    at(0.05),
                    at(0.95),
                    at(0.99),
                    values.len(),
                );
            }
        }
        text
    }

    /// Everything.
    pub fn json(&self) -> String {
        let all: Vec<Value> = self
            .0
            .iter()
            .flat_map(|((scenario, what), of_all)| {
                of_all.iter().map(move |(who, values)| {
                    json!({
                        "scenario": scenario, "what": what, "who": who, "values": values,
                        "median": percentile(values, 0.5), "p99": percentile(values, 0.99),
                        "timesFloor": self.ratio(scenario, what, values),
                    })
                })
            })
            .collect();
        serde_json::to_string_pretty(&all).unwrap()
    }

    fn ratio(&self, scenario: &str, what: &'static str, values: &[f64]) -> Option<f64> {
        let floor = self.0.get(&(scenario.to_owned(), what))?.get("floor")?;
        Some(percentile(values, 0.5) / percentile(floor, 0.5))
    }
}

/// The value below which this share of all is; the nearest one that was measured.
fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a few thousand values"
    )]
    let rank = (share * (sorted.len() as f64 - 1.0)).round() as usize;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}
