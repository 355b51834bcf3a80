//! Values of one unit: a bar to the median of each contender, and a line over what lies between 5 and 95 %.

use plotters::{prelude::*, style::text_anchor::HPos};

use super::{AXIS, Area, Colours, Drawn, INK, LINE, draw_axis, number, text, tick};
use crate::report::{Measured, percentile};

/// Pixels to the left of the axis, for who it is.
const LEFT: u32 = 150;
/// Pixels to the right of the axis, for the numbers.
const RIGHT: u32 = 170;

/// What shares an axis.
pub(super) struct Panel {
    unit: String,
    lines: Vec<Line>,
}

enum Line {
    What(String),
    Bar(Bar),
}

struct Bar {
    who: String,
    low: f64,
    median: f64,
    high: f64,
    ratio: Option<f64>,
}

impl Panel {
    /// The values of a scenario that have this unit; what the others are held against comes first.
    pub(super) fn new(measured: &Measured, unit: &str, whats: &[&str]) -> Self {
        let mut lines = Vec::new();
        for what in whats {
            lines.push(Line::What((*what).to_owned()));
            let mut whos: Vec<_> = measured.values[*what].iter().collect();
            whos.sort_by_key(|(who, _)| **who != measured.against);
            lines.extend(whos.into_iter().map(|(who, values)| {
                Line::Bar(Bar {
                    who: who.clone(),
                    low: percentile(values, 0.05),
                    median: percentile(values, 0.5),
                    high: percentile(values, 0.95),
                    ratio: measured
                        .ratio(what, who, 0.5)
                        .filter(|_| *who != measured.against),
                })
            }));
        }
        Self {
            unit: unit.to_owned(),
            lines,
        }
    }

    pub(super) fn height(&self) -> u32 {
        u32::try_from(self.lines.len()).unwrap_or(u32::MAX) * LINE + AXIS
    }

    pub(super) fn draw(&self, area: &Area, colours: &Colours) -> Drawn {
        let bars = self.lines.iter().filter_map(|line| match line {
            Line::Bar(bar) => Some(bar.high.max(bar.median)),
            Line::What(_) => None,
        });
        let most = bars.fold(0.0, f64::max);
        let most = if most > 0.0 { most * 1.02 } else { 1.0 };
        let count = i32::try_from(self.lines.len())?;
        let mut chart = ChartBuilder::on(area)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, AXIS - 20)
            .margin_right(RIGHT)
            .build_cartesian_2d(0.0..most, 0.0..f64::from(count))?;
        let label = |value: &f64| format!("{} {}", tick(*value), self.unit);
        draw_axis(&mut chart, 7, &label)?;
        let plot = chart.plotting_area();
        let (mut y, width) = (f64::from(count), i32::try_from(area.dim_in_pixel().0)?);
        for line in &self.lines {
            let middle = y - 0.5;
            let write = |what: String, at: (i32, i32), side: HPos| {
                let text = Text::new(what, at, text(13, side));
                plot.draw(&(EmptyElement::at((0.0, middle)) + text))
            };
            match line {
                Line::What(what) => {
                    write(what.clone(), (16 - i32::try_from(LEFT)?, 2), HPos::Left)?;
                }
                Line::Bar(bar) => {
                    let colour = colours.of(&bar.who);
                    let corners = [(0.0, middle - 0.36), (bar.median, middle + 0.36)];
                    plot.draw(&Rectangle::new(corners, colour.filled()))?;
                    let spread = [(bar.low, middle), (bar.high, middle)];
                    plot.draw(&PathElement::new(spread, INK.stroke_width(2)))?;
                    write(bar.who.clone(), (-8, 0), HPos::Right)?;
                    let ratio = bar
                        .ratio
                        .map_or_else(String::new, |ratio| format!("   × {ratio:.2}"));
                    let value = format!("{} {}{ratio}", number(bar.median), self.unit);
                    let at = (width - i32::try_from(LEFT + RIGHT)? + 10, 0);
                    write(value, at, HPos::Left)?;
                }
            }
            y -= 1.0;
        }
        Ok(())
    }
}
