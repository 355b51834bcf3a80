//! What was written, in a line: what a person reads who wants to know how a schedule went wrong.

use reroll_simulation::api_server::Written;
use serde_json::Value;

/// What tells nothing.
const LEFT_OUT: [&str; 3] = [
    "/metadata/managedFields",
    "/metadata/resourceVersion",
    "/metadata/generation",
];

/// Returns a write in a line; `None` for what tells nothing: Leases, Events, and statuses of nodes.
pub(crate) fn line(one: &Written) -> Option<String> {
    let resource = one.resource.split('.').next().unwrap_or_default();
    if ["leases", "events", "nodes"].contains(&resource) {
        return None;
    }
    let (before, after) = (one.before.as_deref(), one.after.as_deref());
    let object = after.or(before)?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let what = match (before, after) {
        (Some(before), Some(after)) => changes(before, after)?,
        (None, Some(after)) => made(after),
        _ => "is deleted".to_owned(),
    };
    Some(format!("  {} {resource} {name} {what}", one.revision))
}

fn made(object: &Value) -> String {
    let metadata = &object["metadata"];
    let template = &object["spec"]["template"]["metadata"]["annotations"];
    let parts = [
        ("data", &object["data"]),
        ("annotations", &metadata["annotations"]),
        ("template", template),
    ];
    let parts = parts.iter().filter(|(_, part)| !part.is_null());
    let parts: Vec<_> = parts.map(|(name, part)| format!("{name} {part}")).collect();
    format!("is made: uid {} {}", metadata["uid"], parts.join(" "))
}

fn changes(before: &Value, after: &Value) -> Option<String> {
    let patch = json_patch::diff(before, after);
    let lines: Vec<_> = patch
        .iter()
        .filter(|one| {
            let path = one.path().to_string();
            !LEFT_OUT.iter().any(|left| path.starts_with(left))
        })
        .map(ToString::to_string)
        .collect();
    (!lines.is_empty()).then(|| lines.join(" "))
}
