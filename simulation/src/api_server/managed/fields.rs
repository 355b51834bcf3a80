//! Sets of fields, as `FieldsV1` writes them.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value, json};

/// A set of fields: whether this one is in it, and those below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    own: bool,
    below: BTreeMap<String, Self>,
}

impl Fields {
    /// Reads a `FieldsV1`.
    pub(super) fn of(tree: &Value) -> Self {
        let mut fields = Self::below(tree);
        // The object as a whole is no field.
        fields.own = false;
        fields
    }

    fn below(tree: &Value) -> Self {
        let all = tree.as_object().into_iter().flatten();
        let below = all.filter(|(name, _)| *name != ".");
        Self {
            own: is_in(tree),
            below: below
                .map(|(name, child)| (name.clone(), Self::below(child)))
                .collect(),
        }
    }

    /// Returns it as a `FieldsV1`.
    pub(super) fn to_value(&self) -> Value {
        let mut tree: Map<_, _> = self
            .below
            .iter()
            .map(|(name, child)| (name.clone(), child.to_value()))
            .collect();
        // A field with nothing below it is written without the `.`.
        if self.own && !tree.is_empty() {
            tree.insert(".".to_owned(), json!({}));
        }
        Value::Object(tree)
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.own && self.below.is_empty()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.own |= other.own;
        for (name, child) in &other.below {
            self.below.entry(name.clone()).or_default().add(child);
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.own &= !other.own;
        for (name, child) in &other.below {
            if let Some(own) = self.below.get_mut(name) {
                own.subtract(child);
                if own.is_empty() {
                    self.below.remove(name);
                }
            }
        }
    }

    /// Whether any of the fields is in a `FieldsV1`.
    pub(super) fn is_in_part(&self, tree: &Value) -> bool {
        self.own && is_in(tree)
            || self
                .below
                .iter()
                .any(|(name, child)| tree.get(name).is_some_and(|tree| child.is_in_part(tree)))
    }

    /// Whether each of the fields is in a `FieldsV1`.
    pub(super) fn is_all(&self, tree: &Value) -> bool {
        (!self.own || is_in(tree))
            && self
                .below
                .iter()
                .all(|(name, child)| tree.get(name).is_some_and(|tree| child.is_all(tree)))
    }

    /// Returns those fields whose path has owners. Paths of two names decide it.
    pub(super) fn counted(mut self, counts: impl Fn(&[&str]) -> bool) -> Self {
        for (name, child) in &mut self.below {
            child.own &= counts(&[name]);
            child.below.retain(|below, _| counts(&[name, below]));
        }
        self.below.retain(|_, child| !child.is_empty());
        self
    }

    fn insert(&mut self, name: String, child: Self) {
        if !child.is_empty() {
            self.below.insert(name, child);
        }
    }
}

/// Whether a field that stands in a `FieldsV1` is in the set itself, and not only what is below it.
fn is_in(tree: &Value) -> bool {
    tree.as_object()
        .is_some_and(|map| map.is_empty() || map.contains_key("."))
}

/// Where a value stands, as far as that says which of its parts have owners of their own.
#[derive(Clone, Copy)]
struct Place<'a> {
    field: &'a str,
    depth: usize,
    in_metadata: bool,
}

impl<'a> Place<'a> {
    const ROOT: Place<'static> = Place {
        field: "",
        depth: 0,
        in_metadata: false,
    };

    fn below(self, field: &'a str) -> Self {
        let in_metadata = self.depth == 1 && self.field == "f:metadata";
        Self {
            field,
            depth: self.depth + 1,
            in_metadata,
        }
    }
}

/// Returns the fields that one object has and the other has not so, and those that only the old one has.
pub(super) fn compare(old: &Value, new: &Value) -> (Fields, Fields) {
    let (mut changed, mut removed) = (Fields::default(), Fields::default());
    differ(old, new, Place::ROOT, &mut changed, &mut removed);
    removed.subtract(&changed);
    (changed, removed)
}

/// The same, but for one field.
pub(super) fn compare_but(old: &Value, new: &Value, left_out: &str) -> (Fields, Fields) {
    let (mut changed, mut removed) = (Fields::default(), Fields::default());
    let parts = |value| {
        let mut parts = Parts::of(value, Place::ROOT)?;
        parts.list.retain(|(name, _)| name != left_out);
        Some(parts)
    };
    if let (Some(before), Some(after)) = (parts(old), parts(new)) {
        differ_in(&before, &after, Place::ROOT, &mut changed, &mut removed);
    }
    removed.subtract(&changed);
    (changed, removed)
}

fn differ(old: &Value, new: &Value, place: Place, changed: &mut Fields, removed: &mut Fields) {
    let (Some(before), Some(after)) = (Parts::of(old, place), Parts::of(new, place)) else {
        if old != new {
            if !old.is_null() {
                *removed = all(old, place);
            }
            *changed = all(new, place);
        }
        return;
    };
    differ_in(&before, &after, place, changed, removed);
}

fn differ_in(
    before: &Parts,
    after: &Parts,
    place: Place,
    changed: &mut Fields,
    removed: &mut Fields,
) {
    for (key, value) in &after.list {
        let was = before.get(key);
        if was == Some(*value) {
            continue;
        }
        let name = after.name(key);
        let place = place.below(&name);
        let (mut came, mut went) = (Fields::default(), Fields::default());
        match was {
            None => came = all(value, place),
            Some(old) => differ(old, value, place, &mut came, &mut went),
        }
        removed.insert(name.clone(), went);
        changed.insert(name, came);
    }
    for (key, value) in &before.list {
        if after.get(key).is_none() {
            let name = before.name(key);
            let went = all(value, place.below(&name));
            removed.insert(name, went);
        }
    }
}

/// Returns a field and all below it.
fn all(value: &Value, place: Place) -> Fields {
    let below = Parts::of(value, place).map(|parts| {
        let below = parts.list.iter().map(|(key, child)| {
            let name = parts.name(key);
            let fields = all(child, place.below(&name));
            (name, fields)
        });
        below.collect()
    });
    Fields {
        own: true,
        below: below.unwrap_or_default(),
    }
}

/// The parts of a field that have owners of their own, in the order of their names.
struct Parts<'a> {
    /// What stands before each name.
    prefix: &'static str,
    list: Vec<(Cow<'a, str>, &'a Value)>,
}

impl<'a> Parts<'a> {
    /// Returns the parts of a field; `None` where it is owned as a whole.
    fn of(value: &'a Value, place: Place) -> Option<Self> {
        let field = place.field;
        match value {
            Value::Object(map) => {
                let whole = matches!(
                    field,
                    "f:selector" | "f:managedFields" | "f:regarding" | "f:involvedObject"
                ) || field.starts_with("k:");
                // What is not text there is the raw data of a ControllerRevision.
                let raw = field == "f:data" && map.values().any(|one| !one.is_string());
                let list = map
                    .iter()
                    .map(|(key, value)| (Cow::from(key.as_str()), value));
                (!whole && !raw).then(|| Self {
                    prefix: "f:",
                    list: list.collect(),
                })
            }
            Value::Array(items) if place.in_metadata && field != "f:managedFields" => {
                let name = |value: &Value| match field {
                    "f:finalizers" => format!("v:{value}"),
                    _ => format!("k:{}", json!({ "uid": value["uid"] })),
                };
                let named = items.iter().map(|value| (name(value), value));
                let by_name: BTreeMap<_, _> = named.collect();
                let list = by_name
                    .into_iter()
                    .map(|(name, value)| (Cow::from(name), value));
                Some(Self {
                    prefix: "",
                    list: list.collect(),
                })
            }
            _ => None,
        }
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        let found = self.list.binary_search_by(|(own, _)| (**own).cmp(key));
        found.ok().map(|at| self.list[at].1)
    }
}
