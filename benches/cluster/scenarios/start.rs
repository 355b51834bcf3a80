//! A start in a namespace that is full: how long until it is ready, and what it costs.

use std::time::Instant;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret},
};
use kube::{Api, Resource, api::ListParams, core::PartialObjectMeta};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::ms;
use crate::{bed::Bed, contender::Contender, report::Samples, support::numbered};

/// How full a namespace is.
#[derive(Clone, Copy)]
pub(super) struct Size {
    name: &'static str,
    secrets: usize,
    bytes: usize,
    workloads: usize,
}

pub(super) const MANY: Size = Size {
    name: "start-many",
    secrets: 20_000,
    bytes: 2 << 10,
    workloads: 1000,
};

pub(super) const LARGE: Size = Size {
    name: "start-large",
    secrets: 300,
    bytes: 1_000_000,
    workloads: 100,
};

/// Filled once for all who start there: it takes longer than what is measured.
static MANY_BED: OnceCell<Bed> = OnceCell::const_new();
static LARGE_BED: OnceCell<Bed> = OnceCell::const_new();

pub(super) async fn run(contender: &Contender, size: Size, repeat: usize) -> Samples {
    let cell = if size.name == MANY.name {
        &MANY_BED
    } else {
        &LARGE_BED
    };
    let bed = cell
        .get_or_init(|| async {
            let users = numbered(size.workloads).map(|name| (name.clone(), name));
            Bed::new(
                size.name,
                contender,
                numbered(size.secrets),
                users,
                size.bytes,
            )
            .await
        })
        .await;
    let mut samples = Samples::default();
    if matches!(contender, Contender::Reroll) && repeat == 0 {
        // Adoption happens once, and is not what is measured.
        let running = contender.start(&bed.arena, |builder| builder).await;
        bed.adopted(contender).await;
        running.stop().await;
    }
    let began = Instant::now();
    let running = contender.start(&bed.arena, |builder| builder).await;
    if matches!(contender, Contender::Floor) {
        tokio::join!(
            list::<Secret>(bed),
            list::<ConfigMap>(bed),
            list::<Deployment>(bed)
        );
    }
    // A peer does not say when it is ready.
    if !matches!(contender, Contender::Peer(_)) {
        samples.add("until ready, ms", ms(began.elapsed()));
    }
    if running.works() {
        let cost = running.cost();
        samples.add("RSS when ready, MiB", cost.rss_mib);
        samples.add("peak until ready, MiB", cost.peak_mib);
        samples.add("CPU until ready, s", cost.cpu_seconds);
    }
    running.stop().await;
    samples
}

/// The bare list, page by page, as the API server gives it.
async fn list<K>(bed: &Bed)
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    let api = Api::<K>::namespaced(bed.arena.client.clone(), &bed.arena.namespace);
    let mut page = ListParams::default().limit(500);
    loop {
        let url = api.resource_url();
        let request = kube::core::Request::new(url)
            .list(&page)
            .expect("it is well-formed");
        let text = bed
            .arena
            .client
            .request_text(request)
            .await
            .expect("it can be listed");
        let token = text
            .get(..text.len().min(4096))
            .and_then(|head| head.split("\"continue\":\"").nth(1)?.split('"').next());
        match token.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(token),
            None => return,
        }
    }
}
