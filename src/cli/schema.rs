//! The schemas of what programs read: `docs/schema/` has them, and this test keeps them true.

use std::{collections::BTreeMap, fs, path::Path};

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::object::API_VERSION;

/// Returns the schema of answers of these kinds.
fn schema<T: JsonSchema>(kinds: &[&str]) -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    let properties = properties.unwrap();
    properties.insert("apiVersion".to_owned(), json!({ "const": API_VERSION }));
    properties.insert("kind".to_owned(), json!({ "enum": kinds }));
    schema
}

/// The schema of each kind, by the name of its file.
fn schemas() -> BTreeMap<&'static str, Schema> {
    use super::{doctor, explain, gates, history, lint, migrate, plan, pods, status, version};
    BTreeMap::from([
        ("explanation", schema::<explain::Answer>(&["Explanation"])),
        (
            "source-status",
            schema::<status::SourceStatus>(&["SourceStatus"]),
        ),
        ("overview", schema::<status::Overview>(&["Overview"])),
        ("outdated-pods", schema::<pods::Outdated>(&["OutdatedPods"])),
        ("history", schema::<history::Answer>(&["History"])),
        ("plan", schema::<plan::Answer>(&["Plan"])),
        ("migration", schema::<migrate::Answer>(&["Migration"])),
        ("checkup", schema::<doctor::Answer>(&["Checkup"])),
        (
            "touched",
            schema::<gates::Touched>(&["Suspended", "Resumed", "Released"]),
        ),
        ("findings", schema::<lint::Answer>(&["Findings"])),
        ("versions", schema::<version::Versions>(&["Versions"])),
    ])
}

/// With `REROLL_WRITE_SCHEMAS` set it writes them.
#[test]
fn the_schemas_in_docs_are_those_of_the_answers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let all = schemas();
    for (name, schema) in &all {
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
        if std::env::var_os("REROLL_WRITE_SCHEMAS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == text,
            "{name}: run this test with REROLL_WRITE_SCHEMAS=1"
        );
    }
    let files = fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, all.len(), "a file too many in docs/schema");
}
