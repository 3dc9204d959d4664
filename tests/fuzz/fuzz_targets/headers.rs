//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer headers`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::headers::check(input));
