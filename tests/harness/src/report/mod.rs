//! A report of what was measured: medians, spreads and curves, and ratios to the contender that others are compared
//! with.
//!
//! A report outlives its run as JSON and is read again, so scenarios that were measured at different times make one
//! report. It knows scenarios and contenders only by name, so it needs no cluster.

mod samples;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::samples::Samples;

/// What ratios are taken against where a scenario says nothing else.
pub const FLOOR: &str = "floor";

/// Points of one run.
pub type Curve = Vec<(f64, f64)>;

/// One scenario: values and curves by what they are and by whom.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The contender that ratios compare with.
    pub against: String,
    /// Of all runs together.
    pub values: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
    /// One for each run.
    pub curves: BTreeMap<String, BTreeMap<String, Vec<Curve>>>,
}

impl Default for Measured {
    fn default() -> Self {
        Self {
            against: FLOOR.to_owned(),
            values: BTreeMap::new(),
            curves: BTreeMap::new(),
        }
    }
}

impl Measured {
    /// Returns how many times as long, large or many this is as what it is compared with, at this share of all values.
    pub fn ratio(&self, what: &str, who: &str, share: f64) -> Option<f64> {
        let all = self.values.get(what)?;
        let ratio = percentile(all.get(who)?, share) / percentile(all.get(&self.against)?, share);
        ratio.is_finite().then_some(ratio)
    }
}

/// Scenarios by name.
#[derive(Clone, Debug, Default)]
pub struct Report(BTreeMap<String, Measured>);

/// What the JSON holds of one scenario, what and who: values, or curves.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Row {
    scenario: String,
    what: String,
    who: String,
    against: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    curves: Vec<Curve>,
    median: Option<f64>,
    p5: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    /// Of the medians, to whom it is held against.
    ratio: Option<f64>,
    p99_ratio: Option<f64>,
}

impl Report {
    /// Takes in one run.
    pub fn add(&mut self, scenario: &str, contender: &str, samples: Samples) {
        let measured = self.0.entry(scenario.to_owned()).or_default();
        if let Some(against) = samples.against {
            measured.against = against;
        }
        for ((what, who), values) in samples.values {
            let who = who.unwrap_or_else(|| contender.to_owned());
            let all = measured.values.entry(what).or_default();
            all.entry(who).or_default().extend(values);
        }
        for (what, curve) in samples.curves {
            let all = measured.curves.entry(what).or_default();
            all.entry(contender.to_owned()).or_default().push(curve);
        }
    }

    /// Takes in another report: what it has of a scenario replaces what is here.
    pub fn replace(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The scenarios, in the order of their names.
    pub fn scenarios(&self) -> impl Iterator<Item = (&str, &Measured)> {
        self.0
            .iter()
            .map(|(name, measured)| (name.as_str(), measured))
    }

    /// Everything.
    pub fn json(&self) -> String {
        let mut rows = Vec::new();
        for (scenario, measured) in self.scenarios() {
            let row = |what: &String, who: &String| Row {
                scenario: scenario.to_owned(),
                what: what.clone(),
                who: who.clone(),
                against: Some(measured.against.clone()),
                ..Row::default()
            };
            for (what, all) in &measured.values {
                rows.extend(all.iter().map(|(who, values)| Row {
                    values: values.clone(),
                    median: Some(percentile(values, 0.5)),
                    p5: Some(percentile(values, 0.05)),
                    p95: Some(percentile(values, 0.95)),
                    p99: Some(percentile(values, 0.99)),
                    ratio: measured.ratio(what, who, 0.5),
                    p99_ratio: measured.ratio(what, who, 0.99),
                    ..row(what, who)
                }));
            }
            for (what, all) in &measured.curves {
                rows.extend(all.iter().map(|(who, curves)| Row {
                    curves: curves.clone(),
                    ..row(what, who)
                }));
            }
        }
        serde_json::to_string_pretty(&rows).expect("names and numbers can be written")
    }

    /// Reads what [`Self::json`] wrote.
    pub fn parse(json: &str) -> serde_json::Result<Self> {
        let mut report = Self::default();
        for row in serde_json::from_str::<Vec<Row>>(json)? {
            let measured = report.0.entry(row.scenario).or_default();
            if let Some(against) = row.against {
                measured.against = against;
            }
            if !row.values.is_empty() {
                let all = measured.values.entry(row.what.clone()).or_default();
                all.insert(row.who.clone(), row.values);
            }
            if !row.curves.is_empty() {
                let all = measured.curves.entry(row.what).or_default();
                all.insert(row.who, row.curves);
            }
        }
        Ok(report)
    }
}

/// Returns the value below which this share of all is; the nearest one that was measured.
pub fn percentile(values: &[f64], share: f64) -> f64 {
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

/// The unit that a name ends with; none for a count.
pub fn unit(what: &str) -> &str {
    what.rsplit_once(',').map_or("", |(_, unit)| unit.trim())
}
