//! reroll rolls a Kubernetes workload when a Secret or ConfigMap that it uses changes, or is deleted and recreated. It
//! does so exactly once for each change, and for nothing else, whatever crashes, races or was down meanwhile.
//!
//! This page is the map. The program is a thin `main.rs` over this library. The library exists for that program and for
//! its tests.
//!
//! # Layers
//!
//! Each layer uses only the layers below it. Layers in the same braces do not use each other. `main.rs` uses all of
//! them. `tests/layers` reads this list and checks every path in the code against it.
//!
//! ```text
//! run                         wires all of it, each review on a thread that is not the controller's
//! config                      flags and environment, made into each room's own settings
//! {webhook, watch, restart}   what asks reroll; what the API server shows; what is due, done
//! judge                       decisions, and one docket of what is to be done
//! ops                         metrics, health, Events, alerts, logs, and who tells people
//! cli                         what people ask, answered by reads with their own rights
//! {cluster, state}            the door to the API server; the setup and the index
//! {build, chance, clock, model}
//!                             what program this is; random bytes; the time of day; what is pure: references, versions, observed, decide, stamp, patch, index
//! ```
//!
//! # How they meet
//!
//! ```text
//!                       kube-apiserver
//!    reviews │       watches │          ▲ patches
//!            ▼               ▼          │
//!      ┌─────────┐       ┌───────┐  ┌─────────┐
//!      │ webhook │       │ watch │  │ restart │      ──► cluster: one deadline, one vocabulary of failures
//!      └────┬────┘       └───┬───┘  └────▲────┘
//!           │ claims         │ tells     │ takes
//!           │            ┌───▼───────────┴───┐
//!           │            │       judge       │      ──► ops: told as Event, alert and log line, and counted
//!           │            └─────────┬─────────┘
//!           └─────► state ◄────────┘                  the shared index, behind a lock that is never held across an await
//!                     │
//!                  ┌──▼──┐
//!                  │model│
//!                  └─────┘
//! ```
//!
//! | type | owns |
//! |---|---|
//! | [`cluster::Cluster`] | the client, the deadline of a call, which kinds are served |
//! | [`state::State`] | the [`state::Setup`], which never changes, and the index |
//! | [`model::peer::Peers`] | who works in which namespace, where another installation does; behind a lock of [`state::State`] |
//! | [`judge::Judge`] | the [`judge::docket::Docket`]: intents, what is held, what is to be written |
//! | [`judge::live::Live`] | nothing: it asks the API server and tells the judge |
//! | [`restart::Restarter`], [`restart::job::Jobs`], [`restart::housekeeper::Housekeeper`] | restarts, re-creations and writes under way |
//! | [`watch::Watches`] | which namespaces are selected, and are to be listed by themselves |
//! | [`ops::teller::Teller`] | the queues of Events and alerts, and the metrics |
//!
//! # Where the truth is
//!
//! Nothing that matters lives in memory only. Each opted-in workload has, among its own annotations,
//! `reroll.dev/observed` ([`model::observed`]). It names the versions of the sources that the workload's pods were last
//! started with. A version is the source's uid and a keyed digest of its data ([`model::version`]).
//!
//! [`model::decide()`] compares `observed` with what exists now. The result is one JSON Patch ([`model::patch`]): it
//! tests the old annotation, replaces it and changes the pod template. So one call is both compare-and-swap and commit.
//! Two replicas, a crash before or after the call, or a replayed event still give one restart.
//!
//! # One change, from write to rollout
//!
//! 1. A user deletes Secret `db` and creates it again. The API server asks [`webhook::sources`] about both writes
//!    before it persists them. The webhook remembers the deletion and recognises the recreation by its uid. It tells
//!    the user at the prompt what will restart, and leaves a provisional claim in [`state`].
//! 2. The watch of Secrets ([`watch`]) shows the new Secret. reroll digests it and drops it; [`model::index`] says
//!    which workloads use it. (A source of the Secrets Store CSI driver is put together there from the statuses of
//!    pods, [`model::csi`].) If no watch shows the Secret soon, reroll reads it ([`judge::claims`]).
//! 3. The judge decides for each of these workloads ([`judge::Judge::judge`]): *restart: recreated*. It files an intent
//!    ([`judge::intents`]). The intent waits for the quiet period, so that several changes become one restart.
//! 4. When the intent is due, the judge decides again and the restarter carries it out by one patch ([`restart`]).
//!    Deployments, `StatefulSet`s and `DaemonSet`s then roll by themselves. What cannot roll takes more than a patch:
//!    for a CronJob a run is created first (`restart::cron_job`), and a Job is replaced by another Job
//!    ([`restart::job`]).
//! 5. The webhook for workloads leaves reroll's own patch as it is. In every other write [`webhook::workloads`] keeps
//!    reroll's annotations as reroll wrote them. Where such a write changes the pod template anyway, the webhook
//!    records the versions of that moment, so that the workload is not restarted a second time ([`model::stamp`]). A
//!    new workload may adopt older pods ([`cluster::adoptable`]); then what those pods were started with counts
//!    ([`model::adopted`]).
//! 6. An Event on the workload says what changed ([`ops::teller`]); an alert says it too ([`ops::alerts`]).
//!
//! Every replica does steps 1 to 3 and 5. Only the holder of a Lease ([`cluster::lease`]) does step 4 and writes. After
//! a crash or an upgrade reroll repeats step 3 for every workload ([`judge::Judge::reconcile_start`]). What changed
//! meanwhile gets its one restart; nothing else restarts.
//!
//! # Reading order
//!
//! Read [`model`] first, in the order that its page gives; then [`webhook::workloads`], [`judge`] and [`restart`]; then
//! [`run`].

pub mod build;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod judge;
pub mod model;
pub mod ops;
pub mod restart;
pub mod run;
pub mod state;
pub mod watch;
pub mod webhook;
