//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer config`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::config::check(input));
