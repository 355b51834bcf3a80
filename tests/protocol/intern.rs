//! JSON values as small numbers. A state then is a few bytes, and equal values are equal numbers.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock, Mutex},
};

use serde_json::Value;

/// A JSON value: an object of the API server, or a patch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Json(u32);

#[derive(Default)]
struct Values {
    by_text: HashMap<String, Json>,
    all: Vec<Arc<Value>>,
}

static VALUES: LazyLock<Mutex<Values>> = LazyLock::new(Mutex::default);

impl Json {
    pub(crate) fn of(value: &Value) -> Self {
        let text = value.to_string();
        let mut values = VALUES.lock().unwrap();
        if let Some(known) = values.by_text.get(&text) {
            return *known;
        }
        let new = Self(u32::try_from(values.all.len()).unwrap());
        values.all.push(Arc::new(value.clone()));
        values.by_text.insert(text, new);
        new
    }

    pub(crate) fn value(self) -> Arc<Value> {
        Arc::clone(&VALUES.lock().unwrap().all[self.0 as usize])
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value();
        let annotations = |at: &str| value.pointer(at).map(ToString::to_string);
        let own = annotations("/metadata/annotations");
        match own {
            Some(own) => write!(
                f,
                "#{} rv {} generation {} {own} of {} status {}",
                self.0,
                value["metadata"]["resourceVersion"],
                value["metadata"]["generation"],
                value["spec"]["template"],
                value["status"]
            ),
            None => write!(f, "#{} {value}", self.0),
        }
    }
}

/// The results of a pure function, by its arguments.
pub(crate) struct Memo<K, V>(Mutex<HashMap<K, V>>);

impl<K: std::hash::Hash + Eq, V: Clone> Memo<K, V> {
    pub(crate) fn get(&self, of: K, compute: impl FnOnce(&K) -> V) -> V {
        if let Some(known) = self.0.lock().unwrap().get(&of) {
            return known.clone();
        }
        let new = compute(&of);
        self.0.lock().unwrap().insert(of, new.clone());
        new
    }
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
