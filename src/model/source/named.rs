//! What people write for a source, or for a key of one: `secret/NAME`, `secret/NAME#KEY`. One entry of a list.

use std::fmt;

use super::{
    glob::{LONGEST, is_glob},
    names::SourceName,
};

/// A source, or a key of one, as people write it. In both names `*` and `?` stand for other letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Kind and name.
    pub source: SourceName,
    /// The key; `None` where none is written: all of it is meant.
    pub key: Option<String>,
}

impl Named {
    /// Reads an entry without spaces around it; `None` where no object, and no key, can have such a name. What a
    /// SecretProviderClass provides has no keys.
    pub fn read(text: &str) -> Option<Self> {
        let (source, key) = match text.split_once('#') {
            Some((source, key)) => (source, Some(key)),
            None => (text, None),
        };
        let source: SourceName = source.parse().ok()?;
        let is_name = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-*?".contains(&byte)
        };
        let is_key = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*?".contains(&byte);
        let fits = |name: &str, legal: &dyn Fn(u8) -> bool| {
            (1..=LONGEST).contains(&name.len()) && name.bytes().all(legal)
        };
        let legal = fits(&source.name, &is_name)
            && key.is_none_or(|key| source.kind.is_readable() && fits(key, &is_key));
        legal.then(|| Self {
            source,
            key: key.map(ToOwned::to_owned),
        })
    }

    /// Whether it names one object, and one key of it if any: no letter stands for others.
    pub fn is_exact(&self) -> bool {
        let exact = |name: &str| !is_glob(name);
        exact(&self.source.name) && self.key.as_deref().is_none_or(exact)
    }
}

/// As it is read.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        match &self.key {
            Some(key) => write!(f, "#{key}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_back() {
        for (text, exact) in [
            ("secret/db", true),
            ("secret/db#password", true),
            ("configmap/a.b-c#Some_Key.yaml", true),
            ("configmap/cfg#feature-*", false),
            ("secret/d?#k", false),
            ("secret/*", false),
            ("secretproviderclass/vault", true),
        ] {
            let read = Named::read(text).unwrap();
            assert_eq!((read.to_string().as_str(), read.is_exact()), (text, exact));
        }
        let read = Named::read("secret/db#db_32").unwrap();
        assert_eq!(read.source, SourceName::secret("db"));
        assert_eq!(read.key.as_deref(), Some("db_32"));
    }

    #[test]
    fn what_nothing_can_be_called_is_no_entry() {
        let long = |letters| "k".repeat(letters);
        for text in [
            "",
            "db",
            "secret/",
            "secret/#k",
            "secret/db#",
            "secret/db# k",
            "secret/db #k",
            "secret/db#a#b",
            "secret/db#a/b",
            "secret/DB",
            "secret/db#a!b",
            "!secret/db",
            "pod/web#k",
            "secretproviderclass/vault#k",
            &format!("secret/db#{}", long(254)),
            &format!("secret/{}", long(254)),
        ] {
            assert_eq!(Named::read(text), None, "{text}");
        }
        assert!(Named::read(&format!("secret/{}#{}", long(253), long(253))).is_some());
    }
}
