//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer stored`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::stored::check(input));
