//! The same objects and the same writes, with what Stakater Reloader v1.4.21 made of them (as it was measured, with its default
//! flags and nothing else told) and what reroll makes of them. Where the numbers differ the row says why.

use reroll_harness::{Arena, workload};
use serde_json::{Value, json};

const AUTO: (&str, &str) = ("reloader.stakater.com/auto", "true");
const NAMED: &str = "secret.reloader.stakater.com/reload";

/// What is done with the Secret of a row.
#[derive(Clone, Copy)]
enum Writes {
    Update,
    Label,
    FiveUpdates,
    ThereAndBack,
    OtherKey,
    Joined,
    Delete,
    RecreateSame,
    RecreateOther,
    Appears,
}

struct Row {
    name: &'static str,
    opts_in: &'static [(&'static str, &'static str)],
    of_template: &'static [(&'static str, &'static str)],
    pod: fn(&str) -> Value,
    writes: Writes,
    /// How often each restarts it.
    reloader: usize,
    reroll: usize,
    why: &'static str,
}

const fn row(name: &'static str, writes: Writes, reloader: usize, reroll: usize) -> Row {
    Row {
        name,
        opts_in: &[AUTO],
        of_template: &[],
        pod: env_from,
        writes,
        reloader,
        reroll,
        why: "",
    }
}

const BY_UID: &str = "a recreation counts by its uid";
const QUIET: &str = "changes within the quiet period share one restart";
const OWN: &str = "exclusion and ignoring count as its documentation has it";

fn rows() -> Vec<Row> {
    use Writes::*;
    let why = |why: &'static str, row: Row| Row { why, ..row };
    let asks = |opts_in: &'static [(&'static str, &'static str)], row: Row| Row { opts_in, ..row };
    let of = |pod: fn(&str) -> Value, row: Row| Row { pod, ..row };
    let rows = vec![
        row("updated", Update, 1, 1),
        row("labelled", Label, 0, 0),
        row("deleted", Delete, 0, 0),
        why(QUIET, row("five-updates", FiveUpdates, 5, 1)),
        why(QUIET, row("there-and-back", ThereAndBack, 2, 0)),
        why(BY_UID, row("recreated-same", RecreateSame, 0, 1)),
        why(BY_UID, row("recreated-other", RecreateOther, 0, 1)),
        why("pairs are told apart", row("joined", Joined, 0, 1)),
        why(
            "a key that it does not read",
            of(env, row("other-key", OtherKey, 1, 0)),
        ),
        of(volume, row("volume", Update, 1, 1)),
        of(projected, row("projected", Update, 1, 1)),
        of(init, row("init", Update, 1, 1)),
        of(unmounted, row("unmounted", Update, 0, 0)),
        why(
            "whichever is mounted",
            of(second, row("second-volume", Update, 0, 1)),
        ),
        asks(
            &[("reloader.stakater.com/auto", "no")],
            row("auto-no", Update, 0, 0),
        ),
        asks(
            &[("reloader.stakater.com/auto", "yes")],
            row("auto-yes", Update, 0, 0),
        ),
        asks(
            &[("reloader.stakater.com/auto", " false")],
            row("auto-space-false", Update, 0, 0),
        ),
        asks(
            &[("reloader.stakater.com/auto", "T")],
            row("auto-t", Update, 1, 1),
        ),
        asks(
            &[("secret.reloader.stakater.com/auto", "true")],
            row("secret-auto", Update, 1, 1),
        ),
        asks(
            &[("configmap.reloader.stakater.com/auto", "true")],
            row("configmap-auto", Update, 0, 0),
        ),
        asks(
            &[(NAMED, "named"), ("reloader.stakater.com/auto", "false")],
            row("named", Update, 1, 1),
        ),
        asks(&[(NAMED, "expres.*")], row("expression", Update, 1, 1)),
        asks(&[(NAMED, "nobody")], row("named-another", Update, 0, 0)),
        asks(
            &[("reloader.stakater.com/search", "true")],
            row("search-without-match", Update, 0, 0),
        ),
        asks(
            &[
                AUTO,
                ("secrets.exclude.reloader.stakater.com/reload", "excluded"),
            ],
            row("excluded", Update, 0, 0),
        ),
        why(
            OWN,
            asks(
                &[AUTO, ("reloader.stakater.com/ignore", "true")],
                row("ignoring", Update, 1, 0),
            ),
        ),
        why(
            "it restarts for one that appears only with --reload-on-create, and then for every one; here it is adopted",
            asks(
                &[(NAMED, "appears.*")],
                of(nothing, row("appears", Appears, 0, 0)),
            ),
        ),
    ];
    let excluded = Row {
        of_template: &[(
            "secrets.exclude.reloader.stakater.com/reload",
            "excluded-by-template",
        )],
        ..why(OWN, row("excluded-by-template", Update, 1, 0))
    };
    rows.into_iter().chain([excluded]).collect()
}

fn env_from(secret: &str) -> Value {
    json!({ "containers": [{ "envFrom": [{ "secretRef": { "name": secret } }] }] })
}

fn env(secret: &str) -> Value {
    reroll_harness::env(secret, "k")
}

fn init(secret: &str) -> Value {
    let from = json!([{ "secretRef": { "name": secret } }]);
    json!({ "initContainers": [{ "name": "init", "image": "i", "envFrom": from }], "containers": [{}] })
}

fn nothing(_: &str) -> Value {
    json!({ "containers": [{}] })
}

fn volumes(mounted: &str, volumes: &Value) -> Value {
    let mounts = if mounted.is_empty() {
        json!([])
    } else {
        json!([{ "name": mounted, "mountPath": "/v" }])
    };
    json!({ "containers": [{ "volumeMounts": mounts }], "volumes": volumes })
}

fn volume(secret: &str) -> Value {
    volumes(
        "v",
        &json!([{ "name": "v", "secret": { "secretName": secret } }]),
    )
}

fn projected(secret: &str) -> Value {
    let sources = json!([{ "secret": { "name": secret } }]);
    volumes(
        "v",
        &json!([{ "name": "v", "projected": { "sources": sources } }]),
    )
}

fn unmounted(secret: &str) -> Value {
    volumes(
        "",
        &json!([{ "name": "v", "secret": { "secretName": secret } }]),
    )
}

fn second(secret: &str) -> Value {
    let one = |name: &str| json!({ "name": name, "secret": { "secretName": secret } });
    volumes("second", &json!([one("first"), one("second")]))
}

const BEGIN: [(&str, &str); 2] = [("k", "1;l=2"), ("other", "1")];

async fn write(arena: &Arena, name: &str, writes: Writes) {
    let other = [("k", "two"), ("other", "1")];
    match writes {
        Writes::Update => arena.update_secret(name, &other).await,
        Writes::Label => {
            let label = json!({ "metadata": { "labels": { "a": "b" } } });
            arena.patch("Secret", name, label).await;
        }
        Writes::FiveUpdates => {
            for turn in ["1", "2", "3", "4", "5"] {
                arena
                    .update_secret(name, &[("k", turn), ("other", "1")])
                    .await;
            }
        }
        Writes::ThereAndBack => {
            arena.update_secret(name, &other).await;
            arena.update_secret(name, &BEGIN).await;
        }
        Writes::OtherKey => arena.update_secret(name, &[BEGIN[0], ("other", "2")]).await,
        Writes::Joined => {
            let split = [("k", "1"), ("l", "2"), ("other", "1")];
            let data: serde_json::Map<_, _> = split
                .iter()
                .map(|(key, text)| ((*key).to_owned(), json!(text)))
                .collect();
            arena
                .patch("Secret", name, json!({ "stringData": data }))
                .await;
        }
        Writes::Delete => arena.delete("Secret", name).await,
        Writes::RecreateSame => arena.recreate_secret(name, &BEGIN).await,
        Writes::RecreateOther => arena.recreate_secret(name, &other).await,
        Writes::Appears => {
            arena.secret(&format!("{name}-later"), &BEGIN).await;
        }
    }
}

/// A row that differs says why, and one that says why differs, in the number or in what a flag of Reloader's does.
#[test]
fn each_difference_has_its_reason() {
    for row in rows() {
        let differs = row.reloader != row.reroll;
        assert!(!differs || !row.why.is_empty(), "{}", row.name);
    }
}

#[tokio::test]
async fn reroll_does_what_the_table_says() {
    let arena = Arena::new("reloader-table").await;
    // So long that a busy machine's writes fall within it.
    let reroll = arena.reroll().flag("--settle", "5s").start().await;
    let rows = rows();
    for row in &rows {
        arena.secret(row.name, &BEGIN).await;
        let mut object = workload("Deployment", row.name, row.opts_in, (row.pod)(row.name));
        for (key, text) in row.of_template {
            object["spec"]["template"]["metadata"]["annotations"][*key] = json!(text);
        }
        arena.create(&object).await;
    }
    for row in &rows {
        // What is opted in, but for the rows that show what does not opt in.
        if row.reroll > 0 || !matches!(row.writes, Writes::Update) {
            arena.adopted("Deployment", row.name).await;
        }
    }
    let recorder = arena.record().await;
    for row in &rows {
        write(&arena, row.name, row.writes).await;
    }
    recorder.settle_slowly(&arena, &reroll).await;
    for row in &rows {
        recorder.expect("Deployment", row.name, row.reroll);
    }
    // What appeared counts from now on.
    arena.update_secret("appears-later", &[("k", "two")]).await;
    recorder.reaches("Deployment", "appears", 1).await;
    recorder.settle_slowly(&arena, &reroll).await;
    recorder.expect("Deployment", "appears", 1);
}
