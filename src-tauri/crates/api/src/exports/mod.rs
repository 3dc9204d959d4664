//! Exports made in the background: ordered, listed, cancelled, fetched whole or in part. Owns
//! the folder they lie in; the rows themselves are [`crate::question::export`]'s.

mod job;
pub(crate) mod piece;
pub(crate) mod resource;
mod shelf;
mod workshop;

pub use job::{ExportJob, ExportJobs, ExportOrder, ExportStatus};
pub use workshop::Workshop;
