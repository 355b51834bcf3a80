//! Selectors: of labels, as text and as an object, and of fields.

use serde_json::Value;

use super::resources::Row;

/// One requirement on labels or fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Requirement {
    fn holds(&self, value: impl Fn(&str) -> Option<String>) -> bool {
        match self {
            Self::In(key, values) => value(key).is_some_and(|value| values.contains(&value)),
            Self::NotIn(key, values) => !value(key).is_some_and(|value| values.contains(&value)),
            Self::Exists(key) => value(key).is_some(),
            Self::Absent(key) => value(key).is_none(),
        }
    }
}

/// Which objects a list or a watch is of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) labels: Vec<Requirement>,
    pub(crate) fields: Vec<Requirement>,
}

impl Selection {
    pub(crate) fn selects(&self, object: &Value) -> bool {
        labels_hold(&self.labels, &object["metadata"]["labels"])
            && self
                .fields
                .iter()
                .all(|one| one.holds(|name| Some(field(object, name))))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

/// Whether labels fulfil all requirements.
pub(crate) fn labels_hold(requirements: &[Requirement], labels: &Value) -> bool {
    let value = |key: &str| labels.get(key)?.as_str().map(ToOwned::to_owned);
    requirements.iter().all(|one| one.holds(value))
}

/// Reads a selector of labels from its text.
pub(crate) fn of_labels(text: &str) -> Result<Vec<Requirement>, String> {
    parts(text).into_iter().map(of_label).collect()
}

/// Splits at the commas that are not in brackets.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn of_label(text: &str) -> Result<Requirement, String> {
    let text = text.trim();
    let set = |list: &str| {
        let inner = list
            .trim()
            .strip_prefix('(')
            .and_then(|it| it.strip_suffix(')'));
        let values = inner.ok_or_else(|| format!("unable to parse requirement: {text}"))?;
        Ok::<_, String>(
            values
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect(),
        )
    };
    if let Some(key) = text.strip_prefix('!') {
        return Ok(Requirement::Absent(key.trim().to_owned()));
    }
    if let Some((key, list)) = text.split_once(" notin ") {
        return Ok(Requirement::NotIn(key.trim().to_owned(), set(list)?));
    }
    if let Some((key, list)) = text.split_once(" in ") {
        return Ok(Requirement::In(key.trim().to_owned(), set(list)?));
    }
    if let Some(requirement) = equality(text) {
        return Ok(requirement);
    }
    if text.contains(char::is_whitespace) || text.contains('(') {
        return Err(format!("unable to parse requirement: {text}"));
    }
    Ok(Requirement::Exists(text.to_owned()))
}

/// `a=b`, `a==b` or `a!=b`.
fn equality(text: &str) -> Option<Requirement> {
    let owned = |part: &str| part.trim().to_owned();
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Requirement::NotIn(owned(key), vec![owned(value)]));
    }
    let (key, value) = text.split_once("==").or_else(|| text.split_once('='))?;
    Some(Requirement::In(owned(key), vec![owned(value)]))
}

/// Reads a selector of fields from its text.
pub(crate) fn of_fields(row: &Row, text: &str) -> Result<Vec<Requirement>, String> {
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    let requirement = |part: &str| {
        let found = equality(part).ok_or_else(|| format!("invalid selector: '{part}'"))?;
        let (Requirement::In(name, _) | Requirement::NotIn(name, _)) = &found else {
            return Err(format!("invalid selector: '{part}'"));
        };
        if !is_known(row, name) {
            return Err(format!("field label not supported: {name}"));
        }
        Ok(found)
    };
    parts.map(requirement).collect()
}

fn is_known(row: &Row, name: &str) -> bool {
    let of_events = if row.group.is_empty() {
        "involvedObject."
    } else {
        "regarding."
    };
    match (row.kind, name) {
        (_, "metadata.name")
        | ("Secret", "type")
        | ("Namespace", "status.phase")
        | ("Job", "status.successful")
        | ("ReplicaSet", "status.replicas")
        | ("Event", "type" | "reason" | "reportingComponent")
        | (
            "Pod",
            "status.phase" | "spec.nodeName" | "spec.restartPolicy" | "spec.serviceAccountName",
        ) => true,
        (_, "metadata.namespace") => row.is_namespaced() || !row.custom,
        ("Event", _) => name.starts_with(of_events),
        _ => false,
    }
}

/// Returns a field as text; fields that are not there are empty.
fn field(object: &Value, name: &str) -> String {
    // Events are stored as those of events.k8s.io.
    let renamed = name
        .strip_prefix("involvedObject.")
        .map(|rest| format!("regarding.{rest}"));
    let mut at = object;
    for part in renamed.as_deref().unwrap_or(name).split('.') {
        at = &at[part];
    }
    match at {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Reads a `LabelSelector`.
pub(crate) fn of_object(selector: &Value) -> Vec<Requirement> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let equal = labels.map(|(key, value)| Requirement::In(key.clone(), vec![text(value)]));
    let expressions = selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    let others = expressions.map(|one| {
        let key = text(&one["key"]);
        let values = one["values"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect();
        match one["operator"].as_str() {
            Some("In") => Requirement::In(key, values),
            Some("NotIn") => Requirement::NotIn(key, values),
            Some("Exists") => Requirement::Exists(key),
            _ => Requirement::Absent(key),
        }
    });
    equal.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_of_labels() {
        let labels = json!({ "a": "1", "b": "2", "e": "" });
        for (text, holds) in [
            ("", true),
            ("a=1", true),
            ("a==1,b=2", true),
            ("a=2", false),
            ("a!=2,c!=1", true),
            ("a!=1", false),
            ("a in (1,2),b in (2)", true),
            ("a notin (1, 2)", false),
            ("c notin (1)", true),
            ("a,!c", true),
            ("c", false),
            ("!a", false),
            ("e=", true),
        ] {
            assert_eq!(
                labels_hold(&of_labels(text).unwrap(), &labels),
                holds,
                "{text}"
            );
        }
        assert!(of_labels("a in 1").is_err());
        assert!(of_labels("a b").is_err());
        let object = json!({ "matchLabels": { "a": "1" }, "matchExpressions": [
            { "key": "b", "operator": "In", "values": ["2"] }, { "key": "c", "operator": "DoesNotExist" },
            { "key": "a", "operator": "NotIn", "values": ["3"] }, { "key": "e", "operator": "Exists" },
        ]});
        assert!(labels_hold(&of_object(&object), &labels));
        assert!(!labels_hold(
            &of_object(&object),
            &json!({ "a": "1", "c": "" })
        ));
    }

    #[test]
    fn selectors_of_fields() {
        let row = |kind: &str| {
            super::super::resources::ROWS
                .iter()
                .find(|row| row.kind == kind)
                .unwrap()
        };
        let pod = json!({ "metadata": { "name": "p" }, "status": { "phase": "Running" } });
        for (text, holds) in [
            ("metadata.name=p", true),
            ("metadata.name!=p", false),
            ("status.phase!=Succeeded,status.phase!=Failed", true),
            ("spec.nodeName=", true),
        ] {
            let fields = of_fields(row("Pod"), text).unwrap();
            let selection = Selection {
                fields,
                ..Selection::default()
            };
            assert_eq!(selection.selects(&pod), holds, "{text}");
        }
        assert!(of_fields(row("Secret"), "spec.x=1").is_err());
        assert!(of_fields(row("Event"), "involvedObject.name=x,reason=y").is_ok());
    }
}
