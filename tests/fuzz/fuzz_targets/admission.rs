//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer admission`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::admission::check(input));
