//! The contract over a real ledger, through the router.

mod deployments;
mod desk;
mod export;
mod exports;
mod openapi;
mod passes;
mod pruned;
mod questions;
mod report;
mod reprice;
mod scopes;
mod typescript;
mod workspaces;
