//! What was found in a pod template, and how its places name sources.

use litemap::LiteMap;
use serde_json::Value;

use super::bounds::COUNTED;
use crate::model::source::{
    kinds::{Fields, SourceKind},
    names::SourceName,
    usage::Usage,
};

/// What a pod template uses, by source.
pub type References = LiteMap<SourceName, Usage>;

/// Returns what a place of a template names by the fields of that place.
pub(super) fn named(
    place: &Value,
    field: fn(&Fields) -> Option<&'static str>,
) -> impl Iterator<Item = (SourceKind, &Value)> {
    SourceKind::ALL
        .into_iter()
        .filter_map(move |kind| Some((kind, place.get(field(kind.fields())?)?)))
}

pub(super) fn add(found: &mut References, kind: SourceKind, name: &Value, usage: Usage) {
    if found.len() >= COUNTED {
        return;
    }
    let Some(name) = name.as_str().filter(|name| !name.is_empty()) else {
        return;
    };
    let source = SourceName {
        kind,
        name: name.to_owned(),
    };
    match found.get_mut(&source) {
        Some(known) => known.merge(&usage),
        None => {
            found.insert(source, usage);
        }
    }
}

pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
