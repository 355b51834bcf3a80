//! Most writes leave most of an object as it is. What was read before is set aside, and not read again.

use serde_json::{Map, Value};

/// The parts of an object that are known.
pub(super) struct Known {
    object: Map<String, Value>,
    metadata: Map<String, Value>,
}

impl Known {
    /// Takes from an object what stands in `known` just so.
    pub(super) fn take(object: &mut Value, known: &Value) -> Self {
        let metadata = equal(object.get_mut("metadata"), &known["metadata"]);
        let mut all = equal(Some(object), known);
        for field in ["apiVersion", "kind", "metadata"] {
            if let Some(value) = all.remove(field) {
                object[field] = value;
            }
        }
        Self {
            object: all,
            metadata,
        }
    }

    /// Gives an object what was taken from it.
    pub(super) fn give_back(self, object: &mut Value) {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.extend(self.metadata);
        }
        if let Some(object) = object.as_object_mut() {
            object.extend(self.object);
        }
    }
}

/// Takes the fields that are equal in both.
fn equal(one: Option<&mut Value>, other: &Value) -> Map<String, Value> {
    let Some(map) = one.and_then(Value::as_object_mut) else {
        return Map::new();
    };
    let same = |(field, value): &(&String, &Value)| other.get(*field) == Some(*value);
    let fields: Vec<String> = map
        .iter()
        .filter(same)
        .map(|(field, _)| field.clone())
        .collect();
    let taken = fields
        .into_iter()
        .filter_map(|field| map.remove_entry(&field));
    taken.collect()
}
