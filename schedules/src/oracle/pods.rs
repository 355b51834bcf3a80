//! What pods must have when everybody has come to rest.

use reroll_simulation::{
    api_server::ApiServer,
    nodes::{Source, Version, needs},
};
use serde_json::Value;

use super::{
    observer::{Observer, Starts},
    template::OptIn,
};
use crate::world::{ON_DELETE, ON_RECREATE, Plan};

/// Returns what is wrong with the pods of a workload.
pub(crate) fn wrong(
    server: &ApiServer,
    live: &Value,
    plan: &Plan,
    observer: &Observer,
    starts: &Starts,
) -> Vec<String> {
    let opted_in = OptIn::of(live);
    let mut wrongs = Vec::new();
    let pods = server.objects("pods");
    let own: Vec<_> = pods
        .iter()
        .filter(|pod| pod["metadata"]["labels"]["app"] == plan.name)
        .collect();
    let status = &live["status"];
    let wanted = live["spec"]["replicas"].as_u64();
    if wanted.is_some_and(|wanted| wanted != own.len() as u64) {
        wrongs.push(format!(
            "{} has {} pods of {wanted:?}; its status is {status}",
            plan.name,
            own.len()
        ));
    }
    let content = live["metadata"]["annotations"][ON_RECREATE]
        .as_str()
        .unwrap_or("auto");
    let restarts_for_absence = live["metadata"]["annotations"][ON_DELETE] == "restart";
    for pod in own {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let pod_name = &pod["metadata"]["name"];
        let Some(started) = starts.get(uid).and_then(|all| all.last()) else {
            wrongs.push(format!("pod {pod_name} never started"));
            continue;
        };
        let optional = |source: &Source| {
            let all = needs(&pod["spec"]);
            let mut own = all.iter().filter(|need| need.source == *source);
            own.all(|need| need.optional)
        };
        for ((source, _), version) in &started.versions {
            if !opted_in.has(source) || observer.excuses(uid, source) {
                continue;
            }
            let now = observer.live(source);
            if observer.ignores(source) {
                continue;
            }
            if let (Some(version), Some(now)) = (version, now)
                && version.is_immutable()
                && !version.is_as(now)
                && observer.must_tell(uid, version.uid())
                && !is_told(server, plan.name, pod_name)
            {
                wrongs.push(format!(
                    "no Event tells that pod {pod_name} has the old data of {source:?}"
                ));
            }
            let right = match (version, now) {
                (Some(version), Some(_)) if observer.was_brief(version) => true,
                (Some(version), Some(now)) => {
                    version.is_immutable() && observer.is_later(uid, version.uid())
                        || version.is_as(now)
                            && (version.uid() == now["metadata"]["uid"]
                                || content == "content"
                                || content == "auto"
                                    && observer.is_machine_made(source)
                                    && !optional(source))
                }
                (None, None) => true,
                (Some(version), None) => {
                    let kept = version.is_immutable() && observer.is_later(uid, version.uid());
                    kept || !(optional(source) && restarts_for_absence)
                }
                // It may have started in the moment in which it was made again.
                (None, Some(_)) => content == "content" && optional(source),
            };
            if !right {
                wrongs.push(format!(
                    "pod {pod_name} has {} of {source:?}, which is {}",
                    version.as_ref().map_or_else(|| "nothing".to_owned(), told),
                    now.map_or_else(|| "away".to_owned(), |now| told_live(now)),
                ));
            }
        }
    }
    wrongs
}

/// Whether an Event tells of old data in a pod.
fn is_told(server: &ApiServer, workload: &str, pod: &Value) -> bool {
    let pod = pod.as_str().unwrap_or_default();
    let tells = |event: &Value| {
        event["reason"] == "Stale"
            && event["regarding"]["name"] == workload
            && event["note"]
                .as_str()
                .is_some_and(|note| note.contains(pod))
    };
    let events = server.objects("events.events.k8s.io");
    events.iter().any(|event| tells(event))
}

fn told(version: &Version) -> String {
    format!("{:?} ({})", version.data(), version.uid())
}

fn told_live(live: &Value) -> String {
    format!("{} ({})", live["data"], live["metadata"]["uid"])
}
