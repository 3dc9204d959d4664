//! Named routes: a call that asks for one is tried at its targets, one after the other, until one
//! answers. Calls that ask for none never come here.
//!
//! A try at a target is admitted just as if the client had called that provider itself, so that
//! what a pass may not call it cannot reach through a route either.

mod experience;
mod failure;
mod look;
mod payload;
mod plan;
mod trip;

use std::sync::Arc;

use meter::route::NamedRoute;

pub use experience::{Experience, Prices};
pub(crate) use look::{Sent, look, may_be_asked};
pub use plan::{Step, plan};
pub(crate) use trip::{Routed, run};

/// The routes in force.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Those that may be asked for.
    pub named: Vec<Arc<NamedRoute>>,
    /// What became of calls to their targets.
    pub experience: Arc<Experience>,
}

impl Routes {
    /// The route of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<NamedRoute>> {
        self.named.iter().find(|route| *route.name == *name)
    }
}
