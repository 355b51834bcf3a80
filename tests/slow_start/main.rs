//! What slow start promises, by the brakes of the product in a simulation: see docs/brakes.md.
//!
//! Each figure is at most 1.3 times what the table of the design says.

mod simulation;
mod table;

#[test]
fn every_figure_is_within_its_bound() {
    let rows = table::rows();
    let bad: Vec<_> = rows
        .iter()
        .filter(|row| row.is_beyond())
        .map(ToString::to_string)
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
