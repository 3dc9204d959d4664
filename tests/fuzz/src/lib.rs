//! Attacks every reader of outside bytes.
//!
//! Each target is a function that takes any bytes and panics if a promise is broken: no panic
//! of the reader's own, the same reading however the bytes are split, bounded memory, bounded
//! results. libFuzzer (`fuzz_targets/`) and the driver for the stable toolchain
//! (`src/bin/drive.rs`) call the same functions.

pub mod admission;
pub mod answer;
pub mod assist;
pub mod bundle;
pub mod decode;
mod heap;
pub mod mutate;
mod pieces;
pub mod prices;
pub mod request;
pub mod seeds;
pub mod words;

/// A reader under attack.
pub struct Target {
    /// Also the name of its folder in `seeds/`.
    pub name: &'static str,
    /// Panics if a promise is broken.
    pub check: fn(&[u8]),
    /// Whether it must take long inputs in linear time.
    pub is_streaming: bool,
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target { name: "admission", check: admission::check, is_streaming: false },
    Target { name: "answer", check: answer::check, is_streaming: true },
    Target { name: "assist", check: assist::check, is_streaming: true },
    Target { name: "request", check: request::check, is_streaming: true },
    Target { name: "decode", check: decode::check, is_streaming: true },
    Target { name: "words", check: words::check, is_streaming: false },
    Target { name: "prices", check: prices::check, is_streaming: false },
    Target { name: "bundle", check: bundle::check, is_streaming: false },
];
