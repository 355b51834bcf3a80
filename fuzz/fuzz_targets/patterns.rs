#![no_main]

// A file of the tests, not of their harness: it needs reroll itself, on which the harness does not depend.
#[path = "../../tests/fuzz/patterns.rs"]
mod patterns;

libfuzzer_sys::fuzz_target!(|data: &[u8]| patterns::check(data));
