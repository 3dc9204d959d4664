//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer decode`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::decode::check(input));
