//! Starting, stopping, and what can be seen from outside: `/readyz`, `/livez`, `/metrics`, the exit, the messages.

use std::time::Instant;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::{Api, ResourceExt as _};
use reroll_harness::{
    Arena, OBSERVED, Reroll, RerollBuilder, deployment, eventually,
    proxy::{Fault, FaultProxy, Matcher, Rule},
};

#[tokio::test]
async fn readyz_names_the_list_that_is_missing() {
    let arena = Arena::new("ops-ready").await;
    let (proxy, mut reroll) = stalled(&arena).await;
    let body = eventually(
        "only what hangs on the list of secrets is not ready",
        async || {
            let (code, body) = reroll.http("/readyz").await?;
            assert_eq!(code, 503, "{body}");
            let rest = [
                "connection",
                "configmaps",
                "deployments",
                "statefulsets",
                "daemonsets",
                "namespaces",
            ];
            rest.iter().all(|part| !body.contains(part)).then_some(body)
        },
    )
    .await;
    let lines: Vec<_> = body.lines().collect();
    let expected = [
        "list of secrets: starting",
        "start-up reconciliation: starting",
        "webhook registration: starting",
    ];
    assert_eq!(lines, expected);
    assert_eq!(reroll.http("/livez").await, Some((200, "ok\n".to_owned())));
    // Nothing is decided meanwhile, and nothing is lost.
    arena.secret("db", &[("k", "one")]).await;
    let web = deployment("web", "db", "k");
    eventually("the webhook is asked", async || {
        let create = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        let said = arena.kubectl_with(&create, &web.to_string()).await.ok();
        said.out.contains(OBSERVED).then_some(())
    })
    .await;
    arena.create(&web).await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    proxy.clear();
    reroll.ready().await;
    assert_eq!(reroll.http("/readyz").await, Some((200, "ok\n".to_owned())));
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}

#[tokio::test]
async fn metrics_tell_what_was_seen_decided_and_done() {
    let arena = Arena::new("ops-metrics").await;
    // The sentinel is there before reroll, to be adopted.
    let recorder = arena.record().await;
    let started = Instant::now();
    let reroll = arena.reroll().start().await;
    let start_took = started.elapsed().as_secs_f64();
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.all_adopted("Deployment").await;
    let changed = Instant::now();
    arena.recreate_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    let sentinels = recorder.rollouts("Deployment", "sentinel") as u64;
    let restarts =
        |cause| format!("reroll_restarts_total{{kind=\"Deployment\",cause=\"{cause}\"}}");
    eventually("all intents have ended", async || {
        let restarted = reroll.count(&restarts("updated")).await;
        let pending = reroll.count("reroll_intents_pending").await;
        (restarted >= sentinels && pending == 0).then_some(())
    })
    .await;
    // What must have this value, and what must have any. web restarted once, the sentinel as often as it was changed.
    let recreated = restarts("recreated");
    let updated = restarts("updated");
    let here = format!(
        "reroll_restarts_by_namespace_total{{workload_namespace=\"{}\"}}",
        arena.namespace
    );
    let exact = [
        (here.as_str(), 1 + sentinels),
        ("reroll_restarts_by_namespace_total", 0),
        (
            r#"reroll_restarts_total{kind="DaemonSet",cause="rolled_back"}"#,
            0,
        ),
        (
            r#"reroll_sources_seen_total{kind="Secret",event="delete"}"#,
            1,
        ),
        ("reroll_workloads_indexed", 2),
        (
            r#"reroll_admission_requests_total{webhook="sources",operation="DELETE",outcome="allowed"}"#,
            1,
        ),
        (&recreated, 1),
        (&updated, sentinels),
        (r#"reroll_intents_total{outcome="done"}"#, 1 + sentinels),
        ("reroll_reaction_seconds_count", 1 + sentinels),
        ("reroll_adoptions_total", 1),
        ("reroll_startup_missed_changes", 0),
        ("reroll_intents_pending", 0),
    ];
    let (_, text) = reroll.http("/metrics").await.unwrap();
    for (name, value) in exact {
        assert!(
            text.contains(&format!("\n{name} {value}\n")),
            "{name} {value}: {text}"
        );
    }
    for name in [
        r#"reroll_sources_seen_total{kind="Secret",event="apply"}"#,
        r#"reroll_workloads_seen_total{kind="Deployment"}"#,
        "reroll_sources_indexed",
        r#"reroll_admission_duration_seconds_count{webhook="workloads"}"#,
        r#"reroll_decisions_total{decision="restart"}"#,
        "reroll_housekeeping_writes_total",
    ] {
        assert!(reroll.count(name).await > 0, "{name}");
    }
    // In seconds: each at least the 0.1 s to settle, and none longer than all of them took here.
    let reaction = reroll.metric("reroll_reaction_seconds_sum").await;
    let restarted = f64::from(u32::try_from(1 + sentinels).unwrap());
    let (each, took) = (reaction / restarted, changed.elapsed());
    assert!(
        (0.1..took.as_secs_f64()).contains(&each),
        "{each} of {took:?}"
    );
    let start = reroll.metric("reroll_startup_reconciliation_seconds").await;
    assert!(start > 0.0 && start < start_took, "{start} of {start_took}");
    let made = arena.get("Deployment", "web").await.creation_timestamp();
    let made = u64::try_from(made.unwrap().0.as_second()).unwrap();
    let ends = reroll
        .count("reroll_certificate_not_after_timestamp_seconds")
        .await;
    assert!(ends > made, "the certificate has ended at {ends}");
    for zero in ["reroll_intents_oldest_pending_seconds 0", "reroll_leader "] {
        assert!(text.lines().any(|line| line.starts_with(zero)), "{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_version_stands_in_the_log_the_metrics_and_on_the_lease() {
    let arena = Arena::new("ops-version").await;
    let reroll = arena.reroll().start().await;
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("REROLL_COMMIT"));
    let log = reroll.log();
    let first = log.lines().next().unwrap_or_default();
    for part in ["starting", version, commit] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let line = format!("reroll_build_info{{version=\"{version}\",commit=\"{commit}\"}}");
    assert_eq!(reroll.count(&line).await, 1);
    let read = "jsonpath={.metadata.annotations.reroll\\.dev/version}";
    let own = arena.own_namespace.as_str();
    let lease = ["get", "lease", "reroll", "-n", own, "-o", read];
    let says = async || {
        let said = arena.kubectl(&lease).await;
        (said.out == version).then_some(())
    };
    eventually("the Lease says the version", says).await;
    // What another release left there is put right with the next renewal.
    let edit = [
        "annotate",
        "lease",
        "reroll",
        "-n",
        own,
        "--overwrite",
        "reroll.dev/version=0.0.1",
    ];
    arena.kubectl(&edit).await.ok();
    eventually("the Lease says it again", says).await;
    assert!(!reroll.log().contains("another replica holds it"));
}

#[tokio::test]
async fn sigterm_takes_the_registration_away() {
    let arena = Arena::new("ops-sigterm").await;
    let reroll = lasting(&arena).start().await;
    assert_eq!(registered(&arena).await.len(), 2);
    assert!(reroll.stop().await, "its exit code is not 0");
    assert_eq!(registered(&arena).await, Vec::<String>::new());
}

#[tokio::test]
async fn sigterm_before_it_is_ready_takes_the_registration_away() {
    let arena = Arena::new("ops-early").await;
    let (_proxy, reroll) = stalled(&arena).await;
    eventually("it is registered", async || {
        (registered(&arena).await.len() == 2).then_some(())
    })
    .await;
    assert!(reroll.stop().await, "its exit code is not 0");
    assert_eq!(registered(&arena).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_start_takes_over_what_a_killed_process_left() {
    let arena = Arena::new("ops-takeover").await;
    let reroll = lasting(&arena).start().await;
    let builder = reroll.builder();
    let before = registered(&arena).await;
    reroll.kill();
    assert_eq!(registered(&arena).await, before, "nobody took it away");
    let reroll = builder.start().await;
    let after = registered(&arena).await;
    assert_eq!(after.len(), 2);
    assert!(
        after.iter().all(|url| !before.contains(url)),
        "{before:?} {after:?}"
    );
    // It is called: that is what the warning comes from.
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let deleted = arena.kubectl(&["delete", "secret", "db"]).await.ok();
    assert!(
        deleted.err.contains("Secret db is used by Deployment web"),
        "{}",
        deleted.err
    );
    assert!(reroll.stop().await, "its exit code is not 0");
    assert_eq!(registered(&arena).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_webhook_here_is_not_registered_with_an_api_server_elsewhere() {
    let arena = Arena::new("ops-remote").await;
    for host in [
        "api.example.invalid",
        "127.0.0.1.example.invalid",
        "localhost.example.invalid",
        "192.0.2.1",
    ] {
        let said = elsewhere(&arena, host).0.end().await;
        assert!(!said.ok);
        for part in ["--webhook-url", host, "--allow-remote-api-server"] {
            assert!(said.err.contains(part), "no {part} in {}", said.err);
        }
    }
    // An address of this machine that is not a loopback address by name.
    let (builder, _folder) = elsewhere(&arena, "0.0.0.0");
    let said = builder.clone().end().await;
    assert!(
        !said.ok && said.err.contains("--allow-remote-api-server"),
        "{}",
        said.err
    );
    assert_eq!(registered(&arena).await, Vec::<String>::new());
    let _reroll = builder.switch("--allow-remote-api-server").start().await;
    assert_eq!(registered(&arena).await.len(), 2);
}

#[tokio::test]
async fn what_cannot_work_is_refused_by_name() {
    let arena = Arena::new("ops-flags").await;
    let bad = |name, value| arena.reroll().flag(name, value);
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (http, webhook) = (
        ["--http-listen", taken.as_str()],
        ["--webhook-listen", taken.as_str()],
    );
    let table: Vec<(RerollBuilder, &[&str])> = vec![
        (bad("--settle", "soon"), &["--settle", "500ms"]),
        (bad("--settle", "20s"), &["--settle-max", "--settle"]),
        (
            bad("--lease-duration", "100ms"),
            &["--lease-duration", "must be between 2s and 1h"],
        ),
        (
            bad("--namespaces", "UPPER"),
            &["--namespaces", "lower-case"],
        ),
        (
            bad("--webhook-url", "http://127.0.0.1:1"),
            &["--webhook-url", "https"],
        ),
        (bad("--webhook-name", "no/name"), &["--webhook-name"]),
        (bad("--http-listen", "everywhere"), &["--http-listen"]),
        (bad("--http-listen", &taken), &http),
        (bad("--webhook-listen", &taken), &webhook),
        (bad("--restart-rate", "-1"), &["--restart-rate"]),
        (bad("--max-body", "lots"), &["--max-body", "17MiB"]),
        (bad("--log", "loud=very"), &["--log"]),
        (bad("--tls-cert", "cert.pem"), &["--tls-cert", "--tls-key"]),
        (bad("--context", "nobody"), &["--context", "nobody"]),
        (bad("--no-such-flag", "1"), &["--no-such-flag"]),
        (
            bad("--own-namespace", "not-there"),
            &[
                "the namespace must exist: kubectl create namespace not-there, or name another with --own-namespace",
            ],
        ),
        (
            arena.reroll().switch("--no-webhook"),
            &["--no-webhook", "--webhook-url"],
        ),
        (
            arena.reroll().without("--webhook-url"),
            &["--webhook-url", "--tls-cert", "--no-webhook"],
        ),
        (
            arena.reroll().kubeconfig("/not/there".into()),
            &[
                "--kubeconfig cannot be used: /not/there: No such file or directory (os error 2); give a kubeconfig that can be read: --kubeconfig FILE",
            ],
        ),
    ];
    for (builder, parts) in table {
        let said = builder.end().await;
        assert!(!said.ok, "{parts:?}: {}", said.out);
        for part in parts {
            assert!(said.err.contains(part), "no {part} in {}", said.err);
        }
        assert!(!said.err.contains("panicked"), "{}", said.err);
    }
    assert_eq!(registered(&arena).await, Vec::<String>::new());
}

/// A reroll whose list of Secrets does not come.
async fn stalled(arena: &Arena) -> (FaultProxy, Reroll) {
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let lists = Matcher::any()
        .method("GET")
        .when(|request| request.path.ends_with("/secrets"));
    proxy.add(Rule::new(lists, Fault::Stall));
    let reroll = lasting(arena).kubeconfig(proxy.kubeconfig()).spawn().await;
    (proxy, reroll)
}

/// One that gives nothing up before any test does: what does not end is waited for in vain.
fn lasting(arena: &Arena) -> RerollBuilder {
    arena.reroll().flag("--request-timeout", "1h")
}

/// Where the webhook configurations of an arena's reroll point to: one URL per kind of configuration.
async fn registered(arena: &Arena) -> Vec<String> {
    let (client, name) = (arena.client.clone(), arena.namespace.as_str());
    let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let mutating = Api::<MutatingWebhookConfiguration>::all(client);
    let validating = validating.get_opt(name).await.unwrap();
    let mutating = mutating.get_opt(name).await.unwrap();
    let urls = [
        validating.map(|found| {
            found.webhooks.unwrap()[0]
                .client_config
                .url
                .clone()
                .unwrap()
        }),
        mutating.map(|found| {
            found.webhooks.unwrap()[0]
                .client_config
                .url
                .clone()
                .unwrap()
        }),
    ];
    urls.into_iter().flatten().collect()
}

/// A reroll whose kubeconfig names the API server by another host; the certificate is still that of 127.0.0.1.
fn elsewhere(arena: &Arena, host: &str) -> (RerollBuilder, tempfile::TempDir) {
    let text = std::fs::read_to_string(arena.cluster.kubeconfig()).unwrap();
    let mut server = None;
    let lines = text
        .lines()
        .map(|line| match line.split_once("server: https://") {
            Some((indent, address)) => {
                let port = address.trim().rsplit_once(':').unwrap().1;
                server = Some(port.to_owned());
                format!("{indent}server: https://{host}:{port}\n{indent}tls-server-name: 127.0.0.1")
            }
            None => line.to_owned(),
        });
    let text = lines.collect::<Vec<_>>().join("\n");
    server.expect("a server in the kubeconfig");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, text).unwrap();
    (arena.reroll().kubeconfig(path), folder)
}
