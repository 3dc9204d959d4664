//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer whole`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::whole::check(input));
