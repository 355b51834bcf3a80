//! kube-proxy for the Services of one namespace: a connection to a Service's address reaches a pod that is ready.
//!
//! API servers call a webhook by the address of its Service. Connections that are open stay with their pod.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use k8s_openapi::api::{
    core::v1::{Service, ServicePort},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use reroll_harness::Arena;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::node::on_loopback;

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The slices of endpoints, by name.
type Slices = Arc<Mutex<BTreeMap<String, EndpointSlice>>>;

/// It works until it is dropped.
pub struct KubeProxy {
    _tasks: JoinSet<()>,
}

impl KubeProxy {
    /// For the Services of reroll's own namespace.
    pub fn start(arena: &Arena) -> Self {
        let slices = Slices::default();
        let mut tasks = JoinSet::new();
        let api = Api::namespaced(arena.client.clone(), &arena.own_namespace);
        tasks.spawn(watch_endpoints(api, Arc::clone(&slices)));
        let api = Api::namespaced(arena.client.clone(), &arena.own_namespace);
        tasks.spawn(watch_services(api, slices));
        Self { _tasks: tasks }
    }
}

async fn watch_endpoints(api: Api<EndpointSlice>, slices: Slices) {
    let mut events = watcher(api, watcher::Config::default())
        .default_backoff()
        .boxed();
    while let Some(event) = events.next().await {
        let mut slices = slices.lock().unwrap();
        match event {
            Ok(watcher::Event::Apply(slice) | watcher::Event::InitApply(slice)) => {
                slices.insert(slice.name_any(), slice);
            }
            Ok(watcher::Event::Delete(slice)) => _ = slices.remove(&slice.name_any()),
            _ => {}
        }
    }
}

/// Listens where Services are.
async fn watch_services(api: Api<Service>, slices: Slices) {
    let mut events = watcher(api, watcher::Config::default())
        .default_backoff()
        .boxed();
    let mut served: BTreeMap<String, JoinSet<()>> = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(service) | watcher::Event::InitApply(service)) => {
                let name = service.name_any();
                // Neither addresses nor ports of a Service change here.
                served
                    .entry(name)
                    .or_insert_with(|| serve(&service, &slices));
            }
            Ok(watcher::Event::Delete(service)) => drop(served.remove(&service.name_any())),
            _ => {}
        }
    }
}

fn serve(service: &Service, slices: &Slices) -> JoinSet<()> {
    let mut listeners = JoinSet::new();
    let spec = service.spec.clone().unwrap();
    // "None" is headless: by its name one finds the pods.
    let Ok(address) = spec.cluster_ip.unwrap().parse::<Ipv4Addr>() else {
        return listeners;
    };
    for port in spec.ports.unwrap() {
        let slices = Arc::clone(slices);
        listeners.spawn(listen(service.name_any(), address, port, slices));
    }
    listeners
}

async fn listen(service: String, address: Ipv4Addr, port: ServicePort, slices: Slices) {
    let number = u16::try_from(port.port).unwrap();
    let listener = TcpListener::bind((address, number)).await.unwrap();
    let mut open = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let to = endpoints(&slices.lock().unwrap(), &service, port.name.as_deref());
        let Some(to) = fastrand::choice(to) else {
            eprintln!("Service {service}: no pod is ready, a connection is cut");
            continue;
        };
        open.spawn(async move {
            let _ = client.set_nodelay(true);
            match TcpStream::connect(to).await {
                Ok(mut pod) => {
                    let _ = pod.set_nodelay(true);
                    // Err is a side that went away.
                    let _ = copy_bidirectional(&mut client, &mut pod).await;
                }
                Err(error) => eprintln!("a connection to {to} is cut: {error}"),
            }
        });
        while open.try_join_next().is_some() {}
    }
}

/// Those of a Service that are ready, on the port of this name.
fn endpoints(
    slices: &BTreeMap<String, EndpointSlice>,
    service: &str,
    port: Option<&str>,
) -> Vec<SocketAddr> {
    let mut all = Vec::new();
    for slice in slices.values() {
        if slice
            .labels()
            .get(SERVICE_NAME)
            .is_none_or(|of| of != service)
        {
            continue;
        }
        let ports = slice.ports.iter().flatten();
        for port in ports
            .filter(|known| known.name.as_deref() == port)
            .filter_map(|port| port.port)
        {
            let port = u16::try_from(port).unwrap();
            for endpoint in &slice.endpoints {
                let ready = endpoint.conditions.as_ref().and_then(|so| so.ready);
                if ready == Some(true) {
                    let address: Ipv4Addr = endpoint.addresses[0].parse().unwrap();
                    all.push((on_loopback(address), port).into());
                }
            }
        }
    }
    all
}
