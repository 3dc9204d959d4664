//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer rates`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::rates::check(input));
