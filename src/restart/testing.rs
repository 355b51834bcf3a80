//! Restarter, Jobs and Housekeeper at work over a stage, for tests.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Restarter, housekeeper::Housekeeper, job::Jobs, moment::Probe};
use crate::{
    cluster::own::stored_jobs::Store,
    judge::{
        others,
        testing::{Stage, annotate, metadata, template},
    },
    model::annotation::{ON_CHANGE, RESTART_ON},
    ops::health::Liveness,
};

/// Reroll's own namespace.
pub(super) const OWN: &str = "reroll";
/// So long that all that goes on by itself has ended, or goes on for ever.
pub(super) const LONG: Duration = Duration::from_mins(5);

/// What was started.
pub(super) struct AtWork {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts what restarts and what writes, with so many restarts at the same time.
pub(super) fn start(stage: &Stage, concurrency: usize) -> AtWork {
    begin(stage, concurrency, None)
}

/// Starts what re-creates Jobs, too.
pub(super) fn start_with_jobs(stage: &Stage) -> (AtWork, Arc<Jobs>) {
    let store = Store::new(stage.live.cluster.clone(), OWN);
    let jobs = Jobs::new(stage.live.clone(), stage.leadership.clone(), store, probe());
    let jobs = Arc::new(jobs);
    let mut work = begin(stage, 2, Some(Arc::clone(&jobs)));
    let runs = Arc::clone(&jobs).run(work.stop.clone());
    work.tasks.push(tokio::spawn(runs));
    (work, jobs)
}

fn begin(stage: &Stage, concurrency: usize, jobs: Option<Arc<Jobs>>) -> AtWork {
    let (live, leadership) = (&stage.live, &stage.leadership);
    let heartbeat = Liveness::new().heartbeat("restarts", Duration::from_mins(1));
    let restarter = Restarter::new(
        live.clone(),
        leadership.clone(),
        jobs,
        concurrency,
        heartbeat,
        probe(),
    );
    let restarter = Arc::new(restarter);
    let housekeeper = Housekeeper::new(live.clone(), leadership.clone(), Arc::clone(&restarter));
    let stop = CancellationToken::new();
    let tasks = vec![
        tokio::spawn(restarter.run(stop.clone())),
        tokio::spawn(housekeeper.run(stop.clone())),
        tokio::spawn(others::follow(Arc::clone(&live.judge), stop.clone())),
    ];
    AtWork { stop, tasks }
}

fn probe() -> Probe {
    Arc::new(|_| {})
}

impl AtWork {
    /// Ends as the process does: what is under way comes to its end.
    pub(super) async fn end(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }

    /// Ends in the middle of whatever it is at.
    pub(super) async fn crash(self) {
        for task in self.tasks {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
    }
}

/// Lets everything go on until nothing more comes of it.
pub(super) async fn settle() {
    sleep(LONG).await;
}

/// A CronJob that runs for a change.
pub(super) fn cron_job(name: &str, policy: &str) -> Value {
    let object = json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": metadata(name, RESTART_ON, "auto"),
        "spec": {
            "schedule": "0 0 1 1 *", "concurrencyPolicy": policy,
            "jobTemplate": { "spec": { "template": template(name, &["s"]) } },
        },
    });
    annotate(object, ON_CHANGE, "run-now")
}

/// A Job that is made again for a change.
pub(super) fn job(name: &str) -> Value {
    let object = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": metadata(name, RESTART_ON, "auto"),
        "spec": { "template": template(name, &["s"]) },
    });
    annotate(object, ON_CHANGE, "recreate")
}
