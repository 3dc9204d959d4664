//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer prices`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::prices::check(input));
