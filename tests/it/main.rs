//! Drives the real binary: its process, its port, its files, its command line.

mod adopt;
mod agents;
mod alerts;
mod bytes;
mod calls;
mod contract;
mod corpus;
mod ends;
mod exchange;
mod gate;
mod guard;
mod house;
mod key_check;
mod keys;
mod ledger;
mod lifetime;
mod memory;
mod metrics;
mod otlp;
mod passes;
mod price_refresh;
mod prices;
mod sdk;
mod secrets;
mod soak;
mod workspaces;
