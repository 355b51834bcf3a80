//! A report in Markdown.

use std::fmt::Write as _;

use super::{Measured, Report, percentile};

impl Report {
    /// Tables of all scenarios, in Markdown.
    pub fn tables(&self) -> String {
        self.scenarios()
            .fold(String::new(), |mut text, (name, measured)| {
                let _ = writeln!(text, "### {name}\n\n{}", measured.table());
                text
            })
    }
}

impl Measured {
    fn table(&self) -> String {
        let mut text = String::new();
        self.write_values(&mut text);
        self.write_curves(&mut text);
        text
    }

    fn write_values(&self, text: &mut String) {
        if !self.values.is_empty() {
            let _ = writeln!(
                text,
                "| what | who | median | 5 % … 95 % | 99 % | × {against} | 99 %: × {against} | runs |\n|---|---|---|---|---|---|---|---|",
                against = self.against
            );
        }
        for (what, all) in &self.values {
            for (who, values) in all {
                let at = |share| percentile(values, share);
                let ratio = |share| {
                    let ratio = self.ratio(what, who, share);
                    ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
                };
                let _ = writeln!(
                    text,
                    "| {what} | {who} | {:.2} | {:.2} … {:.2} | {:.2} | {} | {} | {} |",
                    at(0.5),
                    at(0.05),
                    at(0.95),
                    at(0.99),
                    ratio(0.5),
                    ratio(0.99),
                    values.len(),
                );
            }
        }
    }

    /// A line for each run.
    fn write_curves(&self, text: &mut String) {
        if !self.curves.is_empty() {
            text.push_str("\n| what | who | first | last | highest |\n|---|---|---|---|---|\n");
        }
        for (what, all) in &self.curves {
            let runs = all
                .iter()
                .flat_map(|(who, runs)| runs.iter().map(move |run| (who, run)));
            for (who, curve) in runs {
                let (Some(first), Some(last)) = (curve.first(), curve.last()) else {
                    continue;
                };
                let highest = curve.iter().map(|point| point.1).fold(f64::MIN, f64::max);
                let _ = writeln!(
                    text,
                    "| {what} | {who} | {:.2} at {:.1} | {:.2} at {:.1} | {highest:.2} |",
                    first.1, first.0, last.1, last.0
                );
            }
        }
    }
}
