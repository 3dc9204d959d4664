//! The ledger from outside: real files in real folders.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod backup;
mod made;
mod merge;
mod passes;
mod prune;
mod questions;
mod recording;
#[cfg(unix)]
mod recovery;
mod repricing;
mod running;
mod settling;
mod size;
mod usage;
mod workspaces;
