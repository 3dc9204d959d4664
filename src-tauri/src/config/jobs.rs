//! What `config.toml` says about what runs beside calls: copies, pruning, newer prices, telemetry.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use chrono::Months;
use meter::Timestamp;
use meter::price::PublicKey;
use serde::Deserialize;

use super::seconds;
use crate::home::Home;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceRefreshEntry {
    url: Box<str>,
    public_key: Box<str>,
    every_hours: Option<u64>,
    timeout_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsEntry {
    #[serde(default)]
    pub(super) enabled: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OtlpEntry {
    endpoint: Box<str>,
    trace_url: Option<Box<str>>,
    #[serde(default)]
    propagate: bool,
    every_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupEntry {
    folder: Option<PathBuf>,
    every_hours: Option<u64>,
    keep: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PruneEntry {
    keep_months: u32,
}

/// How an OpenTelemetry collector is told of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtlpPlan {
    /// What stands before `/v1/traces`.
    pub(crate) endpoint: reqwest::Url,
    /// Where a trace can be looked at, with `{trace_id}` in it.
    pub(crate) trace_url: Option<Box<str>>,
    /// Whether upstream is told of the trace where the client said nothing.
    pub(crate) propagate: bool,
    /// Between two sums.
    pub(crate) every: Duration,
}

/// Where copies of the ledger go, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackupPlan {
    pub(super) folder: Option<PathBuf>,
    /// Between two copies; absent: only when asked to.
    pub(crate) every: Option<Duration>,
    /// How many stay.
    pub(crate) keep: usize,
}

impl BackupPlan {
    /// The folder of the copies: what the user wrote, beginning at the home, or `backups`.
    pub(crate) fn folder(&self, home: &Home) -> PathBuf {
        home.path().join(self.folder.as_deref().unwrap_or(Path::new("backups")))
    }
}

/// How long receipts are kept; their sums stay for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrunePlan {
    /// Months of the calendar.
    pub(crate) keep_months: u32,
}

impl PrunePlan {
    /// Before which instant receipts go. Absent: no calendar reaches back so far.
    pub(crate) fn before(self, now: Timestamp) -> Option<Timestamp> {
        now.utc().checked_sub_months(Months::new(self.keep_months)).map(Timestamp::from)
    }
}

/// Where newer prices come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PriceRefresh {
    /// Of the bundle.
    pub(crate) url: reqwest::Url,
    /// Who must have signed it.
    pub(crate) public_key: PublicKey,
    /// Between two looks; absent: only when asked to.
    pub(crate) every: Option<Duration>,
    /// How long it may take.
    pub(crate) patience: Duration,
}

pub(super) fn otlp(entry: &OtlpEntry) -> anyhow::Result<OtlpPlan> {
    let OtlpEntry { endpoint, trace_url, propagate, every_seconds } = entry;
    let is_web = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_plain = |url: &reqwest::Url| {
        url.username().is_empty() && url.password().is_none() && url.query().is_none()
    };
    let parsed = reqwest::Url::parse(endpoint).ok().filter(|url| is_web(url) && is_plain(url));
    let Some(url) = parsed else {
        bail!(
            "[otlp]: endpoint = `{}` cannot be used\nallowed: `http://HOST:PORT` or `https://…` without credentials or query, such as `http://127.0.0.1:4318`; credentials come from the environment, OTEL_EXPORTER_OTLP_HEADERS",
            endpoint.split('@').next_back().unwrap_or_default()
        );
    };
    if let Some(template) = trace_url {
        let filled = template.replace("{trace_id}", "0");
        let is_link = template.contains("{trace_id}")
            && reqwest::Url::parse(&filled).is_ok_and(|url| is_web(&url));
        if !is_link {
            bail!(
                "[otlp]: trace_url = `{template}` cannot be used\nallowed: an address with {{trace_id}} in it, such as `http://127.0.0.1:16686/trace/{{trace_id}}`"
            );
        }
    }
    if let Some(seconds) = every_seconds.filter(|seconds| !(1..=3600).contains(seconds)) {
        bail!("[otlp]: every_seconds = `{seconds}` is out of range\nallowed: 1 to 3600");
    }
    let every = Duration::from_secs(every_seconds.unwrap_or(60));
    Ok(OtlpPlan { endpoint: url, trace_url: trace_url.clone(), propagate: *propagate, every })
}

pub(super) fn price_refresh(entry: &PriceRefreshEntry) -> anyhow::Result<PriceRefresh> {
    let PriceRefreshEntry { url, public_key, every_hours, timeout_seconds } = entry;
    let parsed = reqwest::Url::parse(url).ok().filter(|url| {
        let here = url
            .host_str()
            .is_some_and(|host| matches!(host, "localhost" | "[::1]") || host.starts_with("127."));
        url.scheme() == "https" || (url.scheme() == "http" && here)
    });
    let Some(url) = parsed else {
        bail!(
            "[price_refresh]: url = `{url}` cannot be used\nallowed: `https://…`, or `http://` on this machine"
        );
    };
    let public_key = public_key.parse().map_err(|wrong| {
        anyhow!("[price_refresh]: public_key = `{public_key}`: {wrong}\nallowed: the key that the publisher of the prices names")
    })?;
    if let Some(hours) = every_hours.filter(|hours| !(1..=24 * 90).contains(hours)) {
        bail!(
            "[price_refresh]: every_hours = `{hours}` is out of range\nallowed: 1 to 2160; left out, prices come only with `tollgate prices refresh`"
        );
    }
    Ok(PriceRefresh {
        url,
        public_key,
        every: every_hours.map(|hours| Duration::from_secs(hours * 60 * 60)),
        patience: seconds(
            "[price_refresh]: timeout_seconds",
            *timeout_seconds,
            Duration::from_secs(60),
        )?,
    })
}

pub(super) fn backup(entry: BackupEntry) -> anyhow::Result<BackupPlan> {
    let BackupEntry { folder, every_hours, keep } = entry;
    let (hours, keep) = (every_hours.unwrap_or(24), keep.unwrap_or(3));
    if hours > 24 * 366 {
        bail!(
            "[backup]: every_hours = `{hours}` is out of range\nallowed: 1 to 8784; 0: only with `tollgate backup`"
        );
    }
    if !(1..=1000).contains(&keep) {
        bail!("[backup]: keep = `{keep}` is out of range\nallowed: 1 to 1000");
    }
    if folder.as_ref().is_some_and(|folder| folder.as_os_str().is_empty()) {
        bail!(
            "[backup]: folder is empty\nallowed: a path; left out, it is `backups` in the data folder"
        );
    }
    let every = (hours > 0).then(|| Duration::from_secs(hours * 60 * 60));
    Ok(BackupPlan { folder, every, keep })
}

pub(super) fn prune(entry: &PruneEntry, backup: &BackupPlan) -> anyhow::Result<PrunePlan> {
    let PruneEntry { keep_months } = *entry;
    if !(2..=1200).contains(&keep_months) {
        bail!("[prune]: keep_months = `{keep_months}` is out of range\nallowed: 2 to 1200");
    }
    if backup.every.is_none() {
        bail!(
            "[prune]: receipts go after the ledger was copied, and [backup] every_hours = 0 says never\nallowed: every_hours from 1, or `tollgate prune` now and then"
        );
    }
    Ok(PrunePlan { keep_months })
}
