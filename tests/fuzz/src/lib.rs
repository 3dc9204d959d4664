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
pub mod config;
pub mod decode;
pub mod headers;
mod heap;
pub mod mutate;
mod pieces;
pub mod prices;
pub mod questions;
pub mod rates;
pub mod request;
pub mod seeds;
pub mod stored;
pub mod whole;
pub mod words;

// Where the configuration's reader looks for them.
use config::{home, pages};

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
pub const TARGETS: [Target; 14] = [
    Target { name: "admission", check: admission::check, is_streaming: false },
    Target { name: "answer", check: answer::check, is_streaming: true },
    Target { name: "assist", check: assist::check, is_streaming: true },
    Target { name: "request", check: request::check, is_streaming: true },
    Target { name: "decode", check: decode::check, is_streaming: true },
    Target { name: "words", check: words::check, is_streaming: false },
    Target { name: "prices", check: prices::check, is_streaming: false },
    Target { name: "bundle", check: bundle::check, is_streaming: false },
    Target { name: "config", check: config::check, is_streaming: false },
    Target { name: "headers", check: headers::check, is_streaming: false },
    Target { name: "questions", check: questions::check, is_streaming: false },
    Target { name: "rates", check: rates::check, is_streaming: false },
    Target { name: "stored", check: stored::check, is_streaming: false },
    Target { name: "whole", check: whole::check, is_streaming: false },
];
