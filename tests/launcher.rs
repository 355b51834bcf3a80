//! The clusters which the other tests run on: several at once never meet, a killed component can be started again, and
//! no cluster outlives the process which holds it.
#![cfg(target_os = "linux")] // Reads /proc.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::{Api, api::ListParams};
use reroll_harness::cluster::Cluster;

/// What the holder says when its cluster is there, followed by its kubeconfig.
const HOLDING: &str = "holding ";

#[tokio::test]
async fn clusters_do_not_meet_and_leave_nothing() {
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| Cluster::start().unwrap());
        let other = scope.spawn(|| Cluster::start().unwrap());
        (one.join().unwrap(), other.join().unwrap())
    });
    assert_ne!(one.address().await, other.address().await);
    assert_ne!(one.etcd_url().unwrap(), other.etcd_url().unwrap());
    for cluster in [&one, &other] {
        let nodes = Api::<Node>::all(cluster.client().await);
        assert_eq!(
            nodes
                .list(&ListParams::default())
                .await
                .unwrap()
                .items
                .len(),
            3
        );
    }

    let kubeconfig = one.kubeconfig().to_owned();
    // etcd, the API server, the controllers, the scheduler and kwok.
    let components = processes_of(&kubeconfig);
    assert_eq!(components.len(), 5, "{components:#?}");
    drop(one);
    assert_eq!(remains_of(&kubeconfig), Vec::<String>::new());
    other.client().await.apiserver_version().await.unwrap();
}

#[tokio::test]
async fn a_killed_api_server_comes_back_with_its_data() {
    let cluster = Cluster::start().unwrap();
    let client = cluster.client().await;
    let created = cluster
        .kubectl()
        .args(["create", "namespace", "kept"])
        .output()
        .unwrap();
    assert!(created.status.success(), "{created:?}");
    let killed = cluster.component_pid("kube-apiserver").unwrap();

    cluster.kill_component("kube-apiserver").unwrap();
    client.apiserver_version().await.unwrap_err();
    cluster.start_components().unwrap();

    assert_ne!(cluster.component_pid("kube-apiserver").unwrap(), killed);
    Api::<Namespace>::all(client).get("kept").await.unwrap();
}

/// A process killed by SIGKILL has no chance to clean up, or to tell another process to.
#[test]
fn a_cluster_ends_with_its_killed_holder() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holder", "--ignored"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let kubeconfig = BufReader::new(holder.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix(HOLDING).map(str::to_owned))
        .expect("a cluster held by another process");
    let kubeconfig = Path::new(&kubeconfig);
    let components = processes_of(kubeconfig);
    assert_eq!(components.len(), 5, "{components:#?}");

    holder.kill().unwrap();
    holder.wait().unwrap();

    let deadline = Instant::now() + Duration::from_mins(5);
    while !remains_of(kubeconfig).is_empty() {
        assert!(
            Instant::now() < deadline,
            "{:?} are left",
            remains_of(kubeconfig)
        );
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "the process which `a_cluster_ends_with_its_killed_holder` kills"]
fn holder() {
    let cluster = Cluster::start().unwrap();
    // A line of its own, which the test harness neither captures nor begins.
    writeln!(
        io::stdout(),
        "\n{HOLDING}{}",
        cluster.kubeconfig().display()
    )
    .unwrap();
    io::stdin().lines().for_each(drop);
}

/// What there is of the cluster with this kubeconfig: processes and its folder.
fn remains_of(kubeconfig: &Path) -> Vec<String> {
    let folder = kubeconfig.parent().unwrap();
    let folder = folder.exists().then(|| folder.display().to_string());
    processes_of(kubeconfig).into_iter().chain(folder).collect()
}

/// The command lines of the components of the cluster with this kubeconfig: each has a path to its data.
fn processes_of(kubeconfig: &Path) -> Vec<String> {
    let data = format!("{}/clusters/", kubeconfig.parent().unwrap().display());
    fs::read_dir("/proc")
        .unwrap()
        // A process may end between being listed and being read.
        .filter_map(|process| fs::read(process.ok()?.path().join("cmdline")).ok())
        .map(|command| String::from_utf8_lossy(&command).replace('\0', " "))
        .filter(|command| command.contains(&data))
        .collect()
}
