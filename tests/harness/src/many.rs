//! Many objects at once, which keep the machine busy, and a reroll that sees Secrets late.

use std::time::Duration;

use futures::StreamExt as _;
use kube::{ResourceExt, api::ListParams};

use crate::{
    Arena, OBSERVED, Reroll, RerollBuilder, deployment, eventually,
    proxy::{Fault, FaultProxy, Matcher, Rule},
};

/// How many workloads wait for what becomes of others.
pub const HELD: &str = "reroll_workloads_pending{reason=\"slow_start\"}";

/// Waits until so many wait for what becomes of others.
pub async fn held(reroll: &Reroll, number: usize) {
    eventually(&format!("{number} wait"), async || {
        (reroll.count(HELD).await == number as u64).then_some(())
    })
    .await;
}

/// So many names.
pub fn numbered(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("w{number:02}"))
}

/// Does something for every number below `count`, `at_once` of them at the same time.
pub async fn each<F: Future<Output = ()>>(count: usize, at_once: usize, act: impl Fn(usize) -> F) {
    futures::stream::iter(0..count)
        .map(act)
        .buffer_unordered(at_once)
        .collect::<()>()
        .await;
}

impl Arena {
    /// Secrets of these names, each with a Deployment of its own, adopted.
    pub async fn pairs<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Vec<String> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        for name in &names {
            self.secret(name, &[("k", "one")]).await;
            self.create(&deployment(name, name, "k")).await;
        }
        for name in &names {
            self.adopted("Deployment", name).await;
        }
        names
    }

    /// Secret `creds` and ConfigMap `app`.
    pub async fn creds_and_app(&self) {
        self.secret("creds", &[("k", "one")]).await;
        self.config_map("app", &[("k", "one")]).await;
    }

    /// Waits until every workload of a kind is adopted.
    pub async fn all_adopted(&self, kind: &str) {
        eventually(&format!("every {kind} is adopted"), async || {
            let all = self.api(kind).list(&ListParams::default()).await.unwrap();
            let adopted = |object: &kube::api::DynamicObject| {
                let observed = object.annotations().get(OBSERVED);
                observed.is_some_and(|text| text.contains(&object.uid().unwrap()))
            };
            all.items.iter().all(adopted).then_some(())
        })
        .await;
    }

    /// Returns a reroll to which every event of a watch of Secrets comes this much later, and the proxy that delays it.
    /// Let the proxy outlive the reroll.
    pub async fn late_secrets(&self, by: Duration, builder: RerollBuilder) -> (FaultProxy, Reroll) {
        let proxy = FaultProxy::start(self.cluster.kubeconfig()).await.unwrap();
        let watches = Matcher::any().path_contains("/secrets").watch(true);
        proxy.add(Rule::new(watches, Fault::DelayBody(by)));
        let builder = builder.kubeconfig(proxy.kubeconfig());
        let reroll = builder.start().await;
        (proxy, reroll)
    }
}

impl Reroll {
    /// The value of a metric that counts; 0 where it is not there.
    pub async fn count(&self, name: &str) -> u64 {
        let value = self.metric(name).await;
        let whole = value.to_string().parse();
        whole.unwrap_or_else(|_| panic!("{name} is {value}"))
    }

    /// Checks that the webhook has read every source in time. If it has not, the counts of a test mean nothing.
    pub async fn assert_all_read_at_admission(&self) {
        let reads = async |result| {
            let name = format!("reroll_admission_source_reads_total{{result=\"{result}\"}}");
            self.count(&name).await
        };
        assert_eq!(
            reads("timeout").await,
            0,
            "reads at admission that took too long"
        );
        assert!(reads("read").await > 0);
    }
}
