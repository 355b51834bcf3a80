//! `DaemonSets` of which a node is down.

use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use reroll_harness::{Kubelet, Reroll, eventually};
use serde_json::json;

use super::{Stage, behaviour, held, of, slowly};

/// Two nodes of the test's own: the stage's, and one more that goes down.
struct Nodes {
    api: Api<Node>,
    other: Kubelet,
    all: [String; 2],
}

impl Nodes {
    async fn of(stage: &Stage) -> Self {
        let api = Api::<Node>::all(stage.arena.client.clone());
        let other = Kubelet::join_as(&stage.arena, "other", behaviour).await;
        let all = [stage.kubelet.node.clone(), other.node.clone()];
        let label = json!({ "metadata": { "labels": { "of": stage.arena.namespace } } });
        for node in &all {
            let (params, patch) = (PatchParams::default(), Patch::Merge(&label));
            api.patch(node, &params, &patch).await.unwrap();
        }
        Self { api, other, all }
    }

    /// Adds a DaemonSet with a pod on each, of which so many run. At most so many may be unavailable.
    async fn add(&self, stage: &mut Stage, name: &str, running: u64, unavailable: u64) {
        let mut manifest = of("DaemonSet", name);
        manifest["spec"]["updateStrategy"] =
            json!({ "rollingUpdate": { "maxUnavailable": unavailable } });
        let pod = &mut manifest["spec"]["template"]["spec"];
        pod["nodeSelector"] = json!({ "of": stage.arena.namespace });
        pod["tolerations"] = json!([{ "operator": "Exists" }]);
        pod["terminationGracePeriodSeconds"] = json!(0);
        stage.arena.create(&manifest).await;
        has_pods(stage, name, running).await;
        stage.users.push(("DaemonSet", name.to_owned()));
    }

    /// Removes them, and before that what would miss them.
    async fn remove(self, stage: &Stage) {
        for (kind, name) in &stage.users {
            stage.arena.delete(kind, name).await;
        }
        for node in &self.all {
            let params = DeleteParams::default();
            self.api.delete(node, &params).await.unwrap();
        }
    }
}

async fn has_pods(stage: &Stage, name: &str, running: u64) {
    eventually(&format!("{running} of its two pods run"), async || {
        let object = stage.arena.get("DaemonSet", name).await;
        let status = &object.data["status"];
        let counts = ["desiredNumberScheduled", "numberAvailable"];
        let counts = counts.map(|count| status[count].as_u64());
        (counts == [Some(2), Some(running)]).then_some(())
    })
    .await;
}

/// Three `DaemonSets` of which a node is down. Those pods that run are replaced all the same.
async fn set(name: &str) -> (Stage, Nodes, Reroll) {
    let mut stage = Stage::set(name).await;
    let mut nodes = Nodes::of(&stage).await;
    nodes.other.goes_down().await;
    for name in ["d-1", "d-2", "d-3"] {
        nodes.add(&mut stage, name, 1, 2).await;
    }
    let reroll = stage.start().await;
    (stage, nodes, reroll)
}

#[tokio::test]
async fn a_daemon_set_completes_though_a_node_is_down() {
    let (stage, nodes, _reroll) = set("slow-node-down").await;
    stage.change("good too").await;
    stage.each_was_restarted(|_| 1).await;
    stage.nothing_is_told().await;
    nodes.remove(&stage).await;
}

#[tokio::test]
async fn a_bad_value_breaks_one_daemon_set_though_a_node_is_down() {
    let (stage, nodes, reroll) = set("slow-node-bad").await;
    stage.change("bad").await;
    let (broken, _) = stage.one_is_broken_and_the_rest_wait(&reroll).await;
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted(), [&broken]);
    nodes.remove(&stage).await;
}

/// Kubernetes replaces no pod of it that runs, because as many are unavailable as may be; that on the node that is down is a new
/// one. It opens no room, and nobody waits for it.
#[tokio::test]
async fn a_daemon_set_that_a_node_stalls_is_no_verdict() {
    let mut stage = Stage::set("slow-node-stalls").await;
    let mut nodes = Nodes::of(&stage).await;
    nodes.other.goes_down().await;
    // It has more pods, so it shows most, and goes first.
    nodes.add(&mut stage, "first", 1, 1).await;
    for name in ["w-1", "w-2", "w-3"] {
        stage.add("Deployment", name, 1).await;
    }
    let reroll = stage.start().await;
    stage.change("bad").await;
    stage.are_restarted(2).await;
    held(&reroll, 2).await;
    let [first, broken] = stage.restarted()[..] else {
        panic!("{:?}", stage.restarted());
    };
    assert_eq!(first, "first");
    let said = stage.stuck(first).await;
    assert!(
        said.contains("no new pod was good by its deadline"),
        "{said}"
    );
    stage.stuck(broken).await;
    let broken = broken.to_owned();
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted(), ["first", &broken]);
    stage.change("good again").await;
    let times = |name: &str| 1 + usize::from(name == "first" || name == broken);
    stage.each_was_restarted(times).await;
    nodes.remove(&stage).await;
}

/// Waits until the pods of a restart were looked at by who logs here.
async fn looked(reroll: &Reroll) {
    eventually("its pods were looked at", async || {
        let looked = "looked at the pods of a restart";
        reroll.log().contains(looked).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_goes_down_long_after_is_no_verdict() {
    let mut stage = Stage::set("slow-node-later").await;
    let mut nodes = Nodes::of(&stage).await;
    nodes.add(&mut stage, "d-1", 2, 1).await;
    let reroll = stage.start().await;
    stage.change("good too").await;
    stage.each_was_restarted(|_| 1).await;
    has_pods(&stage, "d-1", 2).await;
    assert!(reroll.stop().await);
    stage.age().await;
    let next = slowly(&stage.arena).log_as("slow-node-later-next");
    let reroll = stage.start_as(next).await;
    reroll.leads().await;
    nodes.other.goes_down().await;
    for pod in stage.arena.pods("d-1").await {
        let on = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        if on.as_ref() == Some(&nodes.other.node) {
            stage.arena.delete("Pod", &pod.name_any()).await;
        }
    }
    has_pods(&stage, "d-1", 1).await;
    looked(&reroll).await;
    stage.recorder.settle(&stage.arena).await;
    stage.nothing_is_told().await;
    // Who has just started does not know that it was complete once, and its pods are younger than the restart's deadline.
    reroll.kill();
    let last = slowly(&stage.arena).log_as("slow-node-later-last");
    let reroll = stage.start_as(last).await;
    reroll.leads().await;
    looked(&reroll).await;
    stage.recorder.settle(&stage.arena).await;
    stage.nothing_is_told().await;
    nodes.remove(&stage).await;
}
