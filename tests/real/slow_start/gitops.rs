//! What is kept in Git is applied again and again: it knows nothing of what reroll wrote, and it may be older. So it takes
//! annotations of a gate, a release or what is pending away, and brings old ones back. Nothing is released by that which was not,
//! and nothing is held for ever.

use std::collections::BTreeMap;

use reroll_harness::{RELEASE, RESTART_ON, WAVE, WINDOW, env, eventually, workload};
use serde_json::{Value, json};

use super::{PENDING, Stage, windows::closed};

const SUSPEND: &str = "reroll.dev/suspend";

/// How a manifest is applied.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Each field that it does not have stays, if it is another manager's.
    ServerSide,
    /// The object is as the manifest has it.
    Update,
}

/// A workload with a Secret of its own, and what holds it.
struct Case {
    name: String,
    way: Way,
    gate: (&'static str, String),
    /// What it is counted as.
    reason: &'static str,
}

impl Case {
    fn all() -> Vec<Self> {
        let gates = [
            ("suspended", SUSPEND, "needs approval".to_owned()),
            ("window", WINDOW, closed()),
            ("wave", WAVE, "3".to_owned()),
        ];
        let mut all = Vec::new();
        for way in [Way::ServerSide, Way::Update] {
            for (reason, key, value) in &gates {
                let name = format!("{reason}-{way:?}").to_lowercase();
                let (gate, reason) = ((*key, value.clone()), *reason);
                all.push(Self {
                    name,
                    way,
                    gate,
                    reason,
                });
            }
        }
        all
    }

    /// The manifest, with its gate or without it, and with these annotations.
    fn manifest(&self, gated: bool, more: &[(&str, &str)]) -> Value {
        let (key, value) = &self.gate;
        let gate = gated.then_some((*key, value.as_str()));
        let says = [(RESTART_ON, "auto")].into_iter().chain(gate);
        let says: Vec<_> = says.chain(more.iter().copied()).collect();
        workload("Deployment", &self.name, &says, env(&self.name, "k"))
    }
}

impl Stage {
    async fn apply(&self, case: &Case, gated: bool, more: &[(&str, &str)]) {
        let manifest = self.kubelet.runs(case.manifest(gated, more), 1);
        self.apply_as_it_is(case.way, &manifest).await;
    }

    async fn apply_as_it_is(&self, way: Way, manifest: &Value) {
        let arguments: &[&str] = match way {
            Way::ServerSide => &[
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager=gitops",
                "-f",
                "-",
            ],
            Way::Update => &["replace", "-f", "-"],
        };
        let manifest = manifest.to_string();
        self.arena.kubectl_with(arguments, &manifest).await.ok();
    }

    async fn change_of_all(&self, cases: &[Case], value: &str) {
        for case in cases {
            let data = [("k", value)];
            self.arena.update_secret(&case.name, &data).await;
        }
    }

    /// Waits until it stands on each why it waits, with another id than before. Returns the ids, and what stands there.
    async fn wait(
        &self,
        cases: &[Case],
        before: &BTreeMap<String, Value>,
    ) -> BTreeMap<String, Value> {
        let mut ids = BTreeMap::new();
        for case in cases {
            let what = format!("it stands on {} why it waits", case.name);
            let pending: Value = eventually(&what, async || {
                let text = self.arena.annotation("Deployment", &case.name, PENDING);
                let pending: Value = serde_json::from_str(&text.await?).unwrap();
                let is_new = before.get(&case.name) != Some(&pending["id"]);
                (is_new && pending["reason"] == case.reason).then_some(pending)
            })
            .await;
            ids.insert(case.name.clone(), pending["id"].clone());
        }
        ids
    }

    async fn nothing_is_pending(&self, cases: &[Case]) {
        for case in cases {
            let what = format!("nothing is pending on {}", case.name);
            eventually(&what, async || {
                let text = self.arena.annotation("Deployment", &case.name, PENDING);
                text.await.is_none().then_some(())
            })
            .await;
        }
    }

    async fn each_has(&self, cases: &[Case], restarts: usize) {
        self.recorder.settle(&self.arena).await;
        let expected = cases.iter().map(|case| (&case.name, restarts));
        self.recorder.expect_each("Deployment", expected);
    }

    async fn each_reaches(&self, cases: &[Case], restarts: usize) {
        for case in cases {
            let name = &case.name;
            self.recorder.reaches("Deployment", name, restarts).await;
        }
        self.each_has(cases, restarts).await;
    }
}

/// Everything is made, and one of a lower wave waits for its window where a wave holds.
async fn begin(cases: &[Case]) -> Stage {
    let stage = Stage::set("gitops").await;
    for case in cases {
        stage.arena.secret(&case.name, &[("k", "good")]).await;
        let manifest = stage.kubelet.runs(case.manifest(true, &[]), 1);
        match case.way {
            Way::ServerSide => stage.apply_as_it_is(case.way, &manifest).await,
            Way::Update => drop(stage.arena.create(&manifest).await),
        }
        if case.reason == "wave" {
            let says = [(RESTART_ON, "auto"), (WINDOW, &closed())];
            let low = format!("low-{}", case.name);
            let low = workload("Deployment", &low, &says, env(&case.name, "k"));
            stage.beside(&low, 1).await;
        }
    }
    for case in cases {
        stage.arena.pods_are(&case.name, 1, "Running").await;
    }
    stage
}

#[tokio::test]
async fn what_is_applied_again_releases_nothing_and_holds_nothing() {
    let cases = Case::all();
    let stage = begin(&cases).await;
    let _reroll = stage.start().await;
    stage.arena.all_adopted("Deployment").await;
    stage.change_of_all(&cases, "one").await;
    let first = stage.wait(&cases, &BTreeMap::new()).await;
    let mut exported = Vec::new();
    for case in &cases {
        let object = stage.arena.get("Deployment", &case.name).await;
        let annotations = json!(object.metadata.annotations);
        let mut manifest = stage.kubelet.runs(case.manifest(true, &[]), 1);
        manifest["metadata"]["annotations"] = annotations;
        exported.push(manifest);
        // It knows nothing of what is pending, and that comes back.
        stage.apply(case, true, &[]).await;
    }
    stage.each_has(&cases, 0).await;
    assert_eq!(stage.wait(&cases, &BTreeMap::new()).await, first);
    for case in &cases {
        let arena = &stage.arena;
        arena
            .annotate("Deployment", &case.name, RELEASE, Some("now"))
            .await;
    }
    stage.each_reaches(&cases, 1).await;
    stage.nothing_is_pending(&cases).await;

    // What was exported then says what was pending, and what was observed: none of it counts any more.
    for (case, manifest) in cases.iter().zip(&exported) {
        stage.apply_as_it_is(case.way, manifest).await;
    }
    stage.each_has(&cases, 1).await;
    stage.nothing_is_pending(&cases).await;
    stage.change_of_all(&cases, "two").await;
    let second = stage.wait(&cases, &first).await;
    for case in &cases {
        let old = first[&case.name].as_str().unwrap();
        stage.apply(case, true, &[(RELEASE, old)]).await;
    }
    stage.each_has(&cases, 1).await;
    // It is taken away with what is pending, and that is still so.
    for case in &cases {
        stage.apply(case, true, &[]).await;
        let arena = &stage.arena;
        arena
            .annotate("Deployment", &case.name, PENDING, None)
            .await;
    }
    stage.each_has(&cases, 1).await;
    assert_eq!(stage.wait(&cases, &first).await, second);

    // The gate is taken away, and comes back.
    for case in &cases {
        stage.apply(case, false, &[]).await;
    }
    stage.each_reaches(&cases, 2).await;
    stage.nothing_is_pending(&cases).await;
    for case in &cases {
        let old = second[&case.name].as_str().unwrap();
        stage.apply(case, true, &[(RELEASE, old)]).await;
    }
    stage.each_has(&cases, 2).await;
    stage.change_of_all(&cases, "three").await;
    stage.wait(&cases, &second).await;
    stage.each_has(&cases, 2).await;
    for case in &cases {
        stage.apply(case, false, &[]).await;
    }
    stage.each_reaches(&cases, 3).await;
    stage.nothing_is_pending(&cases).await;
}
