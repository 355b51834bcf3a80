//! Admission: which webhooks see a write, what they are asked, and what comes of their answers.
//!
//! The configurations are objects as any others. In place of a network and of CEL there are functions that the test
//! registered, by the names of webhooks and of match conditions.

mod matching;
mod reviews;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::join_all;
use serde_json::{Value, json};

use self::{matching::Hook, reviews::Verdict};
use super::{ApiServer, User, answer::Refusal, call::Warnings, defaults, patch, resources::Row};

/// A write that is admitted.
pub(crate) struct Attempt<'a> {
    pub(crate) row: &'static Row,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) subresource: Option<&'a str>,
    pub(crate) operation: &'static str,
    pub(crate) user: &'a User,
    pub(crate) dry: bool,
    pub(crate) options: Value,
    /// As it would be; null for a deletion.
    pub(crate) object: Value,
    /// As it is; null for a creation.
    pub(crate) old: Arc<Value>,
    /// What the webhooks want the user to know.
    pub(crate) warnings: &'a Warnings,
}

impl Attempt<'_> {
    /// Returns the request of a review.
    fn request(&self, uid: &str) -> Value {
        let (group, version) = (self.row.group, self.row.version);
        let kind = json!({ "group": group, "version": version, "kind": self.row.kind });
        let resource = json!({ "group": group, "version": version, "resource": self.row.plural });
        let mut request = json!({
            "uid": uid, "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
            "operation": self.operation, "userInfo": self.user.info(), "object": self.object, "oldObject": *self.old,
            "dryRun": self.dry, "options": self.options,
        });
        if let Some(namespace) = self.namespace {
            request["namespace"] = json!(namespace);
        }
        if !self.name.is_empty() {
            request["name"] = json!(self.name);
        }
        if let Some(subresource) = self.subresource {
            request["subResource"] = json!(subresource);
            request["requestSubResource"] = json!(subresource);
        }
        request
    }
}

/// Lets the mutating webhooks change the object, one after the other, and once more those that ask to see what others
/// changed.
pub(crate) async fn mutate(server: &ApiServer, attempt: &mut Attempt<'_>) -> Result<(), Refusal> {
    let hooks = matching::hooks(server, "mutatingwebhookconfigurations");
    let (mut called, mut again) = (BTreeSet::new(), BTreeSet::new());
    for (at, hook) in hooks.iter().enumerate() {
        if !matching::concerns(server, hook, attempt)? {
            continue;
        }
        if call(server, hook, attempt).await? {
            again.append(&mut called);
        }
        if hook.is_reinvoked() {
            called.insert(at);
        }
    }
    for at in again {
        let hook = &hooks[at];
        if matching::concerns(server, hook, attempt)? {
            call(server, hook, attempt).await?;
        }
    }
    Ok(())
}

/// Calls a mutating webhook. Returns whether it changed the object.
async fn call(server: &ApiServer, hook: &Hook, attempt: &mut Attempt<'_>) -> Result<bool, Refusal> {
    let Some(verdict) = ask(server, hook, attempt).await? else {
        return Ok(false);
    };
    attempt.warnings.lock().extend(verdict.warnings);
    let Some(operations) = verdict.patch else {
        return Ok(false);
    };
    if attempt.object.is_null() {
        return Ok(false);
    }
    let mut object = attempt.object.clone();
    patch::apply(&mut object, &operations).map_err(Refusal::internal)?;
    let object = defaults::read(attempt.row, object, Some(&attempt.object));
    let object = object.map_err(|refusal| Refusal::internal(refusal.message))?;
    let changed = object != attempt.object;
    attempt.object = object;
    Ok(changed)
}

/// Asks the validating webhooks, all at the same time.
pub(crate) async fn validate(server: &ApiServer, attempt: &Attempt<'_>) -> Result<(), Refusal> {
    let mut concerned = Vec::new();
    for hook in matching::hooks(server, "validatingwebhookconfigurations") {
        if matching::concerns(server, &hook, attempt)? {
            concerned.push(hook);
        }
    }
    let asked = concerned.iter().map(|hook| ask(server, hook, attempt));
    let mut refused = Ok(());
    for answer in join_all(asked).await {
        match answer {
            Ok(None) => {}
            Ok(Some(verdict)) => attempt.warnings.lock().extend(verdict.warnings),
            Err(refusal) => refused = refused.and(Err(refusal)),
        }
    }
    refused
}

/// Asks one webhook. Returns `None` where it failed and its failures are ignored.
async fn ask(
    server: &ApiServer,
    hook: &Hook,
    attempt: &Attempt<'_>,
) -> Result<Option<Verdict>, Refusal> {
    if attempt.dry && !hook.allows_dry_run() {
        let why = format!(
            "admission webhook \"{}\" does not support dry run",
            hook.name()
        );
        return Err(Refusal::bad_request(why));
    }
    let uid = server.new_uid();
    let review = json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": attempt.request(&uid),
    });
    tracing::trace!(webhook = hook.name(), %review, "asks");
    let answer = match server.webhook(hook.configuration(), hook.name()) {
        None => Err("there is nobody at its address".to_owned()),
        Some(webhook) => {
            let limit = Duration::from_secs(hook.timeout_seconds());
            let answer = tokio::time::timeout(limit, webhook(review)).await;
            answer.unwrap_or_else(|_| Err("context deadline exceeded".to_owned()))
        }
    };
    tracing::trace!(webhook = hook.name(), ?answer, "is told");
    match answer.and_then(|answer| reviews::verdict(&answer, &uid, hook.is_mutating())) {
        Ok(verdict) => match &verdict.refusal {
            None => Ok(Some(verdict)),
            Some(refusal) => Err(reviews::refused(hook.name(), refusal)),
        },
        Err(_) if hook.ignores_failures() => {
            server.miss_review();
            Ok(None)
        }
        Err(why) => Err(Refusal::internal(format!(
            "failed calling webhook \"{}\": {why}",
            hook.name()
        ))),
    }
}
