//! The JSON that `deployments` answers with. How its figures come about is not known here.

use meter::{Currency, Money, Timestamp};
use serde::{Deserialize, Serialize};

use super::rule::DeploymentRule;
use super::tuning::FineTuning;
use super::versus::Versus;
use crate::answer::{Period, Spread};

/// The answer to `deployments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Deployments {
    /// What it is about.
    pub period: Period,
    /// All of it.
    pub totals: DeploymentTotals,
    /// Those that run first, then the busiest.
    pub deployments: Vec<Deployment>,
    /// How many more there are than can be listed.
    pub more: u64,
    /// Jobs that were started in the period, newest first.
    pub fine_tunings: Vec<FineTuning>,
}

/// All deployments together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct DeploymentTotals {
    /// How many deployments.
    pub deployments: u64,
    /// How many of them run now, as their servers say.
    pub active: u64,
    /// Requests.
    pub requests: u64,
    /// Seconds that graphics processors were set aside: running time times their number, shared
    /// ones counted once. `null`: nobody told how many there are.
    pub gpu_seconds: Option<u64>,
    /// Fine-tunings.
    pub fine_tunings: u64,
    /// How many of them went on when a call last showed them.
    pub fine_tunings_running: u64,
    /// What was saved against paid models, in US dollars, where that is known; `null`: nowhere.
    pub saved: Option<Money>,
}

/// A model on a server of the user's own, or all of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Deployment {
    /// What the user calls it, or `provider/model`.
    pub name: String,
    /// The server: a provider's id.
    pub provider: String,
    /// The model; `null`: whatever the server has.
    pub model: Option<String>,
    /// As the user declared it; `null`: it was only seen.
    pub declared: Option<DeploymentRule>,
    /// How it stands.
    pub state: DeploymentState,
    /// When the server said so.
    pub asked_at: Option<Timestamp>,
    /// Requests that the server works on, where it says so.
    pub working_on: Option<u64>,
    /// Requests that wait there, where it says so.
    pub waiting: Option<u64>,
    /// Requests.
    pub requests: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Tokens in.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// How many requests have usage that was estimated, wholly or in part.
    pub estimated: u64,
    /// Durations end to end.
    pub latency: Option<Spread>,
    /// Seconds that it was seen to run: in calls, and between two answers of its server.
    pub running_seconds: u64,
    /// When it was last seen to.
    pub last_seen: Option<Timestamp>,
    /// Graphics processors; `null`: nobody said.
    pub gpus: Option<u32>,
    /// Who said how many.
    pub gpus_from: Option<GpusFrom>,
    /// Running time times their number.
    pub gpu_seconds: Option<u64>,
    /// How busy they are now, in percent, as the driver says.
    pub busy_percent: Option<u8>,
    /// What an hour costs; `null`: no price per hour was given.
    pub cost_per_hour: Option<Money>,
    /// What its running time came to at that price, each run at the price of its beginning;
    /// `null`: not all of it has one in this currency.
    pub running_cost: Option<Money>,
    /// What its requests came to; `null`: not all of them have a price, or the price per hour
    /// is not in US dollars.
    pub requests_cost: Option<Money>,
    /// Of these amounts.
    pub currency: Currency,
    /// The comparison with a paid model, if one is wanted.
    pub versus: Option<Versus>,
    /// The page with its requests, of all time.
    pub page: String,
}

/// How a deployment stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, specta::Type,
)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// The server holds it ready.
    Active,
    /// The server is there, and would have to load it first.
    Idle,
    /// The server says that it is not ready yet.
    Loading,
    /// The server is there, and does not have it.
    Absent,
    /// Nobody answers at the server's address.
    Unreachable,
    /// The server's answers make no sense.
    Unclear,
    /// The server was not asked of late.
    Unknown,
}

/// Who said how many graphics processors there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum GpusFrom {
    /// The user, for this deployment.
    Declared,
    /// The user, for all models of the server.
    Server,
    /// This machine's driver.
    Driver,
}
