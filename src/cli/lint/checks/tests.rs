use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    cli::{
        findings::Finding,
        lint::manifests::{self, Manifest},
    },
    model::workload::NAMED,
};

fn objects(text: &str) -> Vec<Manifest> {
    manifests::read("f.yaml", text, None).unwrap()
}

fn kinds() -> Kinds {
    let named = NAMED.iter().map(|(kind, _)| *kind);
    named.fold(Kinds::default(), |kinds, kind| kinds.with(kind).unwrap())
}

/// What is found, as `CODE LINE wrong → instead`.
fn found(text: &str) -> Vec<String> {
    let told = |one: Found| {
        let instead = one
            .instead
            .map_or_else(String::new, |text| format!(" → {text}"));
        format!("{} {} {}{instead}", one.finding.code(), one.line, one.wrong)
    };
    let found = check(&objects(text), &kinds());
    found.into_iter().map(told).collect()
}

/// An object with these annotations from line 6 on, whose pods use Secret `db` and ConfigMap `cfg`.
fn workload(kind: &str, annotations: &str) -> String {
    let (group, above) = match kind {
        "CronJob" => ("batch/v1", "jobTemplate:\n    spec:\n     "),
        "Job" => ("batch/v1", ""),
        "Rollout" => ("argoproj.io/v1alpha1", ""),
        _ => ("apps/v1", ""),
    };
    let deeper = if above.is_empty() { "" } else { "    " };
    let lines = annotations.lines().map(|line| format!("    {line}\n"));
    let annotations: String = lines.collect();
    format!(
        "apiVersion: {group}\nkind: {kind}\nmetadata:\n  name: web\n  annotations:\n{annotations}\nspec:\n  {above} template:\n{deeper}    spec:\n{deeper}      containers:\n{deeper}      - name: c\n{deeper}        envFrom:\n{deeper}        - secretRef: {{name: db}}\n{deeper}        - configMapRef: {{name: cfg}}\n"
    )
}

fn deployment(annotations: &str) -> String {
    workload("Deployment", annotations)
}

#[test]
fn a_sound_manifest_has_no_finding() {
    let sources = "---\n{apiVersion: v1, kind: Secret, metadata: {name: db, annotations: {reroll.dev/on-recreate: content, reroll.dev/slow-start: \"off\"}}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: cfg}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: other, annotations: {reroll.dev/ignore: \"true\"}}}\n";
    let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns\n  labels: {reroll.dev/restart-on: auto}\n  annotations:\n    reroll.dev/window: Mon-Fri 22:00-04:00\n    reroll.dev/suspend: INC-42\n    reroll.dev/slow-start: \"off\"\n";
    let all = "reroll.dev/restart-on: auto,!secret/other\nreroll.dev/on-recreate: content\nreroll.dev/on-delete: restart\nreroll.dev/on-adopt: report\nreroll.dev/settle: 30s\nreroll.dev/slow-start: \"off\"\nreroll.dev/window: Mon-Fri 22:00-04:00\nreroll.dev/window-latest: 72h\nreroll.dev/wave: \"-1\"\nreroll.dev/soak: 30s\nreroll.dev/rollout-deadline: 20m\nreroll.dev/suspend: \"true\"\nreroll.dev/mark: restartedAt\nexample.com/other: x";
    let lease = "---\n{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: reroll, annotations: {reroll.dev/suspend: x}}}\n";
    for text in [
        format!("{}{sources}{namespace}{lease}", deployment(all)),
        workload("StatefulSet", "reroll.dev/restart-on: secret/db"),
        workload("DaemonSet", "reroll.dev/restart-on: \"off\""),
        workload(
            "CronJob",
            "reroll.dev/restart-on: auto\nreroll.dev/on-change: run-now",
        ),
        workload(
            "Job",
            "reroll.dev/restart-on: auto\nreroll.dev/on-change: recreate",
        ),
        workload("Rollout", "reroll.dev/restart-on: env"),
        workload("CronJob", "example.com/a: b"),
    ] {
        assert_eq!(found(&text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn keys() {
    let own = "under metadata.annotations of the Deployment itself";
    let rows = [
        (
            deployment("reroll.dev/restarton: auto"),
            vec!["RR101 6 reroll.dev/restarton is no key of reroll's → reroll.dev/restart-on".to_owned()],
        ),
        (
            deployment("reroll.dev/quux: auto"),
            vec!["RR101 6 reroll.dev/quux is no key of reroll's".to_owned()],
        ),
        (
            deployment("a: b\nreroll.io/restart-on: auto\nexample.com/restart-on: auto"),
            vec!["RR101 7 reroll.io/restart-on is no key of reroll's → reroll.dev/restart-on".to_owned()],
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n  annotations:\n    reroll.dev/setle: 5s\n    reroll.dev/settle: 5s\n".to_owned(),
            vec!["RR101 6 reroll.dev/setle is no key of reroll's → reroll.dev/settle".to_owned()],
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: w\n  labels:\n    reroll.dev/restart-on: auto\nspec:\n  template:\n    metadata:\n      annotations:\n        reroll.dev/restart-on: auto\n        reroll.dev/settle: 5s\n      labels: {reroll.dev/wave: \"1\"}\n".to_owned(),
            vec![
                format!("RR102 6 reroll.dev/restart-on means nothing as a label → {own}"),
                format!("RR102 11 reroll.dev/restart-on means nothing as an annotation of the pod template → {own}"),
                format!("RR102 12 reroll.dev/settle means nothing as an annotation of the pod template → {own}"),
                format!("RR102 13 reroll.dev/wave means nothing as a label of the pod template → {own}"),
            ],
        ),
        (
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns\n  annotations:\n    reroll.dev/restart-on: auto\n    reroll.dev/settle: 5s\n  labels:\n    reroll.dev/suspend: x\n".to_owned(),
            vec![
                "RR102 6 reroll.dev/restart-on means nothing as an annotation → under metadata.labels of the Namespace".to_owned(),
                "RR102 7 reroll.dev/settle means nothing as an annotation → it counts as an annotation of a workload itself".to_owned(),
                "RR102 9 reroll.dev/suspend means nothing as a label → under metadata.annotations of the Namespace itself".to_owned(),
            ],
        ),
        (
            deployment("reroll.dev/ignore: \"true\""),
            vec!["RR102 6 reroll.dev/ignore means nothing as an annotation → it counts as an annotation of a Secret or ConfigMap, or as an annotation of a SecretProviderClass".to_owned()],
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s, annotations: {reroll.dev/restart-on: auto}}\n".to_owned(),
            vec!["RR102 3 reroll.dev/restart-on means nothing as an annotation → it counts as an annotation of a workload itself, or as a label of a Namespace".to_owned()],
        ),
        (
            deployment("reroll.dev/restart-on: off\nreroll.dev/wave: 1\nreroll.dev/settle:"),
            [(6, "restart-on"), (7, "wave"), (8, "settle")]
                .map(|(line, key)| format!("RR104 {line} reroll.dev/{key} has a value that is no text: the API server refuses it → put the value between quotes"))
                .to_vec(),
        ),
        (
            deployment("reroll.dev/restart-on: auto\nreroll.dev/observed: x\nreroll.dev/restarted-at: x"),
            [(7, "observed"), (8, "restarted-at")]
                .map(|(line, key)| format!("RR105 {line} reroll.dev/{key} is written by reroll only → remove it: reroll puts back what it wrote"))
                .to_vec(),
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w, uid: u, annotations: {reroll.dev/observed: x}}\n".to_owned(),
            vec![],
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {reroll.dev/restart-on: auto}}\n".to_owned(),
            vec!["RR114 3 reroll restarts no Pod → make it of a Deployment, and opt that in".to_owned()],
        ),
        (
            "apiVersion: e.com/v1\nkind: App\nmetadata: {name: a, annotations: {reroll.dev/restart-on: auto}}\nspec: {template: {spec: {containers: []}}}\n".to_owned(),
            vec!["RR114 3 reroll restarts no App by default → run reroll, and this command, with --workload-kind e.com/v1/App".to_owned()],
        ),
        (
            "apiVersion: e.com/v1\nkind: Database\nmetadata: {name: a, annotations: {reroll.dev/restart-on: auto, reroll.dev/observed: x}}\n".to_owned(),
            vec![],
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(found(&text), expected, "{text}");
    }
    // Who sets an annotation everywhere has it where it counts, too.
    let both = deployment("reroll.dev/restart-on: auto").replace(
        "    spec:\n      containers",
        "    metadata: {annotations: {reroll.dev/restart-on: auto}}\n    spec:\n      containers",
    );
    assert!(both.contains("metadata: {annotations"));
    assert_eq!(found(&both), Vec::<String>::new());
    let of_jobs = workload("CronJob", "a: b").replace(
        "jobTemplate:\n",
        "jobTemplate:\n    metadata: {annotations: {reroll.dev/on-change: run-now}}\n",
    );
    assert_eq!(
        found(&of_jobs),
        [
            "RR102 10 reroll.dev/on-change means nothing as an annotation of the Job template → under metadata.annotations of the CronJob itself"
        ]
    );
}

#[test]
fn values_are_the_models_to_complain_of() {
    let expected = "auto, secrets, configmaps, secretproviderclasses, [!]secret/NAME (or another kind), env, volume or off";
    let restart_on = |value: &str, shown: &str, instead: &str| {
        let instead = match instead {
            "" => String::new(),
            word => format!(" → reroll.dev/restart-on: {word}"),
        };
        (
            deployment(&format!("reroll.dev/restart-on: {value}")),
            vec![format!(
                "RR103 6 reroll.dev/restart-on: \"{shown}\" is not {expected}{instead}"
            )],
        )
    };
    let other = |key: &str, value: &str, words: &str| {
        (
            deployment(&format!(
                "reroll.dev/restart-on: auto\nreroll.dev/{key}: {value}"
            )),
            vec![format!(
                "RR103 7 reroll.dev/{key}: \"{}\" is not {words}",
                value.trim_matches('"')
            )],
        )
    };
    let rows = [
        restart_on("\"true\"", "true", "auto"),
        restart_on("\"false\"", "false", "\"off\""),
        restart_on("secret", "secret", "secrets"),
        restart_on("aut", "aut", "auto"),
        restart_on("auto,Secrets/db", "Secrets/db", "\"secret/db\""),
        restart_on("auto,!cm/cfg", "!cm/cfg", "\"!configmap/cfg\""),
        restart_on("\"secret:db\"", "secret:db", "\"secret/db\""),
        restart_on("something-else", "something-else", ""),
        other(
            "settle",
            "soon",
            "a duration such as 500ms, 5s or 2m, up to 1h",
        ),
        other("on-delete", "never", "wait or restart"),
        other(
            "on-change",
            "run-now",
            "known for this kind (CronJobs: run-now; Jobs: recreate)",
        ),
        other("wave", "first", "a whole number such as -1, 0 or 5"),
    ];
    for (text, expected) in rows {
        assert_eq!(found(&text), expected, "{text}");
    }
    let source = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  annotations:\n    reroll.dev/on-recreate: never\n    reroll.dev/slow-start: \"no\"\n    reroll.dev/ignore: \"yes\"\n";
    assert_eq!(
        found(source),
        [
            "RR103 6 reroll.dev/on-recreate of Secret s is not auto, restart or content",
            "RR103 7 reroll.dev/slow-start of Secret s is not on or off",
            "RR103 8 reroll.dev/ignore: \"yes\" is not true or false → reroll.dev/ignore: \"true\"",
        ]
    );
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns\n  labels:\n    reroll.dev/restart-on: atuo\n  annotations:\n    reroll.dev/slow-start: \"no\"\n    reroll.dev/window: sometimes\n";
    let told = found(namespace);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("RR103 6 reroll.dev/restart-on: \"atuo\" is not auto"));
    assert!(told[1].starts_with("RR103 8 reroll.dev/slow-start: \"no\" is not on or off"));
    assert!(told[2].starts_with("RR103 9 reroll.dev/window: \"sometimes\" is not "));
    let list = namespace
        .replace("atuo", "\"auto,!secret/db\"")
        .replace("sometimes", "Sun");
    let label = "RR103 6 reroll.dev/restart-on: \"auto,!secret/db\" is no value that a label can have → one word; a list is an annotation of each workload";
    assert!(
        found(&list).contains(&label.to_owned()),
        "{:?}",
        found(&list)
    );
}

#[test]
fn what_an_opt_in_comes_to() {
    let bare = |annotations: &str| {
        let text = deployment(annotations);
        let (head, _) = text.split_once("        envFrom").unwrap();
        head.to_owned()
    };
    let nothing = "RR111 6 the opt-in takes nothing: the pod template uses none of Secret, ConfigMap, SecretProviderClass → name what counts, such as secret/NAME, or remove the opt-in";
    let ignored = "---\n{apiVersion: v1, kind: Secret, metadata: {name: db, annotations: {reroll.dev/ignore: \"true\"}}}\n";
    let secrets = "---\n{apiVersion: v1, kind: Secret, metadata: {name: db}}\n---\n{apiVersion: v1, kind: Secret, metadata: {name: cfg-5h2k, namespace: ns}}\n";
    let search = "RR121 6 reloader.stakater.com/search means the same here → reroll has no word of its own for it, and keeps to this one";
    let only_ignored = "the opt-in takes only what is ignored, or what no container reads → name what counts, or remove the opt-in";
    let rows = [
        (bare("reroll.dev/restart-on: auto"), vec![nothing.to_owned()]),
        (bare("reroll.dev/restart-on: secret/x"), vec![]),
        (bare("reroll.dev/restart-on: secret/x-*"), vec![]),
        (
            deployment("reroll.dev/restart-on: secretproviderclasses"),
            vec!["RR111 6 the opt-in takes nothing of what the pod template uses: configmap/cfg, secret/db → auto, or configmaps,secrets".to_owned()],
        ),
        (
            deployment("reroll.dev/restart-on: secrets") + ignored,
            vec![format!("RR111 6 {only_ignored}")],
        ),
        (
            deployment("reloader.stakater.com/search: \"true\"") + secrets + "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: cfg}}\n",
            vec![format!("RR111 6 {only_ignored}"), search.to_owned()],
        ),
        (deployment("reloader.stakater.com/search: \"true\""), vec![search.to_owned()]),
        // A patch has no containers.
        ("{apiVersion: apps/v1, kind: Deployment, metadata: {name: w, annotations: {reroll.dev/restart-on: auto}}}".to_owned(), vec![]),
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: w, annotations: {reroll.dev/restart-on: auto}}\nspec: {workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}}\n".to_owned(),
            vec![],
        ),
        (
            deployment("reroll.dev/restart-on: secret/dv,secret/cfg,configmap/none,secret/far-away") + secrets,
            vec![
                "RR112 6 no manifest has Secret cfg, which the opt-in names → secret/cfg-5h2k".to_owned(),
                "RR112 6 no manifest has Secret dv, which the opt-in names → secret/db".to_owned(),
                "RR112 6 no manifest has Secret far-away, which the opt-in names → make it, or name another".to_owned(),
            ],
        ),
        (deployment("reroll.dev/restart-on: secret/dv"), vec![]),
        (
            workload("CronJob", "a: b\nreroll.dev/restart-on: auto"),
            vec!["RR113 7 a change does nothing to a CronJob that does not say reroll.dev/on-change → reroll.dev/on-change: run-now, or no opt-in".to_owned()],
        ),
        (
            workload("Job", "reroll.dev/restart-on: auto"),
            vec!["RR113 6 a change does nothing to a Job that does not say reroll.dev/on-change → reroll.dev/on-change: recreate, or no opt-in".to_owned()],
        ),
        (workload("Job", "reroll.dev/restart-on: \"off\""), vec![]),
    ];
    for (text, expected) in rows {
        assert_eq!(found(&text), expected, "{text}");
    }
}

#[test]
fn sources_of_other_namespaces_and_those_that_controllers_make() {
    let named = deployment("reroll.dev/restart-on: secret/made")
        .replace("  name: web\n", "  namespace: ns\n  name: web\n");
    let other = "---\n{apiVersion: v1, kind: Secret, metadata: {name: other, namespace: N}}\n";
    let made = [
        "{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret, metadata: {name: made, namespace: N}}",
        "{apiVersion: external-secrets.io/v1, kind: ExternalSecret, metadata: {name: made, namespace: N}}",
        "{apiVersion: external-secrets.io/v1, kind: ExternalSecret, metadata: {name: x, namespace: N}, spec: {target: {name: made}}}",
        "{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: x, namespace: N}, spec: {secretName: made}}",
        "{apiVersion: secrets-store.csi.x-k8s.io/v1, kind: SecretProviderClass, metadata: {name: x, namespace: N}, spec: {secretObjects: [{secretName: made}]}}",
    ];
    for made in made {
        let with = |namespace: &str| {
            format!("{named}{other}---\n{made}\n").replace("namespace: N", namespace)
        };
        assert_eq!(
            found(&with("namespace: ns")),
            Vec::<String>::new(),
            "{made}"
        );
        assert_eq!(found(&with("x: y")), Vec::<String>::new(), "{made}");
        assert_eq!(
            found(&with("namespace: m")),
            Vec::<String>::new(),
            "no Secret there: {made}"
        );
        let apart = with("namespace: ns")
            .replace("made, namespace: ns", "made, namespace: m")
            .replace("x, namespace: ns", "x, namespace: m");
        assert_eq!(found(&apart).len(), 1, "{apart}");
    }
}

#[test]
fn volumes_that_one_node_can_mount() {
    let claim = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [MODE]}\n";
    let with = |annotations: &str, strategy: &str, mode: &str| {
        let volume =
            "      volumes:\n      - name: v\n        persistentVolumeClaim: {claimName: data}\n";
        let strategy = format!("spec:\n{strategy}   template");
        let text = deployment(annotations).replace("spec:\n   template", &strategy);
        assert!(text.contains(&strategy));
        found(&format!("{text}{volume}{}", claim.replace("MODE", mode)))
    };
    let opted_in = "reroll.dev/restart-on: auto";
    let rolling = "   strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%}}\n";
    for (annotations, strategy, mode, expected) in [
        (opted_in, "", "ReadWriteOnce", true),
        (opted_in, rolling, "ReadWriteOnce", true),
        (opted_in, rolling, "ReadWriteOncePod", true),
        (opted_in, rolling, "ReadWriteMany", false),
        (opted_in, rolling, "ReadWriteOnce, ReadWriteMany", false),
        (
            opted_in,
            "   strategy: {type: Recreate}\n",
            "ReadWriteOnce",
            false,
        ),
        (
            opted_in,
            "   strategy: {rollingUpdate: {maxSurge: 0}}\n",
            "ReadWriteOnce",
            false,
        ),
        (
            opted_in,
            "   strategy: {rollingUpdate: {maxSurge: 0%}}\n",
            "ReadWriteOnce",
            false,
        ),
        ("a: b", rolling, "ReadWriteOnce", false),
    ] {
        let told = with(annotations, strategy, mode);
        assert_eq!(
            told.len(),
            usize::from(expected),
            "{strategy} {mode}: {told:?}"
        );
        let line = 20 + strategy.lines().count();
        assert!(
            told.iter()
                .all(|one| one.starts_with(&format!("RR115 {} a restart makes", line - 2))),
            "{told:?}"
        );
    }
    let of_set = workload("StatefulSet", opted_in)
        + "      volumes:\n      - persistentVolumeClaim: {claimName: data}\n";
    assert_eq!(found(&format!("{of_set}{claim}")), Vec::<String>::new());
    // The opt-in of its Namespace counts, too.
    let labelled = deployment("a: b").replace("  name: web\n", "  name: web\n  namespace: ns\n")
        + "      volumes:\n      - persistentVolumeClaim: {claimName: data}\n";
    let namespace = "---\n{apiVersion: v1, kind: Namespace, metadata: {name: ns, labels: {reroll.dev/restart-on: auto}}}\n";
    assert_eq!(
        found(&format!(
            "{labelled}{}{namespace}",
            claim.replace("MODE", "ReadWriteOnce")
        ))
        .len(),
        1
    );
}

#[test]
fn each_annotation_of_reloader_is_the_same_here_or_not() {
    let same = |key: &str, instead: &str| format!("RR121 {key} means the same here → {instead}");
    let differs = |key: &str, words: &str| format!("RR122 {key} {words}");
    let none = "reroll has no word of its own for it, and keeps to this one";
    let rows = [
        (
            "Deployment",
            "reloader.stakater.com/auto: \"true\"",
            same("reloader.stakater.com/auto", "reroll.dev/restart-on: auto"),
        ),
        (
            "Deployment",
            "secret.reloader.stakater.com/auto: \"true\"",
            same(
                "secret.reloader.stakater.com/auto",
                "reroll.dev/restart-on: secrets",
            ),
        ),
        (
            "Deployment",
            "configmap.reloader.stakater.com/reload: cfg",
            same(
                "configmap.reloader.stakater.com/reload",
                "reroll.dev/restart-on: configmap/NAME",
            ),
        ),
        (
            "Deployment",
            "secrets.exclude.reloader.stakater.com/reload: db",
            same(
                "secrets.exclude.reloader.stakater.com/reload",
                "reroll.dev/restart-on: auto,!secret/NAME",
            ),
        ),
        (
            "Deployment",
            "reloader.stakater.com/search: \"true\"",
            same("reloader.stakater.com/search", none),
        ),
        (
            "Rollout",
            "reloader.stakater.com/rollout-strategy: restart",
            same("reloader.stakater.com/rollout-strategy", none),
        ),
        (
            "Deployment",
            "reloader.stakater.com/rollout-strategy: restart",
            differs(
                "reloader.stakater.com/rollout-strategy",
                "means nothing here",
            ),
        ),
        (
            "Deployment",
            "reloader.stakater.com/ignore: \"true\"",
            differs(
                "reloader.stakater.com/ignore",
                "leaves the workload alone here; Reloader restarts it all the same → reroll.dev/restart-on: \"off\"",
            ),
        ),
        (
            "Deployment",
            "deployment.reloader.stakater.com/pause-period: 5m",
            differs(
                "deployment.reloader.stakater.com/pause-period",
                "gathers changes for so long after the first one, and pauses nothing: the Deployment rolls once at the end",
            ),
        ),
        (
            "StatefulSet",
            "deployment.reloader.stakater.com/pause-period: 5m",
            differs(
                "deployment.reloader.stakater.com/pause-period",
                "means nothing here",
            ),
        ),
        (
            "Deployment",
            "deployment.reloader.stakater.com/paused-at: x",
            differs(
                "deployment.reloader.stakater.com/paused-at",
                "means nothing here: nothing is paused",
            ),
        ),
        (
            "Deployment",
            "reloader.stakater.com/atuo: \"true\"",
            differs(
                "reloader.stakater.com/atuo",
                "means nothing here → reloader.stakater.com/auto",
            ),
        ),
        (
            "Deployment",
            "secrets.reloader.stakater.com/reload: db",
            differs(
                "secrets.reloader.stakater.com/reload",
                "means nothing here → secret.reloader.stakater.com/reload",
            ),
        ),
        (
            "Deployment",
            "reloader.stakater.com/match: \"true\"",
            differs("reloader.stakater.com/match", "means nothing here"),
        ),
    ];
    for (kind, annotation, expected) in rows {
        let told: Vec<_> = found(&workload(kind, annotation))
            .into_iter()
            .map(|one| one.replace(" 6 ", " "))
            .collect();
        assert_eq!(told, [expected], "{kind} {annotation}");
    }
    let beside = deployment("reroll.dev/restart-on: auto\nreloader.stakater.com/auto: \"true\"");
    assert_eq!(
        found(&beside),
        [
            "RR122 7 reloader.stakater.com/auto does not count beside reroll.dev/restart-on, which decides alone"
        ]
    );
    let source = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  annotations:\n    reloader.stakater.com/match: \"true\"\n    reloader.stakater.com/ignore: \"true\"\n    reloader.stakater.com/auto: \"true\"\n  labels: {reloader.stakater.com/match: \"true\"}\n";
    assert_eq!(
        found(source),
        [
            format!("RR121 6 reloader.stakater.com/match means the same here → {none}"),
            "RR121 7 reloader.stakater.com/ignore means the same here → reroll.dev/ignore: \"true\"".to_owned(),
            "RR122 8 reloader.stakater.com/auto means nothing on a source".to_owned(),
            "RR122 9 reloader.stakater.com/match means nothing as a label".to_owned(),
        ]
    );
    // On a pod template they count where the workload has none of those that select.
    let on_template = |annotations: &str, of_template: &str| {
        let text = deployment(annotations).replace(
            "    spec:\n      containers",
            &format!(
                "    metadata: {{annotations: {{{of_template}}}}}\n    spec:\n      containers"
            ),
        );
        found(&text)
    };
    let auto = "reloader.stakater.com/auto: \"true\"";
    assert_eq!(
        on_template("a: b", auto),
        [
            "RR121 10 reloader.stakater.com/auto means the same here → reroll.dev/restart-on: auto, on the Deployment itself"
        ]
    );
    assert_eq!(
        on_template("secret.reloader.stakater.com/auto: \"true\"", auto)[1],
        "RR122 10 reloader.stakater.com/auto does not count beside secret.reloader.stakater.com/auto of the Deployment itself"
    );
    assert_eq!(
        on_template("reroll.dev/restart-on: auto", auto),
        [
            "RR122 10 reloader.stakater.com/auto does not count beside reroll.dev/restart-on, which decides alone"
        ]
    );
    assert_eq!(
        on_template("a: b", "reloader.stakater.com/last-reloaded-from: x"),
        [
            "RR122 10 reloader.stakater.com/last-reloaded-from was left by Reloader, and means nothing here: it may stay"
        ]
    );
    assert_eq!(
        on_template("a: b", "secrets.exclude.reloader.stakater.com/reload: x"),
        [
            "RR122 10 secrets.exclude.reloader.stakater.com/reload does not count on a pod template → reroll.dev/restart-on: auto,!secret/NAME, on the Deployment itself"
        ]
    );
    assert_eq!(
        on_template("a: b", "reloader.stakater.com/ignore: x"),
        ["RR122 10 reloader.stakater.com/ignore means nothing on a pod template"]
    );
    assert!(
        found(&deployment("secret.reloader.stakater.com/reload: \"a[\""))
            .iter()
            .any(|one| one.starts_with("RR103 6 secret.reloader"))
    );
}

#[test]
fn streams_lists_and_json_have_their_places() {
    let helm = "---\n# Source: web/templates/secret.yaml\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: aHVudGVyMg==\n---\n# Source: web/templates/empty.yaml\n---\n# Source: web/charts/db/templates/deploy.yaml\n# another comment\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  annotations:\n    reroll.dev/restarton: auto\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg, annotations: {reroll.dev/settl: x}}\n";
    let all = check(&objects(helm), &kinds());
    let told: Vec<_> = all
        .iter()
        .map(|one| (one.line, one.origin.as_deref(), one.spoken()))
        .collect();
    let deploy = Some("web/charts/db/templates/deploy.yaml");
    assert_eq!(
        told,
        [
            (19, deploy, "Deployment web".to_owned()),
            (23, None, "ConfigMap cfg".to_owned())
        ]
    );
    assert!(!format!("{all:?}").contains("aHVudGVyMg"));

    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: ns\n    annotations:\n      reroll.dev/restart-on: auto\n- apiVersion: apps/v1\n  kind: DeploymentList\n  items:\n  - metadata: {name: w, namespace: ns, labels: {reroll.dev/restart-on: auto}}\n";
    let told: Vec<_> = check(&objects(list), &kinds())
        .iter()
        .map(|one| (one.line, one.finding.code(), one.spoken()))
        .collect();
    assert_eq!(
        told,
        [
            (9, "RR102", "Namespace ns".to_owned()),
            (13, "RR102", "Deployment ns/w".to_owned())
        ]
    );

    let json = "{\n  \"apiVersion\": \"apps/v1\",\n  \"kind\": \"StatefulSet\",\n  \"metadata\": {\n    \"generateName\": \"w-\",\n    \"labels\": {\n      \"reroll.dev/restart-on\": \"auto\"\n    }\n  }\n}\n";
    let told: Vec<_> = check(&objects(json), &kinds())
        .iter()
        .map(|one| (one.line, one.finding.code(), one.spoken()))
        .collect();
    assert_eq!(told, [(7, "RR102", "StatefulSet w-*".to_owned())]);

    for none in [
        "",
        "---\n---\n",
        "a: b\n",
        "- a\n",
        "apiVersion: v1\n",
        "just text\n",
        "apiVersion: v1\nkind: List\nitems:\n",
    ] {
        assert_eq!(objects(none).len(), 0, "{none}");
    }
    let here = manifests::read(
        "f",
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: w}}",
        Some("n"),
    )
    .unwrap();
    assert_eq!(here[0].namespace.as_deref(), Some("n"));
}

#[test]
fn each_finding_of_lint_is_provoked_above() {
    let source = include_str!("tests.rs");
    let missing: BTreeSet<_> = Finding::ALL
        .into_iter()
        .map(Finding::code)
        .filter(|code| code.starts_with("RR1") && !source.contains(&format!("{code} ")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

proptest! {
    #[test]
    fn objects_of_any_shape_are_checked(
        kind in "Deployment|CronJob|Secret|Namespace|Rollout|List|Pod|PersistentVolumeClaim",
        key in "(reroll\\.dev/|reloader\\.stakater\\.com/|)[a-z-]{0,12}|reroll\\.dev/restart-on|reroll\\.dev/window",
        value in "\"[ -!#-\\[\\]-~é]{0,20}\"|[0-9]{1,4}|off|\\[a\\]|\\{b: c\\}|null",
        part in "metadata|spec|items|labels|annotations|template",
    ) {
        let group = match kind.as_str() {
            "Deployment" => "apps/v1",
            "CronJob" => "batch/v1",
            "Rollout" => "argoproj.io/v1alpha1",
            _ => "v1",
        };
        let maps = format!("{{\"{key}\": {value}}}");
        for body in [
            format!("metadata: {{annotations: {maps}, labels: {maps}, name: {value}}}\nspec: {{template: {{metadata: {{annotations: {maps}}}, spec: {value}}}, jobTemplate: {maps}}}\n{part}2: x\n"),
            format!("{part}: {value}\n"),
        ] {
            let text = format!("apiVersion: {group}\nkind: {kind}\n{body}");
            if let Ok(read) = manifests::read("f", &text, None) {
                check(&read, &kinds());
            }
        }
    }
}
