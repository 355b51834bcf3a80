//! reroll rolls Kubernetes workloads when a Secret or ConfigMap that they use changes, or is deleted and recreated:
//! exactly once, and only then, whatever crashes, races or was down meanwhile.
//!
//! This page is the map. The program is a thin `main.rs` over this library, which exists for it and for its tests.
//!
//! # Layers
//!
//! Each uses only what is below it; those in braces do not use each other. `main.rs` stands on top of all.
//! `tests/layers` reads this list and checks every path in the code against it.
//!
//! ```text
//! run                         wires all of it, each review on a thread that is not the controller's
//! config                      flags and environment, made into each room's own settings
//! {webhook, watch, restart}   what asks reroll; what the API server shows; what is due, done
//! judge                       decisions, and one docket of what is to be done
//! ops                         metrics, health, Events, alerts, logs, and who tells people
//! {cluster, state}            the door to the API server; the setup and the index
//! {clock, model}              the time of day; what is pure: references, versions, observed, decide, stamp, patch, index
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
//! | [`judge::Judge`] | the [`judge::docket::Docket`]: intents, what is held, what is to be written |
//! | [`judge::live::Live`] | nothing: it asks the API server and tells the judge |
//! | [`restart::Restarter`], [`restart::job::Jobs`], [`restart::housekeeper::Housekeeper`] | restarts, re-creations and writes under way |
//! | [`watch::Watches`] | which namespaces are selected, and are to be listed by themselves |
//! | [`ops::teller::Teller`] | the queues of Events and alerts, and the metrics |
//!
//! # Where the truth is
//!
//! Nothing that matters lives in memory. Each opted-in workload carries, on its own metadata, the annotation
//! `reroll.dev/observed` ([`model::observed`]): which versions of its sources its pods were last started with. A version
//! is the source's uid and a keyed digest of its data ([`model::version`]). [`model::decide()`] compares that with what
//! exists; the result is one JSON Patch that tests the old annotation, replaces it and changes the pod template
//! ([`model::patch`]): compare-and-swap and commit in one call, so that two replicas, a crash before or after it, or a
//! replayed event still give one restart.
//!
//! # One change, from write to rollout
//!
//! 1. Somebody deletes Secret `db` and creates it again. The API server asks [`webhook::sources`] about both writes
//!    before they are persisted: it remembers the deletion, recognises the recreation by its uid, tells the person at
//!    the prompt what will restart, and leaves a provisional claim in [`state`].
//! 2. The watch of Secrets ([`watch`]) shows the new Secret. It is digested and dropped; [`model::index`] says which
//!    workloads use it (what the Secrets Store CSI driver provides is put together there from the statuses of pods,
//!    [`model::csi`]). If no watch shows it soon, it is read ([`judge::claims`]).
//! 3. Each of them is judged ([`judge::Judge::judge`]): *restart: recreated*. An intent is filed ([`judge::intents`]) and
//!    waits for the quiet period, so that several changes become one restart.
//! 4. When it is due it is judged again and carried out by one patch ([`restart`]). Deployments, `StatefulSet`s and
//!    `DaemonSet`s roll by themselves from there. What cannot roll takes more than a patch: a CronJob's run is made first
//!    (`restart::cron_job`), and another Job takes a Job's place ([`restart::job`]).
//! 5. The patch passes the webhook for workloads untouched. All other writes do not: [`webhook::workloads`] keeps
//!    reroll's annotations as reroll wrote them, and where a write changes the pod template anyway it records the
//!    versions of that moment, so that the workload is not restarted a second time ([`model::stamp`]). A new workload may
//!    adopt pods of before ([`cluster::adoptable`]): then what those were started with counts ([`model::adopted`]).
//! 6. An Event on the workload says what changed ([`ops::teller`]), and so does an alert ([`ops::alerts`]).
//!
//! Of several replicas each does steps 1 to 3 and 5; the holder of a Lease ([`cluster::lease`]) does step 4 and writes.
//! After a crash or an upgrade step 3 is done for every workload ([`judge::Judge::reconcile_start`]): what changed
//! meanwhile is restarted for, once, and nothing else is.
//!
//! # Reading order
//!
//! [`model`] first, in the order that its page gives; then [`webhook::workloads`], [`judge`] and [`restart`]; then [`run`].

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
