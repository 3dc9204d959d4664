//! `GET status`: what this Tollgate is, where it listens and how recording is doing. No secret
//! is in it.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::readers::stumbled;
use crate::router::Desk;

/// The answer to `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct GateStatus {
    /// Tollgate's own.
    pub version: String,
    /// Where it takes calls, as `host:port`; empty when it takes none.
    pub addresses: Vec<String>,
    /// The folder of the ledger and the configuration.
    pub home: String,
    /// How recording is doing.
    pub ledger: LedgerStatus,
    /// Where bare `/v1` goes.
    pub default_provider: String,
    /// Whether streams are asked for their usage.
    pub usage_assist: bool,
    /// Where traces go, if they go anywhere.
    pub otlp: Option<OtlpStatus>,
    /// Every provider there is.
    pub providers: Vec<ProviderStatus>,
}

/// How telling a collector is doing, since the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct OtlpStatus {
    /// The collector.
    pub endpoint: String,
    /// Where a trace can be looked at; `{trace_id}` stands for its number.
    pub trace_url: Option<String>,
    /// Calls it took.
    pub sent: u64,
    /// Calls it was never told of.
    pub dropped: u64,
    /// Why it takes nothing at the moment.
    pub problem: Option<String>,
}

/// How recording is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct LedgerStatus {
    /// The size of its file.
    pub bytes: u64,
    /// Receipts recorded since it was opened.
    pub recorded: u64,
    /// Receipts that wait to be written.
    pub waiting: u64,
    /// Receipts in the spill file.
    pub spilled: u64,
    /// Receipts that were lost.
    pub lost: u64,
    /// Calls that found no slot and would leave no trace of a crash.
    pub unregistered: u64,
    /// Why nothing can be written, if so.
    pub problem: Option<String>,
}

/// One provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct ProviderStatus {
    /// Its id in paths.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where its calls go; `null`: to be configured.
    pub base_url: Option<String>,
    /// How its keys are shown to it.
    pub auth: String,
    /// `remote` or `local`.
    pub kind: String,
}

pub(crate) async fn status(State(desk): State<Desk>) -> Result<Json<GateStatus>, Problem> {
    let status = tokio::task::spawn_blocking(move || (desk.status)());
    status.await.map(Json).map_err(|_| stumbled())
}
