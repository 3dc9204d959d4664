//! Small loops beside the traffic, fed by a timer or by what changed. Their rules are pure
//! functions elsewhere; here is what waits, fetches and tells.

pub(crate) mod alerts;
pub(crate) mod backup;
pub(crate) mod budgets;
pub(crate) mod deployments;
pub(crate) mod exports;
pub(crate) mod otlp;
pub(crate) mod price_refresh;
pub(crate) mod prune;
