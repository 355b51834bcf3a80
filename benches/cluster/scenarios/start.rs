//! A start in a namespace that is full: how long until it is ready, what it costs, and what it costs when nothing
//! happens.

use std::{collections::BTreeMap, sync::Arc, time::Duration, time::Instant};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret},
};
use kube::{Api, Resource, api::ListParams};
use tokio::sync::Mutex;

use super::ms;
use crate::{bed::Bed, contender::Contender, report::Samples, support::numbered};

/// How full a namespace is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size {
    secrets: usize,
    bytes: usize,
    workloads: usize,
}

impl Size {
    const fn new(secrets: usize, bytes: usize, workloads: usize) -> Self {
        Self {
            secrets,
            bytes,
            workloads,
        }
    }
}

pub(super) const MANY: Size = Size::new(20_000, 2 << 10, 1000);
pub(super) const HUGE: Size = Size::new(50_000, 2 << 10, 10_000);
pub(super) const LARGE: Size = Size::new(300, 1_000_000, 100);
pub(super) const UNREFERENCED: Size = Size::new(2000, 40_000, 0);

/// What grows: the Secrets, and then the workloads. [`HUGE`] is what comes next.
const GROWING: [Size; 4] = [
    Size::new(1000, 2 << 10, 100),
    Size::new(10_000, 2 << 10, 100),
    Size::new(10_000, 2 << 10, 1000),
    Size::new(50_000, 2 << 10, 1000),
];

const IDLE: Duration = Duration::from_mins(1);

/// Filled once for all who start there with the same annotation: it takes longer than what is measured.
static BEDS: Mutex<BTreeMap<(Size, String), Arc<Bed>>> = Mutex::const_new(BTreeMap::new());

pub(super) async fn run(contender: &Contender, size: Size, repeat: usize) -> Samples {
    let mut samples = Samples::default();
    let started = start(contender, size, repeat).await;
    for (what, value) in started {
        samples.add(what, value);
    }
    samples
}

/// A start at each size.
pub(super) async fn grow(contender: &Contender, repeat: usize) -> Samples {
    let mut samples = Samples::default();
    for size in GROWING {
        for (what, value) in start(contender, size, repeat).await {
            let at = format!("{} Secrets, {} workloads", size.secrets, size.workloads);
            samples.add(&format!("{at}: {what}"), value);
        }
    }
    samples
}

/// What a minute costs in which nothing changes.
pub(super) async fn idle(contender: &Contender) -> Samples {
    let mut samples = Samples::default();
    if matches!(contender, Contender::Floor) {
        return samples;
    }
    let bed = bed(contender, MANY).await;
    let running = contender.start(&bed, |builder| builder).await;
    bed.adopted(contender).await;
    tokio::time::sleep(IDLE / 6).await;
    let (before, began) = (running.cost().cpu_seconds, Instant::now());
    tokio::time::sleep(IDLE).await;
    let cost = running.cost();
    let share = (cost.cpu_seconds - before) / began.elapsed().as_secs_f64();
    samples.add("CPU when nothing changes, % of a core", share * 100.0);
    samples.add("RSS after a minute, MiB", cost.rss_mib);
    running.stop().await;
    samples
}

async fn bed(contender: &Contender, size: Size) -> Arc<Bed> {
    let mut beds = BEDS.lock().await;
    let whose = (size, contender.annotation().0.to_owned());
    if let Some(bed) = beds.get(&whose) {
        return Arc::clone(bed);
    }
    let users = numbered(size.workloads).map(|name| (name.clone(), name));
    let secrets = numbered(size.secrets);
    let bed = Arc::new(Bed::new("start", contender, secrets, users, size.bytes).await);
    beds.insert(whose, Arc::clone(&bed));
    bed
}

async fn start(contender: &Contender, size: Size, repeat: usize) -> Vec<(&'static str, f64)> {
    let bed = bed(contender, size).await;
    if matches!(contender, Contender::Reroll) && repeat == 0 {
        // Adoption happens once, and is not what is measured.
        let running = contender.start(&bed, |builder| builder).await;
        bed.adopted(contender).await;
        running.stop().await;
    }
    bed.quiet().await;
    let began = Instant::now();
    let running = contender.start(&bed, |builder| builder).await;
    if matches!(contender, Contender::Floor) {
        tokio::join!(
            list::<Secret>(&bed),
            list::<ConfigMap>(&bed),
            list::<Deployment>(&bed)
        );
    }
    let took = ms(began.elapsed());
    let mut all = Vec::new();
    // A peer does not say when it is ready.
    if !matches!(contender, Contender::Peer(_)) {
        all.push(("until ready, ms", took));
    }
    if running.works() {
        let cost = running.cost();
        all.push(("RSS when ready, MiB", cost.rss_mib));
        all.push(("peak until ready, MiB", cost.peak_mib));
        all.push(("CPU until ready, s", cost.cpu_seconds));
    }
    running.stop().await;
    all
}

/// The bare list, page by page, as the API server gives it.
async fn list<K>(bed: &Bed)
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    let api = Api::<K>::namespaced(bed.arena.client.clone(), &bed.arena.namespace);
    let mut page = ListParams::default().limit(500);
    loop {
        let request = kube::core::Request::new(api.resource_url()).list(&page);
        let request = request.expect("it is well-formed");
        let text = bed.arena.client.request_text(request).await;
        let text = text.expect("it can be listed");
        let token = text
            .get(..text.len().min(4096))
            .and_then(|head| head.split("\"continue\":\"").nth(1)?.split('"').next());
        match token.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(token),
            None => return,
        }
    }
}
