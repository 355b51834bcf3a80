//! How values are read, with their lines, as serde-saphyr tells them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::Spanned;

use super::{Form, Key, Node};

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<Form>::deserialize(deserializer)?;
        let line = usize::try_from(read.referenced.line()).unwrap_or(0);
        let form = read.value;
        Ok(Self { line, form })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<String>::deserialize(deserializer)?;
        let line = usize::try_from(read.referenced.line()).unwrap_or(0);
        let text = read.value;
        Ok(Self { line, text })
    }
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfAny)
    }
}

/// Takes in any value.
struct OfAny;

impl<'de> Visitor<'de> for OfAny {
    type Value = Form;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Form, E> {
        Ok(Form::Null)
    }

    fn visit_none<E>(self) -> Result<Form, E> {
        Ok(Form::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Form, E> {
        Ok(Form::Bool(bool))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Form, E> {
        Ok(Form::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Form, E> {
        Ok(Form::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Form, E> {
        Ok(Number::from_f64(number).map_or(Form::Null, Form::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Form, E> {
        Ok(Form::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Form, E> {
        Ok(Form::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Form, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Form::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Form, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Form::Map(entries))
    }
}
