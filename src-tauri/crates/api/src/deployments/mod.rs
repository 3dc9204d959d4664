//! Self-hosted models and fine-tunings: what they are called, whether they run, for how long, on
//! how many graphics processors, what they were used for and what that would have cost elsewhere.
//! Pure but for the ledger: whoever asks servers and drivers puts what they say on the [`board`].

mod answer;
pub mod board;
pub mod inquiry;
pub mod listing;
pub(crate) mod resource;
mod rule;
mod running;
mod tuning;
mod versus;

pub use self::answer::{Deployment, DeploymentState, DeploymentTotals, Deployments, GpusFrom};
pub use self::board::{DriverReading, ServerBoard};
pub use self::listing::{SERVED, deployments};
pub use self::resource::{ChangesDeployments, DeploymentChange, DeploymentDesk};
pub use self::rule::{DeploymentPlan, DeploymentRule, OwnServer, canonical};
pub use self::tuning::FineTuning;
pub use self::versus::{PaidModel, Versus};
