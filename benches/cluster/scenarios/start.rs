//! A start in a full namespace: how long until it is ready, what that costs, and what a minute costs in which nothing
//! happens.

use std::{collections::BTreeMap, sync::Arc, time::Duration, time::Instant};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret},
};
use kube::{Api, Resource, api::ListParams};
use reroll_harness::{numbered, report::Samples};
use tokio::sync::Mutex;

use super::ms;
use crate::{bed::Bed, contender::Contender};

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

/// Of most Secrets.
const BYTES: usize = 2 << 10;

pub(super) const MANY: Size = Size::new(20_000, BYTES, 1000);
pub(super) const HUGE: Size = Size::new(50_000, BYTES, 10_000);
pub(super) const LARGE: Size = Size::new(300, 1_000_000, 100);
pub(super) const UNREFERENCED: Size = Size::new(2000, 40_000, 0);

/// What grows, in a namespace for each number of workloads: the Secrets.
const SECRETS: [usize; 3] = [1000, 10_000, 50_000];
const WORKLOADS: [usize; 3] = [100, 1000, 10_000];
/// Starts at each size, the floor's and the contender's by turns.
const STARTS: usize = 3;

const IDLE: Duration = Duration::from_mins(1);

/// Filled once for all who start there with the same annotation: it takes longer than what is measured.
static BEDS: Mutex<BTreeMap<(Size, String), Arc<Bed>>> = Mutex::const_new(BTreeMap::new());

pub(super) async fn run(contender: &Contender, size: Size, repeat: usize) -> Samples {
    let mut samples = Samples::default();
    let bed = bed(contender, size).await;
    if matches!(contender, Contender::Reroll(_)) && repeat == 0 {
        adopt(contender, &bed).await;
    }
    for (what, value) in start(contender, &bed).await {
        samples.add(what, value);
    }
    samples
}

/// Starts at each size. The floor's are made in the same namespace, for there is nothing that it changes.
pub(super) async fn grow(contender: &Contender) -> Samples {
    let mut samples = Samples::default();
    if matches!(contender, Contender::Floor) {
        return samples;
    }
    for workloads in WORKLOADS {
        let [fewest, ..] = SECRETS;
        let users =
            numbered(workloads).zip(numbered(fewest).collect::<Vec<_>>().into_iter().cycle());
        let bed = Bed::new("growth", contender, numbered(fewest), users, BYTES).await;
        adopt(contender, &bed).await;
        let mut before = fewest;
        for secrets in SECRETS {
            bed.more(numbered(secrets).skip(before), BYTES).await;
            before = secrets;
            for _ in 0..STARTS {
                let at = |what: &str| format!("{secrets} Secrets, {workloads} workloads: {what}");
                for (what, value) in start(&Contender::Floor, &bed).await {
                    samples.of("floor", &at(what), value);
                }
                for (what, value) in start(contender, &bed).await {
                    samples.add(&at(what), value);
                }
            }
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

/// Adoption happens once, and is not what is measured.
async fn adopt(contender: &Contender, bed: &Bed) {
    let running = contender.start(bed, |builder| builder).await;
    bed.adopted(contender).await;
    running.stop().await;
}

async fn start(contender: &Contender, bed: &Bed) -> Vec<(&'static str, f64)> {
    bed.quiet().await;
    let began = Instant::now();
    let running = contender.start(bed, |builder| builder).await;
    if matches!(contender, Contender::Floor) {
        tokio::join!(
            list::<Secret>(bed),
            list::<ConfigMap>(bed),
            list::<Deployment>(bed)
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
