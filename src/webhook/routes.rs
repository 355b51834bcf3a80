//! The paths that the API server calls.
//!
//! A handler reads a bounded body, and answers from memory. For a workload whose template changes, it also reads a few
//! sources, within a budget. It never fails the user's request: it allows what it does not understand. It refuses only what
//! is no review at all and could not be answered as one, which the API server takes for a failed call.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::State as Extract,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::time::Instant;

use super::{
    namespaces, off, others,
    reads::Reads,
    review::{Answer, NotAReview, Operation, Request, uid_in},
    server::{BodyError, BodyReader, Caller},
    sources,
    warnings::{Told, Warning, problem},
    workloads::Write,
};
use crate::{
    cluster::{
        Cluster, Failure,
        adoptable::{self, ONE_PAGE},
    },
    model::adopted::Adoption,
    ops::metrics::{Metrics, labels::Webhook},
    state::State,
};

/// The path of the validating webhook for Secrets and ConfigMaps.
pub const SOURCES_PATH: &str = "/admit/sources";
/// The path of the mutating webhook for workloads.
pub const WORKLOADS_PATH: &str = "/admit/workloads";
/// The path of the validating webhook for Namespaces.
pub const NAMESPACES_PATH: &str = "/admit/namespaces";
/// The path of the validating webhook for kinds of workloads that are off.
pub const OFF_PATH: &str = "/admit/off";

/// What the handlers need.
#[derive(Clone)]
pub struct Admission {
    /// The index, shared with the controller.
    pub state: Arc<State>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// For reads of sources.
    pub cluster: Cluster,
    /// How long those reads may take together.
    pub get_budget: Duration,
    /// Which warnings are told.
    pub told: Told,
    /// Reads bodies, of a bounded number of bytes at once.
    pub bodies: BodyReader,
}

/// Returns the webhook's routes.
pub fn router(admission: Admission) -> Router {
    Router::new()
        .route(SOURCES_PATH, post(admit_source))
        .route(WORKLOADS_PATH, post(admit_workload))
        .route(NAMESPACES_PATH, post(admit_namespace))
        .route(OFF_PATH, post(admit_off))
        .layer(Extension(Reads::default()))
        .with_state(admission)
}

/// Which connection a request came on; `None` where it came on none.
type FromServer = Option<Extension<Caller>>;

async fn admit_source(
    Extract(admission): Extract<Admission>,
    caller: FromServer,
    body: Body,
) -> Response {
    handle(&admission, Webhook::Sources, caller, body, async |body| {
        let request = Request::parse(body)?;
        let (answer, outcome) = sources::answer(&admission.state, &request, admission.told);
        Ok((answer, request.operation, outcome))
    })
    .await
}

async fn admit_namespace(
    Extract(admission): Extract<Admission>,
    caller: FromServer,
    body: Body,
) -> Response {
    let webhook = Webhook::Namespaces;
    handle(&admission, webhook, caller, body, async |body| {
        let request = Request::parse(body)?;
        let (answer, outcome) = namespaces::answer(&admission.state, &request, admission.told);
        Ok((answer, request.operation, outcome))
    })
    .await
}

async fn admit_off(
    Extract(admission): Extract<Admission>,
    caller: FromServer,
    body: Body,
) -> Response {
    handle(&admission, Webhook::Off, caller, body, async |body| {
        let request = Request::parse(body)?;
        let (answer, outcome) = off::answer(&admission.state, &request, admission.told);
        Ok((answer, request.operation, outcome))
    })
    .await
}

async fn admit_workload(
    Extract(admission): Extract<Admission>,
    Extension(reads): Extension<Reads>,
    caller: FromServer,
    body: Body,
) -> Response {
    handle(&admission, Webhook::Workloads, caller, body, async |body| {
        let request = Request::parse(body)?;
        let (uid, operation) = (request.uid.clone(), request.operation);
        let state = &admission.state;
        let begun = Write::begin(&request, &state.index(), &state.setup.own_user);
        // What takes long is done without the lock that all wait for.
        let write = begun.map(|mut begun| {
            begun.work_out();
            begun.end(&state.index())
        });
        let persists = request.dry_run != Some(true);
        let own = |write: &Write| !others::are_left_to(&admission.state, write, persists);
        let Some(write) = write.filter(own) else {
            return Ok((Answer::allow(uid, Vec::new()), operation, "ignored"));
        };
        let asked = admission.state.index().tick();
        let (read, adoption, undone) = tokio::join!(
            reads.of(
                &write,
                &admission.state,
                &admission.cluster,
                &admission.metrics,
                admission.get_budget
            ),
            admission.find_adopted(&write),
            admission.find_deploy_before(&write, &reads)
        );
        let admitted = {
            let index = admission.state.index();
            let older = index.contradicted_by(write.namespace(), asked, &read);
            admission
                .state
                .contradicted(write.namespace(), asked, older.cloned().collect());
            let read = index.overlay(write.namespace(), asked, &read);
            write.answer(&index, &read, &adoption, admission.state.now())
        };
        let mut warnings = admitted.warnings;
        warnings.extend(undone);
        let lines = admission.told.lines(warnings);
        let answer = Answer::allow(uid, lines).with_patch(&admitted.patch);
        let outcome = if answer.patches() {
            "patched"
        } else {
            "allowed"
        };
        Ok((answer, operation, outcome))
    })
    .await
}

type Handled = Result<(Answer, Operation, &'static str), Result<String, NotAReview>>;

async fn handle(
    admission: &Admission,
    webhook: Webhook,
    caller: FromServer,
    body: Body,
    answer: impl AsyncFnOnce(&[u8]) -> Handled,
) -> Response {
    let began = Instant::now();
    admission.state.reviews.fetch_add(1, Ordering::Relaxed);
    let caller = caller.map(|Extension(caller)| caller);
    let (response, operation, outcome) = match admission.bodies.read(caller, body).await {
        Err(error) => refuse_body(&error, admission.told),
        Ok(held) => match answer(&held).await {
            Ok((answer, operation, outcome)) => (Json(answer).into_response(), operation, outcome),
            Err(Ok(uid)) => (
                allow_unread(uid, admission.told),
                Operation::Other,
                "undecodable",
            ),
            Err(Err(error)) => {
                tracing::debug!(%error, "refused a request that is no AdmissionReview");
                (
                    (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
                    Operation::Other,
                    "not_a_review",
                )
            }
        },
    };
    let took = began.elapsed();
    admission
        .metrics
        .admission_answered(webhook, operation.as_str(), outcome, took);
    response
}

fn allow_unread(uid: String, told: Told) -> Response {
    let warning = problem("reroll: could not read this request, and left it as it is");
    Json(Answer::allow(uid, told.lines(vec![warning]))).into_response()
}

/// Answers a request whose body was not read. Its start may show the uid of the review; then it is allowed. Otherwise the
/// API server takes the answer for a failed call, and `failurePolicy: Ignore` allows the request.
fn refuse_body(error: &BodyError, told: Told) -> (Response, Operation, &'static str) {
    tracing::debug!(%error, "a request's body was not read");
    if let BodyError::TooLarge { start, .. } = error
        && let Some(uid) = uid_in(start)
    {
        return (allow_unread(uid, told), Operation::Other, "too_large");
    }
    let (status, outcome) = match error {
        BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        BodyError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        BodyError::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout"),
        BodyError::Slow => (StatusCode::REQUEST_TIMEOUT, "slow"),
        BodyError::Disconnected(_) => (StatusCode::BAD_REQUEST, "disconnected"),
    };
    (
        (status, error.to_string()).into_response(),
        Operation::Other,
        outcome,
    )
}

impl Admission {
    /// Says how to go back to the deploy before, where `kubectl rollout undo` would only take back a restart of reroll's.
    async fn find_deploy_before(&self, write: &Write, reads: &Reads) -> Option<Warning> {
        let undone = write.undone().filter(|_| self.told != Told::None)?;
        let found = reads.deploy_before(undone, &self.cluster, self.get_budget);
        Some(undone.words(found.await))
    }

    /// Looks for the pods that a new workload adopts, within the same budget. Leaves to the controller what does not come in
    /// time.
    async fn find_adopted(&self, write: &Write) -> Adoption {
        let Some(adopter) = write.adopter() else {
            return Adoption::None;
        };
        let asked = adoptable::find(&self.cluster, adopter, ONE_PAGE);
        let why = match tokio::time::timeout(self.get_budget, asked).await {
            Ok(Ok(found)) if found.pods.is_empty() => return Adoption::None,
            Ok(Ok(found)) => return Adoption::Pods(found),
            Ok(Err(error)) => error.to_string(),
            Err(_) => Failure::Timeout.to_string(),
        };
        tracing::debug!(
            why,
            kind = adopter.kind.kind,
            namespace = write.namespace(),
            name = adopter.name,
            "left to the controller which pods a new workload adopts"
        );
        Adoption::Unknown
    }
}
