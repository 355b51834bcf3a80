//! Helm: it writes a Secret and its Deployment one after the other, and as its own object or by a PUT that replaces.

use std::{fs, path::Path};

use reroll_harness::{Arena, LAST_RESTART, OBSERVED, Recorder, Reroll};

const CHART: &str = "
apiVersion: v2
name: app
version: 1.0.0
";
const SECRET: &str = "
apiVersion: v1
kind: Secret
metadata: { name: app }
stringData: { password: {{ .Values.password | quote }} }
";
const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  annotations: { reroll.dev/restart-on: auto }
spec:
  replicas: 0
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      containers:
      - name: app
        image: registry.example/app:{{ .Values.tag }}
        env:
        - name: PASSWORD
          valueFrom: { secretKeyRef: { name: app, key: password } }
";

#[tokio::test]
async fn server_side_apply() {
    life_of_a_release("helm-server", "--server-side=true").await;
}

#[tokio::test]
async fn client_side_merge() {
    life_of_a_release("helm-client", "--server-side=false").await;
}

async fn life_of_a_release(name: &str, side: &'static str) {
    let release = Release::new(name, side).await;
    release.upgrade("one", "1", &["--install"], 0).await;
    release.upgrade("two", "1", &[], 1).await;
    release.upgrade("three", "2", &[], 2).await;
    release.upgrade("three", "3", &[], 3).await;
    release.upgrade("three", "3", &[], 3).await;
    // To ("two", "1"): both change. To ("one", "1"): the Secret alone.
    release.rollback("2", 4).await;
    release.rollback("1", 5).await;
    // Only a merge by the client can be made a replacement.
    let replace = ["--force-replace", "--server-side=false"];
    release.upgrade("two", "1", &replace, 6).await;
    release.upgrade("three", "2", &replace, 7).await;
    release.upgrade("three", "2", &replace, 7).await;
    let app = release.arena.get("Deployment", "app").await;
    let annotations = app.metadata.annotations.unwrap();
    assert!(annotations.contains_key(OBSERVED) && annotations.contains_key(LAST_RESTART));
    release.reinstall().await;
}

/// A chart, and what it is installed as.
struct Release {
    arena: Arena,
    recorder: Recorder,
    chart: tempfile::TempDir,
    side: &'static str,
    reroll: Reroll,
}

impl Release {
    async fn new(name: &str, side: &'static str) -> Self {
        let arena = Arena::new(name).await;
        // Helm's writes of one release are within the settle time, also on a busy machine.
        let reroll = arena.reroll().flag("--settle", "8s").start().await;
        let chart = tempfile::tempdir().unwrap();
        write_chart(chart.path());
        Self {
            recorder: arena.record().await,
            arena,
            chart,
            side,
            reroll,
        }
    }

    /// Upgrades to these values; so many rollouts have been made then.
    async fn upgrade(&self, password: &str, tag: &str, flags: &[&str], rollouts: usize) {
        let chart = self.chart.path().to_str().unwrap();
        let values = format!("password={password},tag=v{tag}");
        let mut arguments = vec!["upgrade", "app", chart, "--set", &values, self.side];
        arguments.extend(flags);
        self.arena.helm(&arguments).await.ok();
        self.expect(rollouts, &arguments).await;
    }

    async fn rollback(&self, revision: &str, rollouts: usize) {
        let arguments = ["rollback", "app", revision, self.side];
        self.arena.helm(&arguments).await.ok();
        self.expect(rollouts, &arguments).await;
    }

    /// The same once more is another Deployment, which has never been rolled.
    async fn reinstall(&self) {
        self.arena.helm(&["uninstall", "app"]).await.ok();
        self.upgrade("three", "2", &["--install"], 0).await;
        self.upgrade("four", "2", &[], 1).await;
    }

    async fn expect(&self, rollouts: usize, arguments: &[&str]) {
        self.recorder.settle_slowly(&self.arena, &self.reroll).await;
        let made = self.recorder.rollouts("Deployment", "app");
        assert_eq!(
            made,
            rollouts,
            "rollouts after helm {}",
            arguments.join(" ")
        );
    }
}

fn write_chart(folder: &Path) {
    fs::create_dir(folder.join("templates")).unwrap();
    for (file, text) in [
        ("Chart.yaml", CHART),
        ("templates/secret.yaml", SECRET),
        ("templates/deployment.yaml", DEPLOYMENT),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
}
