//! A curve of each contender, as many as it ran.

use std::collections::BTreeMap;

use plotters::{prelude::*, style::text_anchor::HPos};

use super::{Area, Colours, Drawn, FAINT, INK, text, tick};
use crate::report::{Curve, unit};

pub(super) fn draw(
    area: &Area,
    what: &str,
    of_all: &BTreeMap<String, Vec<Curve>>,
    colours: &Colours,
) -> Drawn {
    let points = || of_all.values().flatten().flatten();
    let first = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let last = points()
        .map(|point| point.0)
        .fold(first + f64::EPSILON, f64::max);
    let most = points().map(|point| point.1).fold(0.0, f64::max);
    let most = if most > 0.0 { most * 1.1 } else { 1.0 };
    area.draw(&Text::new(what.to_owned(), (16, 10), text(13, HPos::Left)))?;
    let mut chart = ChartBuilder::on(area)
        .margin(24)
        .margin_bottom(8)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d(first..last, 0.0..most)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT)
        .axis_style(FAINT)
        .x_labels(10)
        .y_labels(8)
        .x_label_formatter(&|value| tick(*value))
        .y_label_formatter(&|value| tick(*value))
        .label_style(text(12, HPos::Left))
        .y_desc(unit(what))
        .draw()?;
    for (who, runs) in of_all {
        let colour = colours.of(who);
        for (run, curve) in runs.iter().enumerate() {
            let line = chart.draw_series(LineSeries::new(
                curve.iter().copied(),
                colour.stroke_width(2),
            ))?;
            if run == 0 {
                line.label(who).legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3))
                });
            }
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(FAINT)
        .label_font(("sans-serif", 16).into_font().color(&INK))
        .draw()?;
    Ok(())
}
