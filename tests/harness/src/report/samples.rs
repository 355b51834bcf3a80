//! What a scenario hands over of each run.

use std::collections::BTreeMap;

use super::Curve;

/// What one run of a scenario gave: values and points, each by a name that ends with the unit, as in `until ready, ms`.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    pub(super) against: Option<String>,
    /// By name and contender; no contender means the one that ran.
    pub(super) values: BTreeMap<(String, Option<String>), Vec<f64>>,
    pub(super) curves: BTreeMap<String, Curve>,
}

impl Samples {
    /// Adds a value of the contender that ran. Leaves out what could not be measured, such as a process that is gone.
    pub fn add(&mut self, what: &str, value: f64) {
        self.insert(None, what, value);
    }

    /// Adds a value of another contender, for a scenario that compares what contenders do not tell apart.
    pub fn of(&mut self, who: &str, what: &str, value: f64) {
        self.insert(Some(who.to_owned()), what, value);
    }

    /// The next point of a curve; `what` names both axes, as in `RSS over minutes of churn, MiB`.
    pub fn point(&mut self, what: &str, x: f64, y: f64) {
        if x.is_finite() && y.is_finite() {
            self.curves.entry(what.to_owned()).or_default().push((x, y));
        }
    }

    /// Makes the ratios of this scenario compare with this one, not with the floor.
    pub fn against(&mut self, who: &str) {
        self.against = Some(who.to_owned());
    }

    fn insert(&mut self, who: Option<String>, what: &str, value: f64) {
        if value.is_finite() {
            let values = self.values.entry((what.to_owned(), who)).or_default();
            values.push(value);
        }
    }
}
