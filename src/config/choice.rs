//! Flags that take one of a few words.
//!
//! The values and their words are those of the room that uses them. clap's derive would need an enum of its own beside
//! each, only to say what the help tells about it.

use std::ffi::OsStr;

use clap::{
    Arg, Command, Error,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};

/// Reads one of a few values by its word. The help lists them.
#[derive(Clone)]
pub(super) struct OneOf<T: 'static> {
    values: &'static [(T, &'static str)],
    word: fn(T) -> &'static str,
}

/// Returns the reader of `values`, each with what the help says about it.
pub(super) fn one_of<T>(
    values: &'static [(T, &'static str)],
    word: fn(T) -> &'static str,
) -> OneOf<T> {
    OneOf { values, word }
}

impl<T: Copy> OneOf<T> {
    fn listed(&self) -> impl Iterator<Item = (T, PossibleValue)> {
        let listed = |&(value, help)| (value, PossibleValue::new((self.word)(value)).help(help));
        self.values.iter().map(listed)
    }
}

impl<T: Copy + Send + Sync + 'static> TypedValueParser for OneOf<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, given: &OsStr) -> Result<T, Error> {
        let words = PossibleValuesParser::new(self.listed().map(|(_, word)| word));
        let given = words.parse_ref(command, arg, given)?;
        let any_case = arg.is_some_and(Arg::is_ignore_case_set);
        let found = self
            .listed()
            .find(|(_, word)| word.matches(&given, any_case));
        let unknown = || Error::new(clap::error::ErrorKind::InvalidValue).with_cmd(command);
        found.map(|(value, _)| value).ok_or_else(unknown)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.listed().map(|(_, word)| word)))
    }
}
