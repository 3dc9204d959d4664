//! What is declared of the user's own servers, in force and in `config.toml`, and what those
//! servers said of themselves. Owns both.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use api::deployments::{DeploymentChange, DeploymentPlan, ServerBoard};
use api::problem::Problem;
use tokio::sync::watch;

use crate::home::Home;
use crate::rule_file;
use crate::settings::refused;

/// The declarations in force, and what servers said.
pub(crate) struct DeploymentBook {
    home: Home,
    plan: Mutex<Arc<DeploymentPlan>>,
    /// What servers and driver said last.
    pub(crate) board: Arc<ServerBoard>,
    revision: OnceLock<watch::Sender<u64>>,
}

impl DeploymentBook {
    /// The book of a home that is ours to write in.
    pub(crate) fn open(home: Home, plan: DeploymentPlan) -> Arc<Self> {
        let (plan, board) = (Mutex::new(Arc::new(plan)), Arc::default());
        Arc::new(Self { home, plan, board, revision: OnceLock::new() })
    }

    /// Counts news on this number, besides what else changes it.
    pub(crate) fn count_on(&self, revision: watch::Sender<u64>) {
        let _ = self.revision.set(revision);
    }

    /// What is in force.
    pub(crate) fn plan(&self) -> Arc<DeploymentPlan> {
        Arc::clone(&self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes a declaration, for good and from now on.
    ///
    /// # Errors
    /// When the configuration cannot be changed so.
    pub(crate) fn change(&self, change: &DeploymentChange) -> Result<(), Problem> {
        let config = rule_file::change_deployments(&self.home, change);
        let after = config.map_err(|error| refused(&error))?.deployments;
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        // A server that was moved by hand is where it was until the next start, for calls as well.
        let servers = plan.servers.iter().map(|server| {
            let said = after.servers.iter().find(|other| other.id == server.id);
            let status = said.map_or(server.status, |other| other.status);
            api::deployments::OwnServer { status, ..server.clone() }
        });
        let servers = servers.collect();
        *plan = Arc::new(DeploymentPlan { servers, declared: after.declared });
        drop(plan);
        self.news();
        Ok(())
    }

    /// Somebody may want to look again.
    pub(crate) fn news(&self) {
        if let Some(revision) = self.revision.get() {
            revision.send_modify(|revision| *revision += 1);
        }
    }
}
