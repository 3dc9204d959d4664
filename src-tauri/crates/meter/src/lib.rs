//! What a request used and what it costs.
//!
//! Pure: this crate knows no clock, file, socket, SQL or async. Bytes of a call go
//! in through [`format`], disjoint usage lines come out; [`price`] puts money on
//! them; [`receipt`] is the record that everything else passes around.

pub mod allowance;
pub mod budget;
pub mod exchange;
pub mod format;
mod json;
mod json_shape;
mod leaves;
pub mod limits;
pub mod money;
pub mod price;
pub mod provider;
pub mod receipt;
pub mod request;
pub mod route;
pub mod time;
pub mod usage;

pub use allowance::{Allowance, ModelPattern};
pub use money::{Currency, Money};
pub use receipt::{Receipt, ReceiptId};
pub use time::Timestamp;
