//! All ratios on one axis: 1 is the contender that others are compared with, left of it is less. The scale is
//! logarithmic, so that twice and half are equally far from 1. Counts and shares are left out, because they say what
//! was done and not how long it took. A time is left out too if another row says what is added to it.

use plotters::{prelude::*, style::text_anchor::HPos};

use super::{AXIS, Area, Colours, Drawn, INK, LINE, draw_axis, text, tick};
use crate::report::{FLOOR, Report};

/// Pixels for what it is.
const LEFT: u32 = 330;
/// Pixels for the numbers, and whose they are.
const RIGHT: u32 = 210;
/// About as many letters of text as fit to the left.
const LETTERS: usize = 46;

/// The ratios of one scenario and what.
pub(super) struct Group {
    what: Vec<String>,
    bars: Vec<Bar>,
}

struct Bar {
    who: String,
    median: f64,
    p99: f64,
}

/// All that have a ratio which a logarithm can show.
pub(super) fn groups(report: &Report) -> Vec<Group> {
    let mut groups = Vec::new();
    for (name, measured) in report.scenarios() {
        for (what, all) in &measured.values {
            let Some((cost, unit)) = what.rsplit_once(", ") else {
                continue;
            };
            if unit == "%" || measured.values.contains_key(&format!("added to {what}")) {
                continue;
            }
            let against = match measured.against.as_str() {
                FLOOR => String::new(),
                other => format!(" (against {other})"),
            };
            let others = all.keys().filter(|who| **who != measured.against);
            let bars: Vec<_> = others
                .filter_map(|who| {
                    let ratio = |share| {
                        measured
                            .ratio(what, who, share)
                            .filter(|ratio| *ratio > 0.0)
                    };
                    Some(Bar {
                        who: who.clone(),
                        median: ratio(0.5)?,
                        p99: ratio(0.99)?,
                    })
                })
                .collect();
            if !bars.is_empty() {
                let what = wrapped(&format!("{name}: {cost}{against}"));
                groups.push(Group { what, bars });
            }
        }
    }
    groups
}

impl Group {
    fn lines(&self) -> usize {
        self.what.len().max(self.bars.len())
    }
}

pub(super) fn height(groups: &[Group]) -> u32 {
    let lines: usize = groups.iter().map(Group::lines).sum();
    u32::try_from(lines).unwrap_or(u32::MAX) * LINE + AXIS
}

pub(super) fn draw(area: &Area, groups: &[Group], colours: &Colours) -> Drawn {
    let bars = groups.iter().flat_map(|group| &group.bars);
    let ratios = || bars.clone().flat_map(|bar| [bar.median, bar.p99]);
    let least = ratios().fold(1.0, f64::min).log2().floor().min(-1.0);
    let most = ratios().fold(1.0, f64::max).log2().ceil().max(1.0);
    let count = f64::from(u32::try_from(
        groups.iter().map(Group::lines).sum::<usize>(),
    )?);
    // Whole powers only: a label for each.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few dozen"
    )]
    let powers = (most - least) as usize + 1;
    let mut chart = ChartBuilder::on(area)
        .set_label_area_size(LabelAreaPosition::Left, LEFT)
        .set_label_area_size(LabelAreaPosition::Bottom, AXIS - 20)
        .margin_right(RIGHT)
        .build_cartesian_2d(least..most, 0.0..count)?;
    let label = |power: &f64| format!("× {}", tick(power.exp2()));
    draw_axis(&mut chart, powers, &label)?;
    let plot = chart.plotting_area();
    let beside = i32::try_from(area.dim_in_pixel().0 - LEFT - RIGHT)? + 10;
    let write = |middle: f64, x: i32, what: &str| {
        let text = Text::new(what.to_owned(), (x, 0), text(12, HPos::Left));
        plot.draw(&(EmptyElement::at((least, middle)) + text))
    };
    let mut top = count;
    for group in groups {
        let mut middle = top - 0.5;
        for line in &group.what {
            write(middle, 16 - i32::try_from(LEFT)?, line)?;
            middle -= 1.0;
        }
        middle = top - 0.5;
        for bar in &group.bars {
            let corners = [(0.0, middle - 0.32), (bar.median.log2(), middle + 0.32)];
            plot.draw(&Rectangle::new(corners, colours.of(&bar.who).filled()))?;
            let at = (bar.p99.log2(), middle);
            plot.draw(&Circle::new(at, 4, WHITE.filled()))?;
            plot.draw(&Circle::new(at, 4, INK.stroke_width(2)))?;
            let value = format!("{:.2}, {:.2} {}", bar.median, bar.p99, bar.who);
            write(middle, beside, &value)?;
            middle -= 1.0;
        }
        top -= f64::from(u32::try_from(group.lines())?);
    }
    let one = [(0.0, 0.0), (0.0, count)];
    plot.draw(&PathElement::new(one, INK.stroke_width(2)))?;
    Ok(())
}

/// Lines of so many letters, broken between words.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < LETTERS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
