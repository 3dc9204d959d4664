//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer answer`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::answer::check(input));
