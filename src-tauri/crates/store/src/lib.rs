//! Everything at rest: the ledger, the in-flight register, passes, retention.
//!
//! Plain and synchronous: this crate knows no HTTP, no JSON shapes and no async. Requests
//! are recorded through [`Recorder`]; questions are answered by [`Questions`] over a
//! connection of their own, with or without a running process.

mod alias;
#[cfg(any(test, feature = "attack"))]
pub mod attack;
mod backup;
mod books;
mod codes;
mod detail;
mod displaced;
mod error;
mod figures;
mod filter;
#[cfg(test)]
mod full_disk;
mod health;
mod histogram;
mod lane;
mod ledger;
mod lines;
mod merge;
mod money_sum;
mod names;
mod pace;
mod pack;
mod passes;
mod pieces;
#[cfg(test)]
mod plans;
mod prune;
mod questions;
mod receipt_row;
mod record;
mod register;
mod reprice;
mod road;
mod rollup;
mod running;
mod schema;
mod seal;
mod settlement;
mod slot;
mod spill;
mod standing;
mod tag_sums;
mod tally;
mod upkeep;
mod usage;
mod usage_shape;
mod walk;
mod workspaces;
mod writer;

pub use backup::{
    Backup, Restored, StopCopying, backups, forget_backups, free_bytes, is_copying, restore,
    set_aside_ledgers,
};
pub use error::StoreError;
pub use figures::{Figures, Spread};
pub use filter::{Demo, Filter, StatusFilter};
pub use health::Health;
pub use histogram::{Histogram, Slice};
pub use ledger::{Ledger, NotRecorded, Recorder, Ticket};
pub use merge::Missing;
pub use pace::{Busiest, Peaks};
pub use passes::{NewPass, Pass, PassBook, PassSecret, PassTerms, Scope};
pub use prune::Prunable;
pub use questions::{Arrival, Questions, Reserved};
pub use reprice::{Change, Depth, Reprice, Repricing, Sum};
pub use running::Run;
pub use settlement::Settled;
pub use standing::Standing;
pub use upkeep::Verified;
pub use usage::{Dimension, LaneRow, TableRow, Usage};
pub use workspaces::Workspace;
