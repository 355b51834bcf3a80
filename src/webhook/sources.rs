//! The validating webhook for Secrets and ConfigMaps: it sees every write before it is persisted, and always allows it.
//!
//! It is validating, because a new object gets its uid only after the mutating phase. It remembers a DELETE, so that it
//! knows the CREATE that follows for a recreation in the request itself, before any watch shows it. All of that is
//! provisional: the API server may still refuse the write, and a dry run changes nothing at all.

mod lacking;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::core::{ObjectMeta, PartialObjectMeta};
use tokio::time::Instant;

use self::lacking::lacking;
use super::{
    keys::Home,
    review::{Answer, Operation, Request},
    warnings::{Told, Warning, news, problem, problems},
};
use crate::{
    model::{
        SourceKey, SourceKind, SourceName, Version, WorkloadKey,
        annotation::{IGNORE, TOGETHER, WINDOW},
        brake::together::would_wait,
        change::Change,
        decide::Lookup,
        gate::window::Closed,
        index::{Index, Overlay, Preview, windows},
        object::{FromObject as _, SlowStart},
        places::Place,
        policy::Complaint,
        recreation::Asked,
        source::{key_word, spoken_key},
        text::{is_false, shortened, some_of},
        writers::Print,
    },
    state::{Deleted, State},
};

/// Answers one review. The word says how, for metrics. `told`: what the user is told.
pub fn answer(state: &State, request: &Request, told: Told) -> (Answer, &'static str) {
    let uid = request.uid.clone();
    let ignored = |why| (Answer::allow(request.uid.clone(), Vec::new()), why);
    let Some(kind) = SourceKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == request.kind.kind)
    else {
        return ignored("ignored");
    };
    if !request.kind.group.is_empty()
        || !request.sub_resource.is_empty()
        || request.namespace.is_empty()
    {
        return ignored("ignored");
    }
    let raw = if request.operation == Operation::Delete {
        request.old_object
    } else {
        request.object
    };
    let (digest_key, conventions, works) = {
        let index = state.index();
        let works = index.works_in(&request.namespace);
        (index.key().clone(), Arc::clone(index.conventions()), works)
    };
    if !works {
        return ignored("ignored");
    }
    let Some((raw, meta)) = raw.and_then(|raw| Some((raw.get(), meta_in(raw.get())?))) else {
        return ignored("undecodable");
    };
    let Some(name) = meta.name.clone() else {
        return ignored("undecodable");
    };
    let key = SourceKey {
        namespace: request.namespace.clone(),
        source: SourceName { kind, name },
    };
    let mut typed = match request.operation {
        Operation::Create | Operation::Update => typed(kind, &meta),
        Operation::Delete | Operation::Other => Vec::new(),
    };
    if !state.index().is_used(&key) {
        // No workload uses it, so nothing becomes of it, and watches bring what is persisted. Its data is not even read.
        return (Answer::allow(uid, told.lines(typed)), "allowed");
    }
    // No user waits at a prompt for what the CSI driver writes: a watch brings the statuses of pods.
    let Some(version) = conventions.version_in(raw, &key, &digest_key) else {
        return ignored("undecodable");
    };
    let warnings = match request.operation {
        Operation::Create | Operation::Update => written(state, &key, version, request),
        Operation::Delete => deleted(state, &key, &version, request),
        Operation::Other => Vec::new(),
    };
    typed.extend(warnings);
    (Answer::allow(uid, told.lines(typed)), "allowed")
}

fn meta_in(raw: &str) -> Option<ObjectMeta> {
    let object = PartialObjectMeta::<Secret>::from_object(raw).ok()?;
    Some(object.metadata)
}

/// Returns what of a source's own annotations and labels does nothing.
fn typed(kind: SourceKind, meta: &ObjectMeta) -> Vec<Warning> {
    let home = Home {
        kind: kind.as_str(),
        annotations: Place::Source,
        labels: Place::Elsewhere,
    };
    let ignore = meta.annotations.as_ref().and_then(|all| all.get(IGNORE));
    let unreadable = ignore.filter(|text| !is_false(text) && text.trim() != "true");
    let unreadable = unreadable.map(|text| Complaint::of_ignoring(text).to_string());
    problems(unreadable.into_iter().chain(home.wrong(&home.spots(meta))))
}

/// Returns who makes a write, and when; `None` where the review does not say.
fn change(state: &State, request: &Request) -> Option<Change> {
    let options = request.options.as_ref();
    let manager = options.and_then(|options| options.field_manager.as_deref());
    let user = request.user_info.username.as_str();
    Change::by(state.time(), Some(user), manager)
}

fn written(
    state: &State,
    key: &SourceKey,
    mut version: Version,
    request: &Request,
) -> Vec<Warning> {
    let dry_run = request.dry_run == Some(true);
    // What will be persisted is newer than all that is known.
    version.resource_version = u64::MAX;
    let index = state.index();
    let (known, deleted_before) = match index.source(&key.namespace, &key.source) {
        Lookup::Present { version, .. } => (Some((version.uid.clone(), version.whole)), None),
        Lookup::Absent { last, .. } => (None, last.map(|last| last.uid.clone())),
        Lookup::Unsynced | Lookup::Unseen => (None, None),
    };
    let mut recreated = deleted_before.is_some_and(|before| before != version.uid)
        || known.as_ref().is_some_and(|(uid, _)| *uid != version.uid);
    let mut was_immutable = false;
    if !dry_run && known != Some((version.uid.clone(), version.whole)) {
        let change = change(state, request);
        state.writers().claim(key, Print::of(&version), change);
        let deleted = state
            .provisional()
            .admit(key, &version.uid, version.whole, Instant::now());
        recreated |= deleted.is_some();
        was_immutable |= deleted.is_some_and(|deleted| deleted.immutable);
        state.provisional_added.notify_one();
    }
    let becomes = Lookup::Present {
        version: &version,
        fresh: true,
    };
    let preview = Preview::of_change(&index, key, becomes);
    let mut warnings = Vec::new();
    if version.origin.asks == Asked::Unreadable {
        let complaint = Complaint::of_recreation(&key.source);
        warnings.push(problem(format!("reroll: {complaint}")));
    }
    if version.slow_start == SlowStart::Unreadable {
        let complaint = Complaint::of_slow_start(&key.source);
        warnings.push(problem(format!("reroll: {complaint}")));
    }
    let before = index.source(&key.namespace, &key.source).version();
    warnings.extend(lacking(&index, key, (before, &version), &preview));
    warnings.extend(counts_again(&index, key, (before, &version)));
    let how = if recreated { "recreated " } else { "" };
    let written = format!("{how}{}{}", key.source.spoken(), listed(&preview));
    warnings.extend(stopped(&preview, &written, &key.namespace));
    if preview.restarts.is_empty() {
        return warnings;
    }
    warnings.push(news(format!(
        "reroll: {written} restarts {}",
        some(&preview.restarts, preview.incomplete)
    )));
    let now = state.time();
    warnings.extend(out_of_window(&index, key, &preview, now));
    let overlay = Overlay::from([(&key.source, becomes)]);
    let is_apart = |user: &&WorkloadKey| would_wait(&index, user, &overlay, now);
    let apart: Vec<_> = preview.restarts.iter().filter(is_apart).cloned().collect();
    if !apart.is_empty() {
        let apart = some(&apart, preview.incomplete);
        warnings.push(news(format!(
            "reroll: not before what belongs together has changed ({TOGETHER}): {apart}"
        )));
    }
    // A process that did not see the old one knows it by what its pods were started with.
    was_immutable |= preview
        .restarts
        .iter()
        .any(|user| index.has_immutable(user, &key.source, &version.uid));
    if was_immutable {
        warnings.push(problem(format!(
            "reroll: give {} another name, or scale to 0 and back: the old one was immutable, and nodes keep its data",
            key.source.spoken()
        )));
    }
    warnings
}

/// Says who may have older pods than it seems, of a source that is ignored no more: nobody compared it meanwhile.
fn counts_again(
    index: &Index,
    key: &SourceKey,
    (before, version): (Option<&Version>, &Version),
) -> Option<Warning> {
    if version.ignored || !before?.ignored {
        return None;
    }
    let users = index.users(key);
    (!users.is_empty()).then(|| {
        problem(format!(
            "reroll: restart {} if {} changed while it was ignored: their pods are taken to have what is there now",
            some(&users, false),
            key.source.spoken()
        ))
    })
}

fn deleted(state: &State, key: &SourceKey, version: &Version, request: &Request) -> Vec<Warning> {
    if request.dry_run != Some(true) {
        let change = change(state, request);
        let print = Print::deletion(&version.uid);
        state.writers().claim(key, print, change);
        let deleted = Deleted {
            uid: version.uid.clone(),
            immutable: version.immutable,
        };
        state.provisional().delete(key, deleted, Instant::now());
        state.provisional_added.notify_one();
    }
    let index = state.index();
    let gone = Lookup::Absent {
        last: Some(version),
        since: u64::MAX,
    };
    let preview = Preview::of_change(&index, key, gone);
    let source = key.source.spoken();
    let some = |workloads| some(workloads, preview.incomplete);
    let mut warnings: Vec<_> = stopped(&preview, &format!("deleting {source}"), &key.namespace)
        .into_iter()
        .collect();
    if preview.restarts.is_empty() && preview.waits.is_empty() {
        return warnings;
    }
    let kind = key.source.kind.as_str();
    // The remedy comes first: what is too long is cut at its end.
    if version.immutable {
        warnings.push(problem(format!(
            "reroll: give the new {kind} another name: {} is immutable, and nodes give its data to new pods",
            key.source.name
        )));
    }
    if !preview.restarts.is_empty() {
        let restarts = some(&preview.restarts);
        warnings.push(news(format!(
            "reroll: deleting {source} restarts {restarts}"
        )));
        return warnings;
    }
    let users = some(&preview.waits);
    let who = if preview.waits.len() == 1 && !preview.incomplete {
        "it restarts"
    } else {
        "they restart"
    };
    let when = if preview.by_uid {
        format!("when the {kind} is back")
    } else {
        format!("if the {kind} comes back with other data")
    };
    warnings.push(problem(format!(
        "reroll: {source} is used by {users}; {who} {when}"
    )));
    warnings
}

/// Says who waits for a window, and whose window cannot be read, which holds.
fn out_of_window(
    index: &Index,
    key: &SourceKey,
    preview: &Preview,
    now: Timestamp,
) -> Vec<Warning> {
    let closed = |user: &WorkloadKey| {
        let tracked = index.workload(user)?;
        let (window, latest) = windows::of(index, &key.namespace, tracked)?;
        Some((window.holds(now, latest, now)?, user.clone()))
    };
    let closed = preview.restarts.iter().filter_map(closed);
    let (unread, closed): (Vec<_>, Vec<_>) =
        closed.partition(|(closed, _)| matches!(closed, Closed::Unreadable { .. }));
    let mut warnings = Vec::new();
    let named = |users: Vec<(Closed, WorkloadKey)>| {
        let users: Vec<_> = users.into_iter().map(|(_, user)| user).collect();
        (!users.is_empty()).then(|| some(&users, preview.incomplete))
    };
    if let Some(users) = named(unread) {
        warnings.push(problem(format!(
            "reroll: correct {WINDOW}, which cannot be read, and holds: {users}"
        )));
    }
    if let Some(users) = named(closed) {
        warnings.push(news(format!(
            "reroll: not before the window opens ({WINDOW}): {users}"
        )));
    }
    warnings
}

/// The most characters of who holds a restart, and why.
const WHO: usize = 128;
/// The most keys that are named.
const KEYS: usize = 2;

/// Says of those that people hold who does. That comes first: what is too long is cut at its end.
fn stopped(preview: &Preview, what: &str, namespace: &str) -> Option<Warning> {
    let (_, first) = preview.stopped.first()?;
    let words = first.words(namespace);
    let words = shortened(&words, WHO);
    let others = preview.stopped.iter().any(|(_, stop)| stop != first);
    let also = if others { ", and others do" } else { "" };
    let users: Vec<_> = preview
        .stopped
        .iter()
        .map(|(user, _)| user.clone())
        .collect();
    let users = some(&users, preview.incomplete);
    Some(news(format!(
        "reroll: {words}{also}: {what} does not restart {users} yet"
    )))
}

/// Names the keys for which those restart who take only some; nothing where there are none.
fn listed(preview: &Preview) -> String {
    if preview.keys.is_empty() {
        return String::new();
    }
    let word = key_word(preview.keys.iter().map(String::as_str));
    let named = preview.keys.iter().take(KEYS).map(|key| spoken_key(key));
    let named: Vec<_> = named.collect();
    let named = some_of(named.iter().map(AsRef::as_ref), preview.keys.len());
    format!(" ({word} {named})")
}

/// Names workloads: `Deployment web and 2 more`. `incomplete`: there are others, at which the preview did not look.
fn some(workloads: &[WorkloadKey], incomplete: bool) -> String {
    let most = if incomplete { "at least " } else { "" };
    match workloads {
        [] => String::new(),
        [one] if !incomplete => one.spoken(),
        [one] => format!("{} and perhaps others", one.spoken()),
        [first, rest @ ..] => format!("{} and {most}{} more", first.spoken(), rest.len()),
    }
}

#[cfg(test)]
mod tests;
