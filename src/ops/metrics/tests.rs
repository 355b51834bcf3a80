//! Tests of names, types and views.

use super::views::{Indexed, Pending};
use super::*;
use crate::model::{held_back::HeldBack, peer::Holder, workload::KINDS};

fn all_views() -> Metrics {
    let metrics = Metrics::new();
    metrics.view_pending(|| Pending {
        intents: 3,
        oldest: Some(Duration::from_millis(1500)),
        held_back: {
            let mut all = HeldBack::none(["suspended", "owned"]);
            all.add("suspended", "shop");
            all
        },
        unread: 4,
    });
    metrics.view_indexed(|| Indexed {
        sources: 7,
        workloads: 5,
        under_previous_key: 0,
    });
    metrics.view_certificate(|| Some(1_800_000_000));
    metrics.view_configurations(|| Some(true));
    metrics.watching.begins("secrets", None);
    metrics.watching.works("configmaps", None);
    metrics.view_others(|| {
        vec![Holder {
            key_id: "abc".to_owned(),
            user: "system:serviceaccount:old:reroll".to_owned(),
            namespaces: 2,
        }]
    });
    metrics
}

fn record_one_of_each(metrics: &Metrics) {
    metrics.source_seen("Secret", SourceEvent::Delete);
    metrics.workload_seen("Deployment");
    metrics.admission_answered(
        Webhook::Workloads,
        "CREATE",
        "patched",
        Duration::from_millis(3),
    );
    metrics.admission_source_read(SourceRead::Timeout);
    metrics.intent_ended(IntentOutcome::Void);
    metrics.provisional_intent_expired();
    metrics.decided("keep");
    metrics.restarted("Deployment", "recreated");
    let key = WorkloadKey {
        kind: &KINDS[1],
        namespace: "shop".to_owned(),
        name: "db".to_owned(),
    };
    metrics.restart_failed(&key, "conflict");
    metrics.restart_stuck("Deployment", "config");
    metrics.by_namespace.count("shop");
    metrics.converged(Duration::from_mins(4));
    metrics.reacted(Duration::from_millis(1200));
    metrics.adopted();
    metrics.housekeeping_written();
    metrics.startup_reconciled(Duration::from_millis(2500), 9);
    metrics.certificate_not_reloaded();
    metrics.certificate_out_of_date(true);
    metrics.accept_failed(Port::Webhook);
    metrics.connection_cut(Port::Probes);
    metrics.handshake_failed();
    metrics.request_failed(Port::Webhook, RequestFailure::Panic);
    metrics.leading(true);
    metrics.history_went_back();
    metrics.event_dropped();
    metrics.alerts_ended(AlertOutcome::Failed, 3);
    metrics.certificate_repaired(CertificateRepair::Deleted);
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no {line:?} in\n{text}");
}

#[test]
fn names_types_and_help_are_stable() {
    let metrics = all_views();
    // A family without members is left out.
    record_one_of_each(&metrics);
    let text = metrics.encode().unwrap();
    // What the process takes is shown on Linux.
    let is_own = |line: &&str| line.starts_with('#') && !line.contains(" process_");
    let described: Vec<_> = text.lines().filter(is_own).collect();
    insta::assert_snapshot!(described.join("\n"));
}

#[test]
fn every_recording_shows_under_its_labels() {
    let metrics = Metrics::new();
    record_one_of_each(&metrics);
    let text = metrics.encode().unwrap();
    for line in [
        r#"reroll_sources_seen_total{kind="Secret",event="delete"} 1"#,
        r#"reroll_workloads_seen_total{kind="Deployment"} 1"#,
        r#"reroll_admission_requests_total{webhook="workloads",operation="CREATE",outcome="patched"} 1"#,
        r#"reroll_admission_duration_seconds_bucket{le="0.005",webhook="workloads"} 1"#,
        r#"reroll_admission_source_reads_total{result="timeout"} 1"#,
        r#"reroll_admission_source_reads_total{result="read"} 0"#,
        r#"reroll_intents_total{outcome="void"} 1"#,
        "reroll_provisional_intents_expired_total 1",
        r#"reroll_decisions_total{decision="keep"} 1"#,
        r#"reroll_restarts_total{kind="Deployment",cause="recreated"} 1"#,
        r#"reroll_restart_failures_total{kind="StatefulSet",reason="conflict"} 1"#,
        r#"reroll_restarts_by_namespace_total{workload_namespace="shop"} 1"#,
        "reroll_restarts_by_namespace_total 0",
        r#"reroll_reaction_seconds_bucket{le="2.5"} 1"#,
        "reroll_adoptions_total 1",
        r#"reroll_alerts_total{outcome="failed"} 3"#,
        r#"reroll_alerts_total{outcome="sent"} 0"#,
        "reroll_housekeeping_writes_total 1",
        "reroll_startup_reconciliation_seconds 2.5",
        "reroll_startup_missed_changes 9",
        "reroll_certificate_reload_failures_total 1",
        "reroll_certificate_out_of_date 1",
        "reroll_webhook_accept_failures_total 1",
        "reroll_tls_handshake_failures_total 1",
        r#"reroll_webhook_request_failures_total{reason="panic"} 1"#,
        r#"reroll_webhook_request_failures_total{reason="timeout"} 0"#,
        "reroll_leader 1",
        "reroll_history_went_back_total 1",
        "reroll_events_dropped_total 1",
        concat!(
            r#"reroll_build_info{version=""#,
            env!("CARGO_PKG_VERSION"),
            r#"",commit=""#,
            env!("REROLL_COMMIT"),
            r#""} 1"#
        ),
    ] {
        has(&text, line);
    }
}

#[test]
fn restarts_show_by_reloaders_names_where_asked_for() {
    let metrics = Metrics::new();
    metrics.name_namespaces(1);
    record_one_of_each(&metrics);
    metrics.by_namespace.count("other");
    assert!(!metrics.encode().unwrap().contains("reloader_"));
    metrics.view_as_reloader();
    let text = metrics.encode().unwrap();
    for line in [
        "# TYPE reloader_reload_executed counter",
        r#"reloader_reload_executed_total{success="true"} 2"#,
        r#"reloader_reload_executed_total{success="false"} 1"#,
        "# TYPE reloader_reload_executed_total_by_namespace unknown",
        r#"reloader_reload_executed_total_by_namespace{success="true"} 1"#,
        r#"reloader_reload_executed_total_by_namespace{success="true",namespace="shop"} 1"#,
        r#"reloader_reload_executed_total_by_namespace{success="false"} 0"#,
        r#"reloader_reload_executed_total_by_namespace{success="false",namespace="shop"} 1"#,
    ] {
        has(&text, line);
    }
}

#[test]
fn views_are_read_at_each_scrape() {
    let text = all_views().encode().unwrap();
    for line in [
        "reroll_intents_pending 3",
        "reroll_intents_oldest_pending_seconds 1.5",
        r#"reroll_workloads_pending{workload_namespace="shop",reason="suspended"} 1"#,
        r#"reroll_workloads_pending{reason="suspended"} 0"#,
        r#"reroll_workloads_pending{reason="owned"} 0"#,
        r#"reroll_watch_up{resource="secrets"} 0"#,
        r#"reroll_watch_up{resource="configmaps"} 1"#,
        "reroll_sources_unread 4",
        "reroll_sources_indexed 7",
        "reroll_workloads_indexed 5",
        "reroll_certificate_not_after_timestamp_seconds 1800000000",
    ] {
        has(&text, line);
    }
}

#[test]
fn a_view_that_changes_shows_the_new_value() {
    let metrics = Metrics::new();
    let end = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(1));
    let shown = end.clone();
    let shown = move || shown.load(std::sync::atomic::Ordering::Relaxed);
    metrics.view_certificate(move || Some(shown()));
    let line = |end: i64| format!("reroll_certificate_not_after_timestamp_seconds {end}");
    has(&metrics.encode().unwrap(), &line(1));
    end.store(2, std::sync::atomic::Ordering::Relaxed);
    has(&metrics.encode().unwrap(), &line(2));
}

#[test]
fn a_connection_counts_while_it_is_open() {
    let metrics = Metrics::new();
    let open = metrics.connection_open(Port::Webhook);
    has(&metrics.encode().unwrap(), "reroll_webhook_connections 1");
    drop(open);
    has(&metrics.encode().unwrap(), "reroll_webhook_connections 0");
}

/// What is known beforehand is there from the start.
#[test]
fn every_series_that_is_known_beforehand_begins_at_zero() {
    let metrics = Metrics::new();
    metrics.begin_for(&Kinds::default());
    let text = metrics.encode().unwrap();
    let families: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.strip_suffix(" counter"))
        .collect();
    assert!(families.len() > 20, "{families:?}");
    for family in families {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let name = format!("{family}_total");
        assert!(lines.any(|line| line.starts_with(&name)), "{name}");
    }
    for line in [
        r#"reroll_restarts_total{kind="StatefulSet",cause="rolled_back"} 0"#,
        r#"reroll_restart_failures_total{kind="Deployment",reason="forbidden"} 0"#,
        r#"reroll_restarts_stuck_total{kind="DaemonSet",reason="hangs"} 0"#,
        r#"reroll_decisions_total{decision="wait"} 0"#,
        r#"reroll_admission_requests_total{webhook="workloads",operation="UPDATE",outcome="patched"} 0"#,
        r#"reroll_sources_seen_total{kind="Secret",event="delete"} 0"#,
        r#"reroll_workloads_seen_total{kind="Deployment"} 0"#,
    ] {
        has(&text, line);
    }
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    if cfg!(target_os = "linux") {
        assert!(text.contains("\nprocess_cpu_seconds_total "), "{text}");
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }
}
