//! Drives the real binary: its process, its port, its files, its command line.

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
mod keys;
mod ledger;
mod lifetime;
mod metrics;
mod otlp;
mod price_refresh;
mod prices;
mod sdk;
mod secrets;
mod soak;
