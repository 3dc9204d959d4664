//! Records in the ledger's files; what must hold stands beside them, in the store.

pub use store::attack::{check, seeds};
