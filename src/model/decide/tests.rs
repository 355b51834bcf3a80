//! [`super::decide`], row by row, and what must hold for all rows together.

use super::{super::testing::*, compare::unknown_keys, *};
use crate::model::{
    observed::Entry,
    policy::{OnDelete, OnRecreate},
    recreation::{Asked, Origin},
    source::{Held, Need, References, Usage},
    version::Version,
};

mod aborted;
mod causes;
mod csi;
mod document;
mod fold;
mod formers;
mod keys;
mod parts;
mod rollouts;
mod runs;
mod stable;
pub(crate) mod table;
mod together;
mod whole;

fn s() -> SourceName {
    SourceName::secret("s")
}

/// Uid, resourceVersion and data of [`s`].
fn v(uid: &str, rv: u64, data: &[(&str, &str)]) -> Version {
    version(&s(), uid, rv, data)
}
