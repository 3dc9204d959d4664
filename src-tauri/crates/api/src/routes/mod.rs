//! Routes as they are written, shown and changed. Who is called is the gateway's to say.

pub(crate) mod resource;
mod standing;
mod written;

#[cfg(test)]
mod tests;

pub use self::resource::{RouteChange, RouteDesk};
pub use self::standing::{RouteStanding, Routes, TargetStanding, Told};
pub use self::written::RouteRule;
