use super::*;

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
        (deployment("reroll.dev/restart-on: auto,!secret/db"), vec![]),
        (
            deployment("reroll.dev/restart-on: auto,!secret/dbb,!configmap/other"),
            vec![
                "RR118 6 !configmap/other leaves nothing out: the pod template does not name ConfigMap other → name another, or leave it out".to_owned(),
                "RR118 6 !secret/dbb leaves nothing out: the pod template does not name Secret dbb → !secret/db".to_owned(),
            ],
        ),
        (
            deployment("reloader.stakater.com/auto: \"true\"\nsecrets.exclude.reloader.stakater.com/reload: dbb"),
            vec![
                "RR121 6 reloader.stakater.com/auto means the same here → reroll.dev/restart-on: auto".to_owned(),
                "RR118 7 dbb leaves nothing out: the pod template does not name Secret dbb → db".to_owned(),
                "RR121 7 secrets.exclude.reloader.stakater.com/reload means the same here → reroll.dev/restart-on: auto,!secret/NAME".to_owned(),
            ],
        ),
        (bare("reroll.dev/restart-on: auto,!secret/dbb"), vec![nothing.to_owned(), "RR118 6 !secret/dbb leaves nothing out: the pod template does not name Secret dbb → name another, or leave it out".to_owned()]),
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
fn keys_that_do_nothing() {
    let uber = "---\n{apiVersion: v1, kind: Secret, metadata: {name: db}, data: {db_32: eA==}, stringData: {legacy: y}}\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: cfg}, data: {a: b}, binaryData: {c: eA==}}\n";
    let made =
        "---\n{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret, metadata: {name: db}}\n";
    let by_name = |opt_in: &str| {
        deployment(opt_in).replace(
            "envFrom:\n        - secretRef: {name: db}\n        - configMapRef: {name: cfg}",
            "env:\n        - {name: V, valueFrom: {secretKeyRef: {name: db, key: db_32}}}",
        )
    };
    let rows = [
        ("secret/db#db_32,configmap/cfg#?", vec![]),
        ("auto,!secret/db#legacy,!configmap/cfg#c", vec![]),
        (
            "secret/db#db_23",
            vec!["RR117 6 Secret db has no key db_23, which the opt-in names → secret/db#db_32"],
        ),
        (
            "auto,!secret/db#lgacy",
            vec!["RR117 6 Secret db has no key lgacy, which the opt-in names → !secret/db#legacy"],
        ),
        (
            "configmap/cfg#feature-*",
            vec![
                "RR117 6 ConfigMap cfg has no key like feature-*, which the opt-in names → name another, or leave it out",
            ],
        ),
        ("secret/*#nothing", vec![]),
        (
            "secret/db#db_23,secret/unseen#x",
            vec![
                "RR112 6 no manifest has Secret unseen, which the opt-in names → make it, or name another",
                "RR117 6 Secret db has no key db_23, which the opt-in names → secret/db#db_32",
            ],
        ),
    ];
    for (opt_in, expected) in rows {
        let text = deployment(&format!("reroll.dev/restart-on: \"{opt_in}\"")) + uber;
        assert_eq!(found(&text), expected, "{opt_in}");
    }
    let sealed = deployment("reroll.dev/restart-on: secret/db#db_23") + made;
    assert_eq!(found(&sealed), Vec::<String>::new());
    let unread = by_name("reroll.dev/restart-on: auto,secret/db#legacy") + uber;
    assert_eq!(
        found(&unread),
        [
            "RR117 6 no container reads a key legacy of Secret db, which the opt-in names → name another, or leave it out"
        ]
    );
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
fn what_belongs_together_and_is_not_restarted_on() {
    let with = |restart_on: &str, group: &str| {
        let keys = format!("reroll.dev/restart-on: {restart_on}\nreroll.dev/together: {group}");
        let secrets = "---\n{apiVersion: v1, kind: Secret, metadata: {name: db}}\n";
        found(&format!("{}{secrets}", deployment(&keys)))
    };
    let not_used = |member: &str| {
        format!(
            "RR116 7 reroll.dev/together does not wait for {member}: the workload does not restart on it \
             → name what it restarts on, or restart on it"
        )
    };
    let absent = "RR116 7 no manifest has Secret other, which reroll.dev/together names → make it, or name another";
    for (restart_on, group, expected) in [
        (
            "auto",
            "secret/db, secret/other",
            vec![not_used("Secret other")],
        ),
        (
            "auto",
            "secret/db, secret/other; secret/db, secret/other#k",
            vec![not_used("Secret other"), not_used("Secret other (key k)")],
        ),
        (
            "configmaps,secret/x*",
            "secret/db, secret/xy",
            vec![
                not_used("Secret db"),
                absent.replace("Secret other", "Secret xy"),
            ],
        ),
        ("\"off\"", "secret/db, secret/other", Vec::new()),
    ] {
        assert_eq!(with(restart_on, group), expected, "{restart_on}, {group}");
    }
    let named = with("auto,secret/other", "secret/db, secret/other");
    assert!(named.contains(&absent.to_owned()), "{named:?}");
}
