//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer words`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::words::check(input));
