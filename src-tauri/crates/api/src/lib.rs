//! The management contract: the questions one may ask and their answers.
//!
//! Questions are plain functions over the ledger; HTTP and the command line both parse
//! the same parameters into the same `Query` and print the same types.

pub mod answer;
pub mod export;
pub mod period;
pub mod problem;
