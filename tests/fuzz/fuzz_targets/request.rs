//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer request`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::request::check(input));
