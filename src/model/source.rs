//! Sources (Secrets, ConfigMaps and SecretProviderClasses): their kinds, their names, and how a pod template uses them.

mod kinds;
mod lists;
mod named;
mod names;
mod references;
mod usage;

pub use self::{
    kinds::{KindSet, ReloaderKeys, SourceKind},
    lists::{KeyGlob, KeyLists, Listed, MAX_KEY_GLOBS, MAX_LISTED_BYTES, key_word, spoken_key},
    named::{Named, is_glob},
    names::{NotASource, SourceKey, SourceName},
    references::{Excess, MAX_KEYS, MAX_SOURCES, References, containers_using, excess, references},
    usage::{Held, Need, Usage},
};
