//! Sources (Secrets, ConfigMaps and SecretProviderClasses): their kinds, their names, and how a pod template uses them.

mod glob;
mod kinds;
mod lists;
mod named;
mod names;
mod references;
mod usage;

pub use self::{
    glob::{Glob, is_glob},
    kinds::{KindSet, ReloaderKeys, SourceKind},
    lists::{
        KeyGlob, KeyLists, Listed, MAX_KEY_GLOBS, MAX_LISTED_BYTES, MAX_WIDE_GLOBS, ReadyLists,
        key_word, spoken_key,
    },
    named::Named,
    names::{NotASource, SourceKey, SourceName},
    references::{Excess, MAX_KEYS, MAX_SOURCES, References, containers_using, excess, references},
    usage::{Held, Need, Usage},
};
