//! The parts that are explored: which operations and faults, and how many of them.

use crate::{
    check,
    leader::Fault,
    model::Protocol,
    user::{Operation, OptIn},
    world::{Source, Template},
};

#[test]
fn templates() {
    check(
        "templates",
        Protocol {
            operations: vec![
                Operation::Update(Source::B),
                Operation::Apply(Template::One),
                Operation::Undo,
            ],
            most: 3,
            faults: vec![Fault::Crash],
            most_faults: 1,
            ..Protocol::default()
        },
    );
}

#[test]
fn opt_ins() {
    check(
        "opt-ins",
        Protocol {
            operations: vec![
                Operation::Update(Source::B),
                Operation::Apply(Template::Both),
                Operation::OptIn(OptIn::Auto),
                Operation::Both(Template::One, OptIn::OnlyA),
            ],
            most: 4,
            ..Protocol::default()
        },
    );
}

#[test]
fn sources() {
    check(
        "sources",
        Protocol {
            operations: vec![
                Operation::Update(Source::A),
                Operation::Update(Source::B),
                Operation::Delete(Source::A),
                Operation::Make(Source::A, 0),
            ],
            most: 2,
            faults: vec![Fault::Crash],
            most_faults: 1,
            ..Protocol::default()
        },
    );
}

#[test]
fn replicas() {
    check(
        "replicas",
        Protocol {
            replicas: 2,
            operations: vec![Operation::Update(Source::A), Operation::Make(Source::A, 0)],
            most: 1,
            faults: vec![Fault::Crash, Fault::Move, Fault::NoAnswer],
            most_faults: 2,
            ..Protocol::default()
        },
    );
}

#[test]
fn without_webhook() {
    check(
        "without webhook",
        Protocol {
            operations: vec![
                Operation::Update(Source::B),
                Operation::Apply(Template::One),
                Operation::Apply(Template::Both),
                Operation::Undo,
                Operation::Replace(Template::Both),
            ],
            most: 2,
            webhook: false,
            ..Protocol::default()
        },
    );
}

#[test]
fn webhook_away() {
    check(
        "webhook away",
        Protocol {
            operations: vec![
                Operation::Update(Source::B),
                Operation::Apply(Template::One),
                Operation::Undo,
            ],
            most: 3,
            faults: vec![Fault::Webhook],
            most_faults: 1,
            ..Protocol::default()
        },
    );
}

#[test]
fn off_and_on() {
    check(
        "off and on",
        Protocol {
            operations: vec![
                Operation::Update(Source::B),
                Operation::OptIn(OptIn::Off),
                Operation::OptIn(OptIn::Auto),
            ],
            most: 3,
            faults: vec![Fault::Crash, Fault::Webhook],
            most_faults: 1,
            ..Protocol::default()
        },
    );
}

#[test]
fn formers() {
    check(
        "formers",
        Protocol {
            operations: vec![
                Operation::Make(Source::B, 0),
                Operation::Delete(Source::B),
                Operation::Apply(Template::One),
                Operation::Apply(Template::Both),
            ],
            most: 3,
            ..Protocol::default()
        },
    );
}

#[test]
fn standby_answers() {
    check(
        "standby answers",
        Protocol {
            replicas: 2,
            operations: vec![
                Operation::Update(Source::B),
                Operation::Apply(Template::One),
            ],
            most: 2,
            faults: vec![Fault::Move],
            most_faults: 1,
            ..Protocol::default()
        },
    );
}

#[test]
fn controller_lags() {
    check(
        "controller lags",
        Protocol {
            operations: vec![
                Operation::Update(Source::B),
                Operation::Apply(Template::One),
                Operation::Apply(Template::Both),
            ],
            most: 3,
            seen_at_once: false,
            ..Protocol::default()
        },
    );
}
