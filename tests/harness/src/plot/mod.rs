//! Draws a report as pictures, for the README and the documentation: one of each scenario, and one of all ratios.
//!
//! Units are never mixed on one axis, and a contender has the same colour everywhere. Text stays text, so that nothing
//! here needs fonts.

mod bars;
mod curves;
mod overview;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    path::Path,
};

use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::report::{FLOOR, Report, unit};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), Box<dyn Error>>;

/// A README's width.
const WIDTH: u32 = 800;
/// What the title takes.
const TITLE: u32 = 44;
/// One line of text or one bar.
const LINE: u32 = 22;
/// What an axis takes: its numbers, and room below.
const AXIS: u32 = 46;
/// The height of a curve's panel.
const CURVE: u32 = 340;

const INK: RGBColor = RGBColor(36, 41, 47);
const FAINT: RGBColor = RGBColor(222, 226, 230);
const GREY: RGBColor = RGBColor(140, 149, 159);
const REROLL: RGBColor = RGBColor(9, 105, 218);
const PEER: RGBColor = RGBColor(230, 159, 0);
/// For all other contenders, and distinct for people who see few colours too.
const OTHERS: [RGBColor; 5] = [
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 94, 240),
];

/// Who has which colour.
struct Colours(BTreeMap<String, RGBColor>);

impl Colours {
    /// What others are held against is grey.
    fn new(report: &Report) -> Self {
        let mut all = BTreeSet::new();
        let mut held_against = BTreeSet::from([FLOOR]);
        for (_, measured) in report.scenarios() {
            all.extend(measured.values.values().flat_map(BTreeMap::keys));
            all.extend(measured.curves.values().flat_map(BTreeMap::keys));
            held_against.insert(&measured.against);
        }
        let mut others = OTHERS.into_iter().cycle();
        let mut colour = |who: &String| match who.as_str() {
            "reroll" => Some(REROLL),
            "peer" => Some(PEER),
            who if held_against.contains(who) => Some(GREY),
            _ => others.next(),
        };
        Self(
            all.into_iter()
                .filter_map(|who| Some((who.clone(), colour(who)?)))
                .collect(),
        )
    }

    fn of(&self, who: &str) -> RGBColor {
        self.0.get(who).copied().unwrap_or(GREY)
    }
}

/// Writes `overview.svg` and one picture of each scenario; `title` says what a scenario is.
pub fn write(report: &Report, folder: &Path, title: impl Fn(&str) -> Option<String>) -> Drawn {
    std::fs::create_dir_all(folder)?;
    let colours = Colours::new(report);
    for (name, measured) in report.scenarios() {
        let title = title(name).map_or_else(|| name.to_owned(), |title| format!("{name}: {title}"));
        let mut units: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for what in measured.values.keys() {
            units.entry(unit(what)).or_default().push(what);
        }
        let panels: Vec<_> = units
            .into_iter()
            .map(|(unit, whats)| bars::Panel::new(measured, unit, &whats))
            .collect();
        let heights = panels.iter().map(bars::Panel::height);
        let curves = u32::try_from(measured.curves.len())? * CURVE;
        let svg = picture(&title, heights.sum::<u32>() + curves, |mut rest| {
            for panel in &panels {
                let (area, below) = rest.split_vertically(panel.height());
                panel.draw(&area, &colours)?;
                rest = below;
            }
            for (what, of_all) in &measured.curves {
                let (area, below) = rest.split_vertically(CURVE);
                curves::draw(&area, what, of_all, &colours)?;
                rest = below;
            }
            Ok(())
        })?;
        std::fs::write(folder.join(format!("{name}.svg")), svg)?;
    }
    let groups = overview::groups(report);
    let svg = picture(
        "How many times the floor (bar, first number: median; circle, second: 99th percentile)",
        overview::height(&groups),
        |area| overview::draw(&area, &groups, &colours),
    )?;
    std::fs::write(folder.join("overview.svg"), svg)?;
    Ok(())
}

/// A picture with a title, and below it what `draw` makes of the rest.
fn picture(
    title: &str,
    height: u32,
    draw: impl FnOnce(Area) -> Drawn,
) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root =
            SVGBackend::with_string(&mut svg, (WIDTH, TITLE + height + 8)).into_drawing_area();
        root.fill(&WHITE)?;
        let (top, rest) = root.split_vertically(TITLE);
        // About as many letters as fit at each size.
        let size = if title.chars().count() > 86 { 13 } else { 17 };
        top.draw(&Text::new(
            title.to_owned(),
            (16, 24),
            text(size, HPos::Left),
        ))?;
        draw(rest)?;
        root.present()?;
    }
    Ok(svg)
}

/// The axis below bars, with about so many labels, and a faint line up from each.
fn draw_axis(chart: &mut Chart, labels: usize, label: &dyn Fn(&f64) -> String) -> Drawn {
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT)
        .axis_style(FAINT)
        .x_labels(labels)
        .x_label_formatter(&label)
        .x_label_style(text(12, HPos::Center))
        .draw()?;
    Ok(())
}

/// Text of this height in pixels; the backend makes it smaller than it is told.
fn text(pixels: u32, at: HPos) -> TextStyle<'static> {
    let font = ("sans-serif", f64::from(pixels) * 1.24).into_font();
    font.color(&INK).pos(Pos::new(at, VPos::Center))
}

/// As many digits as one reads.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A number of an axis: these are round.
fn tick(value: f64) -> String {
    format!("{}", (value * 1000.0).round() / 1000.0)
}
