//! The garbage collector: what has no owner any more is deleted, or let go.
//!
//! As the real one: an owner that is gone takes its dependents with it. An owner that waits in the foreground goes after
//! those that block it. An owner with the finalizer `orphan` goes after its dependents have forgotten it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    access::Access,
    objects::{is_deleted, namespace, owners, uid},
    worker::{Controller, Dirty, Next},
};
use crate::api_server::{
    answer::Refusal,
    resources::{ROWS, storage},
    store::Change,
};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    row: usize,
    key: String,
    uid: String,
}

/// What is to be done with an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// It is deleted, if nothing owns it any more.
    Delete(Item),
    /// Its dependents forget it.
    Orphan(Item),
}

/// The collector, and the graph of owners that it has read.
#[derive(Default)]
pub(crate) struct Garbage {
    /// By their uid.
    items: BTreeMap<String, Item>,
    /// By the uid of the owner, which need not be there.
    dependents: BTreeMap<String, BTreeSet<Item>>,
}

fn has(object: &Value, finalizer: &str) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|all| all.iter().any(|one| one == finalizer))
}

fn waits_for(object: &Value, finalizer: &str) -> bool {
    is_deleted(object) && has(object, finalizer)
}

fn blocks(object: &Value, owner: &str) -> bool {
    let mut all = owners(object).iter();
    all.any(|one| one["uid"] == owner && one["blockOwnerDeletion"] == true)
}

impl Controller for Garbage {
    type Key = Task;

    fn watches(&self) -> Vec<usize> {
        let all = 0..ROWS.len();
        all.filter(|row| {
            storage(*row) == *row && !matches!(ROWS[*row].kind, "Event" | "Lease" | "Node")
        })
        .collect()
    }

    fn forget(&mut self) {
        *self = Self::default();
    }

    fn concerned(&mut self, _: &Access, change: &Change, dirty: &mut Dirty<Task>) {
        let mut tasks = Vec::new();
        let after = change.after.as_deref();
        let before = change.before.as_deref();
        let replaced = |before: &&Value| after.is_none_or(|after| uid(after) != uid(before));
        if let Some(gone) = before.filter(replaced) {
            self.is_gone(change, gone, &mut tasks);
        }
        if let Some(after) = after {
            let before = before.filter(|before| uid(before) == uid(after));
            self.is_there(change, before, after, &mut tasks);
        }
        dirty.extend(tasks.into_iter().map(|task| (task, Duration::ZERO)));
    }

    async fn sync(&mut self, access: &Access, task: &Task) -> Result<Next, Refusal> {
        let (Task::Delete(item) | Task::Orphan(item)) = task;
        let live = access.view.live(item.row, &item.key);
        let Some(live) = live.filter(|live| uid(live) == item.uid) else {
            // Whoever it owned is without an owner.
            return Ok(None);
        };
        match task {
            Task::Orphan(_) => self.orphan(access, item, &live).await?,
            Task::Delete(_) if waits_for(&live, FOREGROUND) => {
                let blocking = self.blocking(access, item);
                if blocking.is_empty() {
                    remove_finalizer(access, item, &live, FOREGROUND).await?;
                }
                for dependent in blocking {
                    let live = Self::live(access, &dependent).filter(|live| !is_deleted(live));
                    if let Some(live) = live {
                        self.collect(access, &dependent, &live).await?;
                    }
                }
            }
            Task::Delete(_) if is_deleted(&live) => {}
            Task::Delete(_) => self.collect(access, item, &live).await?,
        }
        Ok(None)
    }
}

/// How the references of an object to its owners are.
#[derive(Default)]
struct References {
    solid: usize,
    /// The owners that are gone, or wait for their dependents to go.
    ending: Vec<String>,
    waiting: usize,
}

impl Garbage {
    fn is_gone(&mut self, change: &Change, gone: &Value, tasks: &mut Vec<Task>) {
        let own = uid(gone).to_owned();
        let Some(item) = self.items.remove(&own) else {
            return;
        };
        for owner in owners(gone) {
            let owner = owner["uid"].as_str().unwrap_or_default();
            self.forgets(owner, &item, tasks);
        }
        debug_assert_eq!(item.row, change.row, "a uid is of one object");
        let dependents = self.dependents.remove(&own);
        tasks.extend(dependents.into_iter().flatten().map(Task::Delete));
    }

    /// A dependent has this owner no more.
    fn forgets(&mut self, owner: &str, dependent: &Item, tasks: &mut Vec<Task>) {
        if let Some(all) = self.dependents.get_mut(owner) {
            all.remove(dependent);
            if all.is_empty() {
                self.dependents.remove(owner);
            }
        }
        if let Some(owner) = self.items.get(owner) {
            tasks.push(Task::Delete(owner.clone()));
        }
    }

    fn is_there(
        &mut self,
        change: &Change,
        before: Option<&Value>,
        after: &Value,
        tasks: &mut Vec<Task>,
    ) {
        let item = Item {
            row: change.row,
            key: change.key.clone(),
            uid: uid(after).to_owned(),
        };
        let known = self.items.insert(item.uid.clone(), item.clone()).is_some();
        let (old, new) = (before.map_or(&[][..], owners), owners(after));
        if !known || old != new {
            for owner in old {
                let owner = owner["uid"].as_str().unwrap_or_default();
                if new.iter().all(|one| one["uid"] != owner) || !blocks(after, owner) {
                    self.forgets(owner, &item, tasks);
                }
            }
            for owner in new {
                let owner = owner["uid"].as_str().unwrap_or_default();
                let dependents = self.dependents.entry(owner.to_owned()).or_default();
                if dependents.insert(item.clone()) && !self.items.contains_key(owner) {
                    tasks.push(Task::Delete(item.clone()));
                }
            }
        }
        let begins = |finalizer: &str| {
            waits_for(after, finalizer)
                && !before.is_some_and(|before| waits_for(before, finalizer))
        };
        if begins(ORPHAN) {
            tasks.push(Task::Orphan(item));
        } else if begins(FOREGROUND) {
            let dependents = self.dependents.get(&item.uid).into_iter().flatten();
            tasks.extend(dependents.cloned().map(Task::Delete));
            tasks.push(Task::Delete(item));
        }
    }

    fn live(access: &Access, item: &Item) -> Option<Arc<Value>> {
        let live = access.view.live(item.row, &item.key);
        live.filter(|live| uid(live) == item.uid)
    }

    /// Returns those that an owner waits for.
    fn blocking(&self, access: &Access, owner: &Item) -> Vec<Item> {
        let all = self.dependents.get(&owner.uid).into_iter().flatten();
        let blocking = all.filter(|item| {
            Self::live(access, item).is_some_and(|object| blocks(&object, &owner.uid))
        });
        blocking.cloned().collect()
    }

    async fn orphan(&self, access: &Access, owner: &Item, live: &Value) -> Result<(), Refusal> {
        if !waits_for(live, ORPHAN) {
            return Ok(());
        }
        let dependents = self.dependents.get(&owner.uid).cloned().unwrap_or_default();
        for item in dependents {
            if let Some(dependent) = Self::live(access, &item) {
                let ending = [owner.uid.clone()];
                forget_owners(access, item.row, &dependent, &ending).await?;
            }
        }
        remove_finalizer(access, owner, live, ORPHAN).await
    }

    /// Deletes an object, if it has owners and all of them are gone.
    async fn collect(&self, access: &Access, item: &Item, live: &Value) -> Result<(), Refusal> {
        if owners(live).is_empty() {
            return Ok(());
        }
        let references = references(access, live);
        if references.solid > 0 {
            if references.ending.is_empty() {
                return Ok(());
            }
            return forget_owners(access, item.row, live, &references.ending).await;
        }
        let has_dependents = self.dependents.contains_key(&item.uid);
        let policy = if references.waiting > 0 && has_dependents || has(live, FOREGROUND) {
            "Foreground"
        } else if has(live, ORPHAN) {
            "Orphan"
        } else {
            "Background"
        };
        let preconditions =
            json!({ "uid": item.uid, "resourceVersion": live["metadata"]["resourceVersion"] });
        let options = json!({ "preconditions": preconditions, "propagationPolicy": policy });
        access.delete_with(item.row, live, &options).await
    }
}

fn references(access: &Access, object: &Value) -> References {
    let mut found = References::default();
    for owner in owners(object) {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let row = ROWS
            .iter()
            .position(|row| row.kind == text("kind") && row.api_version() == text("apiVersion"));
        // What it cannot read it takes for an owner.
        let Some(row) = row else {
            found.solid += 1;
            continue;
        };
        let key = if ROWS[row].is_namespaced() {
            format!("{}/{}", namespace(object), text("name"))
        } else {
            text("name").to_owned()
        };
        let live = access.view.live(row, &key);
        match live.filter(|live| uid(live) == text("uid")) {
            Some(live) if !waits_for(&live, FOREGROUND) => found.solid += 1,
            waiting => {
                found.waiting += usize::from(waiting.is_some());
                found.ending.push(text("uid").to_owned());
            }
        }
    }
    found
}

async fn forget_owners(
    access: &Access,
    row: usize,
    object: &Value,
    gone: &[String],
) -> Result<(), Refusal> {
    let forget = |live: &Value| {
        let is_gone = |owner: &Value| gone.iter().any(|uid| owner["uid"] == uid.as_str());
        let others = owners(live).iter().filter(|owner| !is_gone(owner));
        let others: Vec<&Value> = others.collect();
        (others.len() < owners(live).len())
            .then(|| json!({ "metadata": { "ownerReferences": others } }))
    };
    match access.patch(row, object, None, forget).await {
        Err(refusal) if refusal.code == 404 => Ok(()),
        other => other,
    }
}

async fn remove_finalizer(
    access: &Access,
    item: &Item,
    object: &Value,
    finalizer: &str,
) -> Result<(), Refusal> {
    let remove = |live: &Value| {
        let all = live["metadata"]["finalizers"].as_array()?;
        let others: Vec<&Value> = all.iter().filter(|one| *one != finalizer).collect();
        Some(json!({ "metadata": { "finalizers": others } }))
    };
    match access.patch(item.row, object, None, remove).await {
        Err(refusal) if refusal.code == 404 => Ok(()),
        other => other,
    }
}
