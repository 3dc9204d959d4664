//! Who is told of calls besides the ledger. Each is told in passing and must not make a call
//! wait: a count in memory, a place in a bounded queue.

use std::sync::Arc;

use api::limits::LimitBoard;
use api::metrics::Meters;
use gateway::Finished;
use meter::Receipt;

use crate::config::Config;
use crate::jobs::otlp::Post;
use crate::route_book::RouteBook;

/// Everyone who wants to know.
#[derive(Clone)]
pub(crate) struct Onlookers {
    /// What a monitoring system may ask.
    pub(crate) meters: Option<Arc<Meters>>,
    /// What the providers still allow.
    pub(crate) limits: Arc<LimitBoard>,
    /// What tells an OpenTelemetry collector.
    pub(crate) post: Option<Post>,
    /// What remembers how targets of routes do.
    routes: Arc<RouteBook>,
}

impl Onlookers {
    /// Those that the configuration asks for.
    pub(crate) fn of(config: &Config, routes: Arc<RouteBook>) -> Self {
        Self {
            meters: config.metrics.then(Arc::default),
            limits: Arc::default(),
            post: config.otlp.clone().map(Post::new),
            routes,
        }
    }

    /// A call has begun.
    pub(crate) fn begun(&self, draft: &Receipt) {
        if let Some(meters) = &self.meters {
            meters.begun(draft);
        }
    }

    /// It is over.
    pub(crate) fn finished(&self, finished: &Finished) {
        if let Some(meters) = &self.meters {
            meters.finished(&finished.receipt);
        }
        if let Some(limits) = &finished.limits {
            self.limits.told(&finished.receipt, limits.at, &limits.readings);
        }
        self.routes.told(&finished.receipt);
        if let Some(post) = &self.post {
            post.hand_in(finished);
        }
    }
}
