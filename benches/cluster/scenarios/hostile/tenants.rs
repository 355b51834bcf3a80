//! What tenants do in their own namespaces, with the rights that a namespace's administrator has.

use std::{sync::Arc, time::Duration};

use kube::api::{DeleteParams, ListParams};
use reroll_harness::{
    Arena, RESTART_ON,
    hostile::{
        REFERENCES, SECRET_RELOAD, expression_list, glob_list, hanging, long_name, many_keys,
        opted_in, projected, read_globs, references as with_references, try_create,
    },
    secret,
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{others::merge, times_a_second};
use crate::bed::each;

const LONG_NAMES: usize = 100;
const SECRETS: usize = 2000;
const USERS: usize = 20;

/// Does something again and again.
pub(super) fn every<F: Future<Output = ()> + Send>(
    work: &mut JoinSet<()>,
    every: Duration,
    mut act: impl FnMut(usize) -> F + Send + 'static,
) {
    work.spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0.. {
            ticks.tick().await;
            act(number).await;
        }
    });
}

/// Whether it has nothing yet.
pub(super) async fn is_empty(tenant: &Arena) -> bool {
    let api = tenant.api("Deployment");
    let all = api.list_metadata(&ListParams::default()).await;
    all.is_ok_and(|all| all.items.is_empty())
}

async fn secrets(tenant: &Arena, names: impl IntoIterator<Item = String>) {
    let api = tenant.api("Secret");
    each(names, async |name: String| {
        try_create(&api, secret(&name, &[("k", "one")])).await;
    })
    .await;
}

async fn deployment(tenant: &Arena, object: Value) {
    try_create(&tenant.api("Deployment"), object).await;
}

fn write_secret(
    work: &mut JoinSet<()>,
    tenant: &Arena,
    times: u32,
    name: impl Fn(usize) -> String + Send + 'static,
) {
    let api = tenant.api("Secret");
    every(work, times_a_second(times), move |number| {
        let (api, name) = (api.clone(), name(number));
        async move {
            let patch = json!({ "stringData": { "k": fastrand::u64(..).to_string() } });
            merge(&api, &name, &patch).await;
        }
    });
}

// === patterns ===

pub(super) async fn globs(tenant: &Arena) {
    secrets(tenant, (0..LONG_NAMES).map(long_name)).await;
    deployment(tenant, opted_in("many", (RESTART_ON, &glob_list(1000, 0)))).await;
    deployment(tenant, opted_in("read", (RESTART_ON, &read_globs(0)))).await;
}

pub(super) fn write_globs(work: &mut JoinSet<()>, tenant: &Arc<Arena>) {
    write_long_names(work, tenant);
    let api = tenant.api("Deployment");
    every(work, times_a_second(1), move |seed| {
        let api = api.clone();
        async move {
            for (name, list) in [("many", glob_list(1000, seed)), ("read", read_globs(seed))] {
                let patch = json!({ "metadata": { "annotations": { RESTART_ON: list } } });
                merge(&api, name, &patch).await;
            }
        }
    });
}

pub(super) async fn expressions(tenant: &Arena) {
    secrets(tenant, (0..LONG_NAMES).map(long_name)).await;
    for number in 0..10 {
        // Some of these are read.
        for (name, count) in [("many", 1024), ("few", 1 << number)] {
            let (name, list) = (format!("{name}-{number}"), expression_list(count));
            deployment(tenant, opted_in(&name, (SECRET_RELOAD, &list))).await;
        }
    }
}

pub(super) fn write_long_names(work: &mut JoinSet<()>, tenant: &Arc<Arena>) {
    write_secret(work, tenant, 10, |number| long_name(number % LONG_NAMES));
}

// === everything of a namespace ===

fn short_name(number: usize) -> String {
    format!("s{number:04}")
}

pub(super) async fn everything(tenant: &Arena) {
    secrets(tenant, (0..SECRETS).map(short_name)).await;
    each(0..USERS, async |at| {
        let object = opted_in(&format!("all-{at}"), (RESTART_ON, "secret/*"));
        deployment(tenant, object).await;
    })
    .await;
}

pub(super) fn write_everything(work: &mut JoinSet<()>, tenant: &Arc<Arena>) {
    write_secret(work, tenant, 2, |number| short_name(number * 7 % SECRETS));
}

// === large objects ===

const LARGE: usize = 8;

pub(super) async fn objects(tenant: &Arena) {
    for number in 0..LARGE {
        deployment(tenant, projected(&format!("projected-{number}"))).await;
    }
}

pub(super) fn write_objects(work: &mut JoinSet<()>, tenant: &Arc<Arena>) {
    let map = Arc::new(many_keys("keys"));
    let api = tenant.api("ConfigMap");
    every(work, times_a_second(10), move |_| {
        let (api, map) = (api.clone(), Arc::clone(&map));
        async move {
            try_create(&api, (*map).clone()).await;
            drop(api.delete("keys", &DeleteParams::default()).await);
            // Its own client, in this process, is not what is measured.
            sleep(Duration::from_millis(200)).await;
        }
    });
    let api = tenant.api("Deployment");
    every(work, times_a_second(2), move |number| {
        let api = api.clone();
        async move {
            let name = format!("projected-{}", number % LARGE);
            let value = number.to_string();
            let patch = json!({ "metadata": { "labels": { "written": value } } });
            merge(&api, &name, &patch).await;
        }
    });
}

// === references ===

pub(super) async fn references(tenant: &Arena) {
    secrets(tenant, (0..REFERENCES).map(short_name)).await;
    deployment(tenant, with_references("references")).await;
}

pub(super) fn write_references(work: &mut JoinSet<()>, tenant: &Arc<Arena>) {
    let api = tenant.api("Deployment");
    every(work, times_a_second(5), move |number| {
        let api = api.clone();
        async move {
            let note = json!({ "note": number.to_string() });
            let patch = json!({ "spec": { "template": { "metadata": { "annotations": note } } } });
            merge(&api, "references", &patch).await;
        }
    });
}

// === rollouts ===

const HANG: usize = 3;

pub(super) async fn rollouts(tenant: &Arena) {
    secrets(tenant, ["hangs".to_owned()]).await;
    let name = |number| format!("hangs-{number}");
    for number in 0..HANG {
        deployment(tenant, hanging(&name(number), "hangs")).await;
    }
    for number in 0..HANG {
        tenant.adopted("Deployment", &name(number)).await;
    }
}

pub(super) fn write_rollouts(work: &mut JoinSet<()>, tenant: &Arc<Arena>) {
    write_secret(work, tenant, 1, |_| "hangs".to_owned());
}
