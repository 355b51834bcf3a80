//! reroll rolls Kubernetes workloads when a Secret or ConfigMap that they use changes, or is deleted and recreated:
//! exactly once, and only then, whatever crashes, races or was down meanwhile.
//!
//! This page is the map. The program is a thin `main.rs` over this library, which exists for it and for its tests.
//!
//! # Layers
//!
//! ```text
//!              kube-apiserver
//!    reviews │            ▲ │ watches
//!            ▼    patches │ ▼
//!   ┌────────────────┐  ┌─────────────────────┐
//!   │ webhook        │  │ controller          │   never import each other
//!   │ tls, server    │  │ watch, intents,     │
//!   │ routes         │  │ restart, reconcile, │
//!   │ sources        │  │ housekeeping,       │
//!   │ workloads      │  │ report              │
//!   └───────┬────────┘  └──────────┬──────────┘
//!           └───────► state ◄──────┘               the shared index, behind a lock that is never held across an await
//!                       │
//!                ┌──────▼──────┐
//!                │    model    │   pure: references, versions, observed, decide, stamp, patch, index
//!                └─────────────┘
//!     run wires all of it, each review on a thread that is not the controller's; config reads flags;
//!     ops has metrics, health, Events, alerts and logs
//! ```
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
//! 2. The watch of Secrets ([`controller::watch`]) shows the new Secret. It is digested and dropped;
//!    [`model::index`] says which workloads use it (what the Secrets Store CSI driver provides is put together there from
//!    the statuses of pods, [`model::provided`]). If no watch shows it soon, it is read ([`controller::reconcile`]).
//! 3. Each of them is judged ([`controller::Controller::judge`]): *restart: recreated*. An intent is filed
//!    ([`controller::intents`]) and waits for the quiet period, so that several changes become one restart.
//! 4. When it is due it is judged again and carried out by one patch ([`controller::restart`]). Deployments, `StatefulSet`s
//!    and `DaemonSet`s roll by themselves from there. What cannot roll takes more than a patch: a CronJob's run is made first
//!    (`controller::run_now`), and another Job takes a Job's place (`controller::recreate`).
//! 5. The patch passes the webhook for workloads untouched. Everybody else's writes do not: [`webhook::workloads`] keeps
//!    reroll's annotations as reroll wrote them, and where a write changes the pod template anyway it records the
//!    versions of that moment, so that the workload is not restarted a second time ([`model::stamp`]). A new workload may
//!    adopt pods of before ([`adoptable`]): then what those were started with counts ([`model::adopted`]).
//! 6. An Event on the workload says what changed ([`controller::report`]), and so does an alert ([`ops::alerts`]).
//!
//! Of several replicas each does steps 1 to 3 and 5; the holder of a Lease ([`controller::lease`]) does step 4 and writes.
//! After a crash or an upgrade step 3 is done for every workload ([`controller::reconcile`]): what changed meanwhile is
//! restarted for, once, and nothing else is.
//!
//! # Reading order
//!
//! [`model`] first, in the order that its page gives; then [`webhook::workloads`] and [`controller`]; then [`run`].

pub mod adoptable;
pub mod cluster;
pub mod config;
pub mod controller;
pub mod model;
pub mod ops;
pub mod run;
pub mod sources;
pub mod state;
pub mod webhook;
