//! The life of one pod: its volumes, its container as a process, probes, status, SIGTERM and the end.

use std::{fs::File, net::Ipv4Addr, path::Path, process::Stdio, sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::{Container, Pod, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PatchParams, Preconditions},
};
use serde_json::json;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    node::{Shared, get, status},
    volumes::Volumes,
};

/// Where a container finds its account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Kubelets take up to a minute to show a changed Secret; a test need not wait for that.
const REFRESH: Duration = Duration::from_millis(300);
/// Between the end of a container and its next start.
const BACK_OFF: Duration = Duration::from_secs(1);

struct Life {
    shared: Arc<Shared>,
    pod: Pod,
    container: Container,
    address: Ipv4Addr,
}

/// Runs a pod until it is told to stop, and deletes it then.
pub async fn live(shared: Arc<Shared>, pod: Pod, address: Ipv4Addr, stop: CancellationToken) {
    let containers = pod.spec.clone().unwrap().containers;
    let [container] = <[Container; 1]>::try_from(containers).expect("one container");
    let folder = shared.folder.path().join(pod.uid().unwrap());
    let volumes = Volumes::new(shared.client.clone(), pod.clone(), folder.clone());
    let life = Life {
        shared,
        pod,
        container,
        address,
    };
    Box::pin(life.run(volumes, &folder, &stop)).await;
    life.forget().await;
}

impl Life {
    async fn run(&self, mut volumes: Volumes, folder: &Path, stop: &CancellationToken) {
        while volumes.refresh().await.is_none() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(REFRESH) => {}
            }
        }
        let policy = self.pod.spec.as_ref().unwrap().restart_policy.as_deref();
        if policy == Some("Never") {
            self.run_once(&volumes, folder).await;
            return stop.cancelled().await;
        }
        loop {
            let mut child = self.spawn(&volumes, folder);
            self.set_ready(false).await;
            let ended = tokio::select! {
                status = child.wait() => format!("ended with {}", status.unwrap()),
                () = self.probe_readiness() => unreachable!("it goes on"),
                () = self.probe_liveness() => "is not alive".to_owned(),
                () = refresh(&mut volumes) => unreachable!("it goes on"),
                () = stop.cancelled() => return self.end(child).await,
            };
            self.mishap(&ended);
            drop(child);
            self.set_ready(false).await;
            sleep(BACK_OFF).await;
        }
    }

    /// A pod that ends by itself, such as that of `helm test`.
    async fn run_once(&self, volumes: &Volumes, folder: &Path) {
        let ended = self.spawn(volumes, folder).wait().await.unwrap();
        let phase = if ended.success() {
            "Succeeded"
        } else {
            "Failed"
        };
        let patch = status(&json!({ "phase": phase }));
        let name = self.pod.name_any();
        self.pods()
            .patch_status(&name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// What the image's entry point is given: `args`, and nothing of this process's environment.
    fn spawn(&self, volumes: &Volumes, folder: &Path) -> Child {
        assert_eq!(
            self.container.command, None,
            "the image's entry point is run"
        );
        let mounts = self.container.volume_mounts.clone().unwrap();
        let account = mounts.iter().find(|mount| mount.mount_path == ACCOUNT);
        let account = volumes.path(&account.expect("the account's token").name);
        let mut arguments = self.container.args.clone().unwrap();
        for argument in &mut arguments {
            for mount in &mounts {
                assert_eq!(mount.sub_path, None, "a file that would never change");
                let path = volumes.path(&mount.name);
                *argument = argument.replace(&mount.mount_path, path.to_str().unwrap());
            }
            // The pod's network has this one address.
            *argument = argument.replace("=0.0.0.0:", &format!("={}:", self.address));
        }
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, self.kubeconfig(&account)).unwrap();
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.shared.logs)
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_reroll"));
        command
            .args(arguments)
            .env_clear()
            .env("HOSTNAME", self.pod.name_any())
            // In place of KUBERNETES_SERVICE_HOST: what is found by that reads the account at a fixed path.
            .env("REROLL_KUBECONFIG", &kubeconfig)
            .env("KUBECONFIG", kubeconfig)
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    fn environment(&self) -> Vec<(String, String)> {
        let variables = self.container.env.clone().unwrap_or_default();
        let value = |variable: k8s_openapi::api::core::v1::EnvVar| {
            let value = match variable.value_from {
                None => variable.value.unwrap_or_default(),
                Some(from) => match from
                    .field_ref
                    .expect("a field of the pod")
                    .field_path
                    .as_str()
                {
                    "metadata.name" => self.pod.name_any(),
                    "metadata.namespace" => self.pod.namespace().unwrap(),
                    other => panic!("a field that is not known here: {other}"),
                },
            };
            (variable.name, value)
        };
        variables.into_iter().map(value).collect()
    }

    /// As client libraries make it of the account's files.
    fn kubeconfig(&self, account: &Path) -> String {
        let server = &self.shared.server;
        let mut cluster = json!({ "server": server });
        if server.starts_with("https:") {
            cluster["certificate-authority"] = json!(account.join("ca.crt"));
        }
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "pod",
            "clusters": [{ "name": "pod", "cluster": cluster }],
            "users": [{ "name": "pod", "user": { "tokenFile": account.join("token") } }],
            "contexts": [{ "name": "pod", "context": { "cluster": "pod", "user": "pod" } }],
        });
        config.to_string()
    }

    async fn probe_readiness(&self) {
        let probe = self.container.readiness_probe.as_ref().unwrap();
        let (mut failed, mut ready) = (0, false);
        loop {
            failed = if self.answers(probe).await {
                0
            } else {
                failed + 1
            };
            let now = failed == 0 || (ready && failed < probe.failure_threshold.unwrap());
            if now != ready {
                self.set_ready(now).await;
            }
            ready = now;
            // Kubelets ask a pod that starts more often than the period says.
            let pause = if ready { period(probe) } else { REFRESH };
            sleep(pause).await;
        }
    }

    /// Returns when the container is to be killed.
    async fn probe_liveness(&self) {
        let probe = self.container.liveness_probe.as_ref().unwrap();
        let mut failed = 0;
        while failed < probe.failure_threshold.unwrap() {
            sleep(period(probe)).await;
            failed = if self.answers(probe).await {
                0
            } else {
                failed + 1
            };
        }
    }

    async fn answers(&self, probe: &Probe) -> bool {
        let action = probe.http_get.as_ref().unwrap();
        let port = match &action.port {
            IntOrString::Int(port) => *port,
            IntOrString::String(name) => {
                let ports = self.container.ports.as_ref().unwrap();
                let named = ports.iter().find(|port| port.name.as_ref() == Some(name));
                named.expect("a port of that name").container_port
            }
        };
        let answer = get(self.address, port, action.path.as_ref().unwrap()).await;
        answer.is_some_and(|(code, _)| (200..400).contains(&code))
    }

    async fn set_ready(&self, ready: bool) {
        let uid = self.pod.uid().unwrap();
        if let Some(known) = self.shared.pods.lock().unwrap().get_mut(&uid) {
            known.ready = ready;
        }
        let [_, rest @ ..] = self.address.octets();
        let ip = format!("10.{}.{}.{}", rest[0], rest[1], rest[2]);
        let so = if ready { "True" } else { "False" };
        let now = reroll::state::system_clock()().to_string();
        let condition =
            |kind: &str| json!({ "type": kind, "status": so, "lastTransitionTime": now });
        let patch = status(&json!({
            "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }], "startTime": now,
            "conditions": [condition("Ready"), condition("ContainersReady")],
            "containerStatuses": [{
                "name": self.container.name, "image": self.container.image, "imageID": "", "ready": ready,
                "started": true, "restartCount": 0, "state": { "running": { "startedAt": now } },
            }],
        }));
        // It may be gone meanwhile.
        drop(
            self.pods()
                .patch_status(&self.pod.name_any(), &PatchParams::default(), &patch)
                .await,
        );
    }

    /// SIGTERM, time to end, and SIGKILL.
    async fn end(&self, mut child: Child) {
        let pid = child.id().unwrap().to_string();
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap();
        let grace = self
            .pod
            .spec
            .as_ref()
            .unwrap()
            .termination_grace_period_seconds
            .unwrap();
        let grace = Duration::from_secs(grace.unsigned_abs());
        match timeout(grace, child.wait()).await {
            Err(_) => self.mishap("had to be killed"),
            Ok(status) => {
                let status = status.unwrap();
                if !status.success() {
                    self.mishap(&format!("ended with {status} after SIGTERM"));
                }
            }
        }
    }

    /// Its process is gone, so it may go.
    async fn forget(&self) {
        let params = DeleteParams::default()
            .grace_period(0)
            .preconditions(Preconditions {
                uid: self.pod.uid(),
                ..Preconditions::default()
            });
        drop(self.pods().delete(&self.pod.name_any(), &params).await);
        self.shared
            .pods
            .lock()
            .unwrap()
            .remove(&self.pod.uid().unwrap());
    }

    fn mishap(&self, what: &str) {
        let what = format!("{} {what}", self.pod.name_any());
        self.shared.mishaps.lock().unwrap().push(what);
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.shared.client.clone(), &self.pod.namespace().unwrap())
    }
}

async fn refresh(volumes: &mut Volumes) {
    loop {
        sleep(REFRESH).await;
        // A source that went away leaves its files where they are.
        volumes.refresh().await;
    }
}

fn period(probe: &Probe) -> Duration {
    Duration::from_secs(probe.period_seconds.unwrap().unsigned_abs().into())
}
