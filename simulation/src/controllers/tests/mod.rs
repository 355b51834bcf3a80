//! Whole stories, in a cluster of an API server, controllers and nodes.

mod world;

use std::{sync::Arc, time::Duration};

use serde_json::json;

use self::world::{deployment, run, stateful_set};
use crate::{
    controllers::Controller,
    nodes::{Outcome, SourceKind},
};

#[test]
fn a_deployment_rolls_and_comes_back() {
    run(1, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        world.create("deployments.apps", deployment("d", 3)).await;
        world.rest().await;
        assert_eq!(world.pods("d"), 3);
        let status = world.get("deployments.apps", "d");
        assert_eq!(status["status"]["availableReplicas"], 3);
        assert_eq!(
            world::reason(&status, "Progressing"),
            "NewReplicaSetAvailable"
        );
        let template = |value: &str| json!({ "spec": { "template": { "metadata": { "annotations": { "v": value } } } } });
        for (value, revision) in [("2", "2"), ("3", "3"), ("2", "4")] {
            world.patch("deployments.apps", "d", template(value)).await;
            world.rest().await;
            let deployment = world.get("deployments.apps", "d");
            let annotations = &deployment["metadata"]["annotations"];
            assert_eq!(annotations["deployment.kubernetes.io/revision"], revision);
            assert_eq!(deployment["status"]["updatedReplicas"], 3);
            assert_eq!(deployment["status"]["replicas"], 3);
        }
        assert_eq!(world.objects("replicasets.apps").len(), 3);
    });
}

#[test]
fn pods_note_what_they_started_with() {
    run(2, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        world.create("deployments.apps", deployment("d", 1)).await;
        world.rest().await;
        let starts = world.nodes.starts();
        let started = starts.values().next().unwrap();
        let ((source, _), version) = started[0].versions.iter().next().unwrap();
        assert_eq!(
            (source.kind, source.name.as_str()),
            (SourceKind::Secret, "s")
        );
        let version = version.as_ref().unwrap();
        assert_eq!(
            version.data().into_iter().collect::<Vec<_>>(),
            [("k", "MQ==")]
        );
    });
}

#[test]
fn what_is_immutable_is_read_again_only_when_no_pod_names_it() {
    run(3, async |world| {
        let immutable = |value: &str| {
            let mut secret = world::secret("s", value);
            secret["immutable"] = json!(true);
            secret
        };
        world.create("secrets", immutable("1")).await;
        world.create("deployments.apps", deployment("d", 6)).await;
        world.rest().await;
        world.delete("secrets", "s", json!({})).await;
        world.create("secrets", immutable("2")).await;
        let restart =
            json!({ "spec": { "template": { "metadata": { "annotations": { "v": "2" } } } } });
        world.patch("deployments.apps", "d", restart).await;
        world.rest().await;
        assert_eq!(world.values("d"), ["MQ=="; 6]);
        let size = |replicas: u8| json!({ "spec": { "replicas": replicas } });
        world.patch("deployments.apps", "d", size(0)).await;
        world.rest().await;
        world.patch("deployments.apps", "d", size(6)).await;
        world.rest().await;
        assert_eq!(world.values("d"), ["Mg=="; 6]);
    });
}

#[test]
fn a_pod_waits_for_what_it_needs() {
    run(4, async |world| {
        world.create("deployments.apps", deployment("d", 1)).await;
        world.rest().await;
        let pod = world.objects("pods").remove(0);
        let state = &pod["status"]["containerStatuses"][0]["state"];
        assert_eq!(state["waiting"]["reason"], "CreateContainerConfigError");
        world.create("secrets", world::secret("s", "1")).await;
        world.rest().await;
        assert_eq!(world.values("d"), ["MQ=="]);
    });
}

#[test]
fn a_rollout_that_hangs_exceeds_its_deadline() {
    run(5, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        let mut hangs = deployment("d", 4);
        hangs["spec"]["progressDeadlineSeconds"] = json!(30);
        world.create("deployments.apps", hangs).await;
        world.rest().await;
        world.nodes.behave(Arc::new(|_, _| Outcome::NeverReady));
        let restart =
            json!({ "spec": { "template": { "metadata": { "annotations": { "v": "2" } } } } });
        world.patch("deployments.apps", "d", restart).await;
        world.rest().await;
        let deployment = world.get("deployments.apps", "d");
        assert_eq!(
            world::reason(&deployment, "Progressing"),
            "ProgressDeadlineExceeded"
        );
        assert_eq!(
            world::reason(&deployment, "Available"),
            "MinimumReplicasAvailable"
        );
        // As measured on a real one: 4 replicas, of which 3 are ready, and 2 new that are not.
        assert_eq!(deployment["status"]["updatedReplicas"], 2);
        assert_eq!(deployment["status"]["readyReplicas"], 3);
    });
}

#[test]
fn crashes_back_off() {
    run(6, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        let crash = Outcome::CrashesAfter(Duration::from_millis(10));
        world.nodes.behave(Arc::new(move |_, _| crash));
        world.create("deployments.apps", deployment("d", 1)).await;
        tokio::time::sleep(Duration::from_mins(1)).await;
        let pod = world.objects("pods").remove(0);
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 3);
        assert_eq!(world.nodes.starts().values().next().unwrap().len(), 4);
    });
}

#[test]
fn a_stateful_set_is_stuck_at_a_bad_pod() {
    run(7, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        world
            .create("statefulsets.apps", stateful_set("w", 2))
            .await;
        world.rest().await;
        assert_eq!(world.pods("w"), 2);
        world.nodes.behave(Arc::new(|_, _| Outcome::NeverReady));
        let template = |value: &str| json!({ "spec": { "template": { "metadata": { "annotations": { "v": value } } } } });
        world.patch("statefulsets.apps", "w", template("2")).await;
        world.rest().await;
        world.nodes.behave(Arc::new(|_, _| Outcome::Ready));
        world.patch("statefulsets.apps", "w", template("3")).await;
        world.rest().await;
        let set = world.get("statefulsets.apps", "w");
        assert_eq!(set["status"]["readyReplicas"], 1, "nobody deletes w-1");
        world.delete("pods", "w-1", json!({})).await;
        world.rest().await;
        let set = world.get("statefulsets.apps", "w");
        assert_eq!(set["status"]["updatedReplicas"], 2);
        assert_eq!(
            set["status"]["currentRevision"],
            set["status"]["updateRevision"]
        );
        assert_eq!(world.objects("controllerrevisions.apps").len(), 3);
    });
}

#[test]
fn a_daemon_set_has_a_pod_on_each_node() {
    run(8, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        world
            .create("daemonsets.apps", world::daemon_set("a"))
            .await;
        world.rest().await;
        let restart =
            json!({ "spec": { "template": { "metadata": { "annotations": { "v": "2" } } } } });
        world.patch("daemonsets.apps", "a", restart).await;
        world.rest().await;
        let set = world.get("daemonsets.apps", "a");
        assert_eq!(set["status"]["numberReady"], 3);
        assert_eq!(set["status"]["updatedNumberScheduled"], 3);
        assert_eq!(world.objects("controllerrevisions.apps").len(), 2);
    });
}

#[test]
fn who_is_away_does_nothing_and_who_is_late_does_nothing_twice() {
    run(9, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        world.controllers.set_away(Controller::ReplicaSet, true);
        world.create("deployments.apps", deployment("d", 2)).await;
        world.rest().await;
        assert_eq!(world.pods("d"), 0);
        world.controllers.set_away(Controller::ReplicaSet, false);
        let view = world.controllers.view(Controller::ReplicaSet).unwrap();
        tokio::time::sleep(Duration::from_millis(450)).await;
        view.fall_behind();
        world.rest().await;
        assert!(world.pods("d") <= 2);
        view.keep_up();
        world.rest().await;
        assert_eq!(world.pods("d"), 2);
    });
}

#[test]
fn the_same_seed_has_the_same_history() {
    let history = |seed| {
        let mut revision = 0;
        let seen = &mut revision;
        run(seed, async |world| {
            world.create("secrets", world::secret("s", "1")).await;
            world.create("deployments.apps", deployment("d", 3)).await;
            world
                .create("statefulsets.apps", stateful_set("w", 2))
                .await;
            world.rest().await;
            let objects = ["pods", "replicasets.apps", "deployments.apps"];
            let objects: Vec<_> = objects.iter().map(|one| world.objects(one)).collect();
            *seen = crate::controllers::tests::world::sum(&format!("{objects:?}"));
        });
        revision
    };
    assert_eq!(history(10), history(10));
    assert_ne!(history(10), history(11));
}

#[test]
fn dependents_go_with_their_owners_or_are_let_go() {
    run(12, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        for policy in ["Background", "Foreground"] {
            world.create("deployments.apps", deployment("d", 2)).await;
            world.rest().await;
            let options = json!({ "propagationPolicy": policy });
            world.delete("deployments.apps", "d", options).await;
            world.rest().await;
            assert_eq!(world.pods("d"), 0, "{policy}");
            assert!(world.objects("replicasets.apps").is_empty(), "{policy}");
            assert!(world.objects("deployments.apps").is_empty(), "{policy}");
        }
        world.create("deployments.apps", deployment("d", 2)).await;
        world.rest().await;
        let before = world.uids("pods");
        let orphan = json!({ "propagationPolicy": "Orphan" });
        world.delete("deployments.apps", "d", orphan).await;
        world.rest().await;
        assert!(world.objects("deployments.apps").is_empty());
        let set = world.objects("replicasets.apps").remove(0);
        assert!(set["metadata"].get("ownerReferences").is_none());
        world.create("deployments.apps", deployment("d", 2)).await;
        world.rest().await;
        assert_eq!(world.uids("pods"), before, "the new one has adopted them");
        assert_eq!(world.objects("replicasets.apps").len(), 1);
    });
}

#[test]
fn a_namespace_is_emptied_and_goes() {
    run(13, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        world.create("deployments.apps", deployment("d", 2)).await;
        world.create("jobs.batch", world::job("j")).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.delete_namespace().await;
        world.rest().await;
        assert!(
            world
                .objects("namespaces")
                .iter()
                .all(|one| one["metadata"]["name"] != "n")
        );
        for resource in ["pods", "secrets", "replicasets.apps", "jobs.batch"] {
            assert!(world.objects(resource).is_empty(), "{resource}");
        }
    });
}

#[test]
fn jobs_run_and_end() {
    run(14, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        world.create("jobs.batch", world::job("j")).await;
        world.rest().await;
        let job = world.get("jobs.batch", "j");
        assert_eq!(job["status"]["succeeded"], 1);
        assert_eq!(world::reason(&job, "Complete"), "CompletionsReached");
        let crash = Outcome::CrashesAfter(Duration::from_millis(10));
        world.nodes.behave(Arc::new(move |_, _| crash));
        let mut fails = world::job("k");
        fails["spec"]["backoffLimit"] = json!(2);
        fails["spec"]["ttlSecondsAfterFinished"] = json!(1000);
        world.create("jobs.batch", fails).await;
        world.rest().await;
        let job = world.get("jobs.batch", "k");
        assert_eq!(job["status"]["failed"], 3);
        assert_eq!(world::reason(&job, "Failed"), "BackoffLimitExceeded");
        tokio::time::sleep(Duration::from_secs(1000)).await;
        world.rest().await;
        assert_eq!(world.objects("jobs.batch").len(), 1, "k is gone");
    });
}

#[test]
fn a_cron_job_makes_jobs_unless_it_is_suspended() {
    run(15, async |world| {
        world.create("secrets", world::secret("s", "1")).await;
        world.create("cronjobs.batch", world::cron_job("c")).await;
        tokio::time::sleep(Duration::from_mins(62)).await;
        let cron_job = world.get("cronjobs.batch", "c");
        assert_eq!(
            cron_job["status"]["lastScheduleTime"],
            "2026-01-01T01:00:00Z"
        );
        assert!(cron_job["status"]["active"].is_null());
        assert_eq!(world.objects("jobs.batch").len(), 3, "the history limit");
        let suspend = json!({ "spec": { "suspend": true } });
        world.patch("cronjobs.batch", "c", suspend).await;
        tokio::time::sleep(Duration::from_hours(1)).await;
        let cron_job = world.get("cronjobs.batch", "c");
        assert_eq!(
            cron_job["status"]["lastScheduleTime"],
            "2026-01-01T01:00:00Z"
        );
    });
}

#[test]
fn all_goes_on_after_a_backup_is_restored() {
    for moment in [0, 100, 300, 900, 2000, 5000] {
        run(16, async |world| {
            world.create("secrets", world::secret("s", "1")).await;
            world.create("deployments.apps", deployment("d", 3)).await;
            tokio::time::sleep(Duration::from_millis(moment)).await;
            let backup = world.server.snapshot();
            world.rest().await;
            let restart =
                json!({ "spec": { "template": { "metadata": { "annotations": { "v": "2" } } } } });
            world.patch("deployments.apps", "d", restart).await;
            world.rest().await;
            world.server.restore(&backup, None);
            world.rest().await;
            let deployment = world.get("deployments.apps", "d");
            assert_eq!(deployment["status"]["readyReplicas"], 3, "{moment}");
            assert_eq!(deployment["status"]["replicas"], 3, "{moment}");
            assert_eq!(world.values("d"), ["MQ=="; 3], "{moment}");
        });
    }
}
