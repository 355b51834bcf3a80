//! reroll's own binary against a real API server with the real controllers.
//!
//! One cluster serves all tests of this program; each test has namespaces and a reroll of its own. An independent watch
//! of `.spec.template` counts restarts ([`reroll_harness::Recorder`]), exactly. It counts only after a sentinel that
//! was changed later has rolled, so that a test for 0 cannot pass on a dead process.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test program: nobody else uses it, and a failed step fails the test"
)]

mod absent;
mod adopting;
mod alerts;
mod argo;
mod batch;
mod blind;
mod bounds;
mod canary;
mod certificates;
mod change_cause;
mod cli;
mod clock;
mod counting;
mod crash;
mod create;
mod csi;
mod defects;
mod digest_key;
mod downtime;
mod drain;
mod ends;
mod examples;
mod formats;
mod formers;
mod gitops;
mod gone;
mod groups;
mod helm;
mod hostile;
mod immutable;
mod installations;
mod keys;
mod kinds;
mod limits;
mod listed;
mod loads;
mod lost;
mod memory;
mod neighbours;
mod not_adopted;
mod not_there;
mod numbers;
mod ops;
mod opting;
mod orphan;
mod paused;
mod pods;
mod ports;
mod present;
mod prompt;
mod property;
mod recreate;
mod recreators;
mod references;
mod refused;
mod registration;
mod reloader;
mod reloader_settings;
mod reloader_table;
mod replicas;
mod restarts_itself;
mod rows;
mod selectors;
mod skipped;
mod slow_start;
mod slow_start_rewritten;
mod stalls;
mod storms;
mod suspend;
mod tamper;
mod timing;
mod together;
mod undo;
mod unpersisted;
mod unused;
mod updates;
mod volumes;
mod who;
