//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer questions`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::questions::check(input));
