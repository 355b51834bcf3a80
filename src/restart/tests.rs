mod catch_up;
mod change_cause;
mod cron_job;
mod failing;
mod numbers;
mod once;
mod others;
mod refused;
mod who;

use super::testing::{LONG, cron_job, settle, start};
use crate::{
    cluster::testing::{DEADLINE, Gate, Turn},
    judge::testing::*,
    model::annotation::{OBSERVED, RESTARTED_FOR, SUSPEND},
};

const PATCH: &str = "PATCH deployments/";

/// A Deployment whose Secret has changed since it was adopted.
fn changed(stage: &Stage, name: &str) -> crate::model::WorkloadKey {
    stage.secret("s", "A", "x");
    let key = stage.adopted(deployment(name, &["s"]));
    stage.secret("s", "A", "y");
    key
}
