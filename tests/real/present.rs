//! Webhook configurations that somebody deletes while reroll runs.

use reroll_harness::{Arena, RESTART_ON, deployment, eventually};

const BOTH: &str = "validatingwebhookconfigurations,mutatingwebhookconfigurations";

/// What it registered itself it puts back, and its webhook works again.
#[tokio::test]
async fn what_it_registered_itself_is_put_back() {
    let arena = Arena::new("present").await;
    let reroll = arena.reroll().start().await;
    let present = "reroll_webhook_configurations_present";
    eventually("both are there", async || {
        (reroll.count(present).await == 1).then_some(())
    })
    .await;
    for kinds in [BOTH, "mutatingwebhookconfigurations"] {
        arena
            .kubectl(&["delete", kinds, &arena.namespace])
            .await
            .ok();
        eventually("both are put back", async || {
            let found = arena
                .kubectl(&["get", BOTH, "-o", "name", "--ignore-not-found"])
                .await
                .ok();
            (found.out.matches(&arena.namespace).count() == 2).then_some(())
        })
        .await;
    }
    assert_eq!(reroll.log().matches("registering them again").count(), 2);
    arena.secret("db", &[("k", "one")]).await;
    let mut number = 0;
    eventually("the webhook is called again", async || {
        // An API server takes up a configuration some time after it is written.
        number += 1;
        let name = format!("web-{number}");
        let created = arena.create(&deployment(&name, "db", "k")).await;
        let annotations = created.metadata.annotations.unwrap_or_default();
        assert!(annotations.contains_key(RESTART_ON));
        annotations
            .contains_key("reroll.dev/observed")
            .then_some(())
    })
    .await;
    assert!(reroll.stop().await);
}
