//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer assist`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::assist::check(input));
