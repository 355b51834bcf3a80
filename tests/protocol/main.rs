//! The small cases of the protocol, completely: what users do, what watches bring and when, what the webhook answers, what
//! the leader decides and sends, and when that arrives, in every order.
//!
//! What reroll does is done by the product itself: its index, `decide`, the stamps, the patches, and the webhook's `Write`.
//! What must hold is judged by what the pods started with, and shares no code with it ([`oracle`]). [`stateright`] explores
//! each [`Protocol`] and finds the shortest way to what must not be.
//!
//! There is one Deployment of one replica, with two templates, and a Secret and a ConfigMap with two values each. Their
//! watches are late independently of each other. Each part below has as many operations as fit into some seconds.
//!
//! The exceptions are narrow and named where they are made. `docs/limits.md` has them, but for what is marked as known:
//! - *adopted*: what pods had when a user opted in is adopted as it is;
//! - *adopted late*: a change between the opt-in and the adoption, without the webhook, where the leader loses its memory
//!   or (known) its watch of sources is ahead of that of workloads;
//! - *undone behind the webhook*: a user takes the mark back while the webhook is away, or (known) `observed` alone while a
//!   patch is under way: one restart more;
//! - *waiting*: while a required source is absent nothing is recorded, and what changed is pending.
//!
//! What is not here: pods that outlive their Deployment, runs, Argo Rollouts, folds, digest keys, other installations, a
//! restored etcd, suspended and refused workloads, content that decides, optional sources. Nor is what reroll finds out from
//! the workload's revisions after `observed` was removed while all of reroll was away.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a failed step fails the test"
)]

mod admission;
mod api;
mod begin;
mod intern;
mod leader;
mod learn;
mod model;
mod oracle;
mod parts;
mod plan;
mod same;
mod user;
mod view;
mod world;

use std::{fmt::Write as _, time::Instant};

use stateright::{Checker, HasDiscoveries, Model};

use self::model::Protocol;

/// Explores all of a part, says how much that was, and fails with the shortest way to what must not be.
fn check(name: &str, protocol: Protocol) {
    let began = Instant::now();
    let checker = protocol
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    eprintln!(
        "{name}: {} states, {} steps, depth {}, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64(),
    );
    let mut failures = String::new();
    for (property, path) in checker.discoveries() {
        let failure = checker.model().property(property).expectation;
        if failure.discovery_is_failure() {
            let _ = writeln!(failures, "{name}: not so: {property}");
            let states = path.clone().into_states();
            for action in path.into_actions() {
                let _ = writeln!(failures, "  {action:?}");
            }
            let _ = writeln!(failures, "{:?}", states.last().unwrap());
        }
    }
    assert!(failures.is_empty(), "{failures}");
    checker.assert_properties();
}
