//! The JSON of background exports: the order, the job, a page of jobs.

use std::collections::BTreeMap;

use meter::{Currency, Timestamp};
use serde::{Deserialize, Serialize};

use crate::export::{ExportForm, ExportFormat};
use crate::query::{Query, Question};
use crate::reprice::Values;

/// What is to be exported, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct ExportOrder {
    /// How it is written.
    #[serde(default)]
    pub format: ExportFormat,
    /// What it has a row for each of.
    #[serde(default)]
    pub form: ExportForm,
    /// A currency to convert costs to, in columns of their own; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Filters, named as in a query string; a list means one of these.
    #[serde(flatten)]
    pub filters: BTreeMap<String, Values>,
}

impl ExportOrder {
    /// The parameters of the same question in a query string.
    pub(crate) fn parameters(&self) -> Vec<(&str, &str)> {
        let own = [("format", self.format.as_str()), ("form", self.form.as_str())];
        let mut pairs = Vec::from(own);
        pairs.extend(self.currency.as_deref().map(|currency| ("currency", currency)));
        for (name, values) in &self.filters {
            pairs.extend(values.all().iter().map(|value| (name.as_str(), value.as_str())));
        }
        pairs
    }

    /// The same order with the instants that `query` resolved, so that it means the same when
    /// it is read later.
    pub(crate) fn pinned(mut self, query: &Query) -> Self {
        self.filters.remove("last");
        let ends = [("from", query.filter.from), ("to", query.filter.to)];
        for (name, at) in ends {
            if let Some(at) = at {
                self.filters.insert(name.to_owned(), Values::One(at.to_string()));
            }
        }
        self.filters.insert("tz".to_owned(), Values::One(query.zone.name().to_owned()));
        self
    }

    /// Which question's parameters these are.
    pub(crate) const QUESTION: Question = Question::Export;
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum ExportStatus {
    /// Others run first.
    Waiting,
    /// Its rows are being written.
    Running,
    /// The file is there, whole.
    Done,
    /// It could not be written; there is no file.
    Failed,
    /// Somebody cancelled it; there is no file.
    Cancelled,
    /// Tollgate ended meanwhile; there is no file.
    Interrupted,
}

impl ExportStatus {
    /// Whether it waits or runs.
    pub const fn is_under_way(self) -> bool {
        match self {
            Self::Waiting | Self::Running => true,
            Self::Done | Self::Failed | Self::Cancelled | Self::Interrupted => false,
        }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct ExportJob {
    /// Its number; the next one's is greater, and none is used twice.
    pub id: u64,
    /// How far it is.
    pub status: ExportStatus,
    /// What its file is called, such as `usage-2026-11-01_2026-11-30.csv`.
    pub name: String,
    /// What was ordered, its period as instants.
    pub order: ExportOrder,
    /// When it was ordered.
    pub ordered_at: Timestamp,
    /// When it ended, however that was.
    pub ended_at: Option<Timestamp>,
    /// Rows written so far.
    pub rows: u64,
    /// Rows there will be; `null` where nobody knows beforehand.
    pub rows_expected: Option<u64>,
    /// Bytes written so far.
    pub bytes: u64,
    /// Why there is no file, where that needs saying.
    pub problem: Option<String>,
}

impl ExportJob {
    /// The currency that costs are converted to, if any.
    pub fn currency(&self) -> Option<Currency> {
        self.order.currency.as_deref()?.to_ascii_uppercase().parse().ok()
    }
}

/// One page of exports, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct ExportJobs {
    /// The exports.
    pub exports: Vec<ExportJob>,
    /// Ask again with this as `before` for the next page; `null`: this was the last one.
    pub next: Option<u64>,
}

impl ExportJobs {
    /// The newest of `jobs` (oldest first) before the one numbered so.
    pub(crate) fn page(jobs: Vec<ExportJob>, before: Option<u64>, limit: usize) -> Self {
        let is_wanted = |job: &ExportJob| before.is_none_or(|before| job.id < before);
        let mut newest = jobs.into_iter().rev().filter(is_wanted);
        let exports: Vec<_> = newest.by_ref().take(limit).collect();
        let next = newest.next().and_then(|_| exports.last()).map(|job| job.id);
        Self { exports, next }
    }
}
