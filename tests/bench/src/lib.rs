//! Tollgate next to named baselines, measured in one run, as one table.
//!
//! One load generator, keep-alive connections, the subjects in turn. CPU time is what the
//! kernel booked for the subject's processes, and for Tollgate it is read only after the
//! receipts of the calls are in the ledger. Gateways one may choose instead join when asked for.

mod answers;
mod bitrouter;
mod case;
mod exercised;
pub mod heavy_use;
mod install;
mod kept;
mod litellm;
mod load;
pub mod machine;
mod measure;
mod memory;
pub mod micro;
mod nginx;
mod peer;
mod portkey;
mod process;
mod report;
mod run;
pub mod steady;
mod streams;
mod subject;
mod table;
mod tollgate;
pub mod upkeep;
pub mod upstream;
mod valgrind;
pub mod views;
mod wire;
mod works;

pub use peer::Peer;
pub use run::{Baseline, Loaded, Plan, run};
