//! The management contract: the questions one may ask and their answers.
//!
//! Questions are plain functions over the ledger; HTTP and the command line both parse
//! the same parameters into the same [`query::Query`] and print the same types.

pub mod alerts;
pub mod answer;
pub mod auth;
pub mod budgets;
mod columns;
pub mod conversion;
pub mod deployments;
mod download;
mod events;
pub mod export;
pub mod exports;
mod hourly;
pub mod inspector;
pub mod keys;
pub mod limits;
pub mod metrics;
mod openapi;
pub mod otlp;
pub mod passes;
pub mod performance;
pub mod period;
pub mod prices;
pub mod problem;
pub mod prune;
pub mod query;
pub mod question;
pub mod readers;
mod remains;
pub mod report;
pub mod reprice;
pub mod router;
pub mod routes;
pub mod standing;
pub mod status;
pub mod units;
mod workbook;
pub mod workspaces;
