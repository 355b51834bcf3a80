//! What a reroll remembers of what somebody wrote and took away, when an hour has passed.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    SECRET_RELOAD, expression_list, glob_list, leave, long_name, many_keys, opted_in, projected,
    read_globs, references, release, try_create,
};
use crate::{
    Arena, Https, MovedClocks, RESTART_ON, Reroll, RerollBuilder, deployment, each, eventually,
    generate::review, secret,
};

const AT_ONCE: usize = 8;

/// What somebody adds, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// Workloads with lists of a thousand globs, and of as many as are read; and a Secret with a long name.
    Globs,
    /// Workloads with lists of expressions, and a Secret with a long name.
    Expressions,
    /// Workloads with everything of the namespace, and Secrets.
    Everything,
    /// `ConfigMap`s of 60,000 keys.
    Keys,
    /// Workloads with 12,000 projected sources.
    Projected,
    /// Workloads with 1,000 references.
    References,
    /// Helm's releases.
    Releases,
    /// Forged reviews, each of another workload and of another Secret.
    Reviews,
}

impl Added {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Reviews,
        Self::Globs,
        Self::Expressions,
        Self::Releases,
        Self::Keys,
        Self::References,
        Self::Projected,
        Self::Everything,
    ];

    fn objects(self, number: usize) -> Vec<Value> {
        let name = format!("w{number}");
        let opted_in =
            |list: &str, by: &str, suffix: &str| opted_in(&format!("{name}{suffix}"), (by, list));
        let long = secret(&long_name(number), &[("k", "v")]);
        match self {
            Self::Globs => vec![
                long,
                opted_in(&glob_list(1000, number), RESTART_ON, "-many"),
                opted_in(&read_globs(number), RESTART_ON, ""),
            ],
            Self::Expressions => vec![
                long,
                opted_in(&expression_list(1024), SECRET_RELOAD, "-many"),
                opted_in(&expression_list(1 + number % 16), SECRET_RELOAD, ""),
            ],
            Self::Everything => vec![
                secret(&name, &[("k", "v")]),
                opted_in("secret/*", RESTART_ON, ""),
            ],
            Self::Keys => vec![many_keys(&name)],
            Self::Projected => vec![projected(&name)],
            Self::References => vec![references(&name)],
            Self::Releases => vec![release(number, 100 << 10)],
            Self::Reviews => vec![],
        }
    }

    async fn add(self, tenant: &Arena, webhook: &Https, number: usize) {
        for object in self.objects(number) {
            let api = tenant.api(object["kind"].as_str().unwrap_or_default());
            try_create(&api, object).await;
        }
        if self == Self::Reviews {
            let mut forged = deployment(&format!("w{number}"), &format!("s{number}"), "k");
            forged["metadata"]["annotations"] = json!({ RESTART_ON: read_globs(number) });
            let mut source = secret(&format!("s{number}"), &[]);
            source["metadata"]["uid"] = json!(format!("forged-{number}"));
            source["data"] = json!({ "k": "b25l" });
            for (path, object) in [("/admit/workloads", forged), ("/admit/sources", source)] {
                let mut review = review("CREATE", &object, &Value::Null);
                review["request"]["namespace"] = json!(tenant.namespace);
                let body = review.to_string().into();
                drop(webhook.try_request("POST", path, body).await);
            }
        }
    }
}

/// Memory of a process, resident, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Remembered {
    /// Before anything was added.
    pub before: u64,
    /// When all of it was there.
    pub with: u64,
    /// When an hour had passed after it was taken away.
    pub later: u64,
}

/// Adds so many objects, takes them away, and lets an hour pass.
pub async fn remembered(
    arena: &Arena,
    builder: RerollBuilder,
    added: Added,
    count: usize,
) -> Remembered {
    arena.secret("kept", &[("k", "v")]).await;
    arena.create(&deployment("kept", "kept", "k")).await;
    let tenant = Arena::on(arena.cluster, "hostile-tenant").await;
    let mut clocks = MovedClocks::new();
    let both = [arena.namespace.as_str(), &tenant.namespace].join(",");
    let builder = clocks.of(builder.flag("--namespaces", &both));
    let mut reroll = builder.start().await;
    let webhook = Https::to(&mut reroll, arena).await;
    // What it has after some work, and not what it began with.
    arena.adopted("Deployment", "kept").await;
    clocks.pass(Duration::from_mins(2)).await;
    let before = resident(&reroll);
    each(count, AT_ONCE, async |number| {
        added.add(&tenant, &webhook, number).await;
    })
    .await;
    seen_to(arena, &reroll).await;
    let with = resident(&reroll);
    leave(&tenant).await;
    seen_to(arena, &reroll).await;
    clocks.pass(Duration::from_hours(1)).await;
    seen_to(arena, &reroll).await;
    let later = resident(&reroll);
    assert!(reroll.stop().await);
    Remembered {
        before,
        with,
        later,
    }
}

/// Waits until what was written is seen, and done: a restart of others that comes after it.
async fn seen_to(arena: &Arena, reroll: &Reroll) {
    let rolled = async || {
        let object = arena.get("Deployment", "kept").await;
        object.metadata.generation
    };
    let before = rolled().await;
    let value = fastrand::u64(..).to_string();
    arena.update_secret("kept", &[("k", &value)]).await;
    eventually("others are restarted", async || {
        (rolled().await > before).then_some(())
    })
    .await;
    eventually("no restart is pending", async || {
        (reroll.count("reroll_intents_pending").await == 0).then_some(())
    })
    .await;
}

fn resident(reroll: &Reroll) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", reroll.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}
