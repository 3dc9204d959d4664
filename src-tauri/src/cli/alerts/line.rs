//! The flags that say what a rule watches.

use api::alerts::{AlertRule, Per, QuietHours};
use clap::Args;

/// A rule's line (exactly one of the first eleven), and how it is looked at.
#[derive(Debug, Args)]
pub(super) struct LineArgs {
    /// More dollars than this spent in the present period
    #[arg(long, value_name = "DOLLARS", allow_negative_numbers = true)]
    spend_above: Option<String>,
    /// On course for more dollars than this in the present period
    #[arg(long, value_name = "DOLLARS", allow_negative_numbers = true)]
    forecast_above: Option<String>,
    /// More percent of calls than this fail
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    error_rate_above: Option<i64>,
    /// More calls than this are answered 429
    #[arg(long, value_name = "CALLS", allow_negative_numbers = true)]
    rate_limited_above: Option<i64>,
    /// Fewer percent of calls than this succeed, such as 99.5
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    availability_below: Option<String>,
    /// 95 of a hundred calls, or --percentile, take up to more milliseconds than this
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    latency_above_ms: Option<i64>,
    /// 95 of a hundred streams, or --percentile, take up to more milliseconds than this to begin
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    ttft_above_ms: Option<i64>,
    /// The share of cached input falls below so many percent of what was usual
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    cache_hits_below: Option<i64>,
    /// More percent of calls than this have no known cost
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    unpriced_above: Option<i64>,
    /// More calls than this
    #[arg(long, value_name = "CALLS", allow_negative_numbers = true)]
    calls_above: Option<i64>,
    /// More calls of one model than this, at rising spend
    #[arg(long, value_name = "CALLS", allow_negative_numbers = true)]
    loop_above: Option<i64>,
    /// Of a spend or forecast: `hour`, `day`, `week` or `month` [default: day]
    #[arg(long, value_name = "PERIOD")]
    per: Option<Per>,
    /// Of a forecast: so much of the period must be over [default: 10]
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    after_percent: Option<i64>,
    /// Of a duration: 50, 95 or 99 of a hundred [default: 95]
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    percentile: Option<i64>,
    /// The time looked at, such as `5m`
    #[arg(long, value_name = "SPAN")]
    within: Option<String>,
    /// Of a cache: how far back goes what is usual [default: 7d]
    #[arg(long, value_name = "SPAN")]
    compared_with: Option<String>,
    /// Fewer calls than this say nothing [default: 10]
    #[arg(long, value_name = "CALLS", allow_negative_numbers = true)]
    at_least: Option<i64>,
    /// Of a cache: fewer input tokens than this say nothing [default: 100000]
    #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
    at_least_tokens: Option<i64>,
    /// Only calls that fit, such as `model=NAME` or `tag=team=red`; may repeat
    #[arg(long, value_name = "FILTER=VALUE")]
    only: Vec<String>,
    /// Count all calls again
    #[arg(long, conflicts_with = "only")]
    everything: bool,
    /// Hours of its own in which it does not disturb, or `none`
    #[arg(long, value_name = "FROM-TO")]
    quiet_hours: Option<String>,
    /// Watches it, or with `--enabled false` does not until it is taken back
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    enabled: Option<bool>,
}

impl LineArgs {
    /// `rule` with what these flags say. Another line takes what belonged to the one before.
    pub(super) fn over(&self, rule: AlertRule) -> anyhow::Result<AlertRule> {
        let has_line = self.spend_above.is_some()
            || self.forecast_above.is_some()
            || self.availability_below.is_some()
            || self.lines().into_iter().any(|line| line.is_some());
        let rule = match has_line && !self.is_of(&rule) {
            true => AlertRule {
                name: rule.name,
                only: rule.only,
                quiet_hours: rule.quiet_hours,
                enabled: rule.enabled,
                ..AlertRule::default()
            },
            false => rule,
        };
        let mut only = rule.only;
        if self.everything || !self.only.is_empty() {
            only.clear();
        }
        for filter in &self.only {
            let Some((name, value)) = filter.split_once('=') else {
                anyhow::bail!("`{filter}` is no filter\nhint: write such as `--only model=NAME`");
            };
            only.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        let quiet_hours = match self.quiet_hours.as_deref() {
            None => rule.quiet_hours,
            Some("none") => None,
            Some(text) => {
                let (from, to) = text.split_once('-').unwrap_or((text, ""));
                Some(hours(from, to)?)
            }
        };
        Ok(AlertRule {
            name: rule.name,
            spend_above: self.spend_above.clone().or(rule.spend_above),
            forecast_above: self.forecast_above.clone().or(rule.forecast_above),
            error_rate_above: self.error_rate_above.or(rule.error_rate_above),
            rate_limited_above: self.rate_limited_above.or(rule.rate_limited_above),
            availability_below: self.availability_below.clone().or(rule.availability_below),
            latency_above_ms: self.latency_above_ms.or(rule.latency_above_ms),
            ttft_above_ms: self.ttft_above_ms.or(rule.ttft_above_ms),
            cache_hits_below: self.cache_hits_below.or(rule.cache_hits_below),
            unpriced_above: self.unpriced_above.or(rule.unpriced_above),
            calls_above: self.calls_above.or(rule.calls_above),
            loop_above: self.loop_above.or(rule.loop_above),
            per: self.per.or(rule.per),
            after_percent: self.after_percent.or(rule.after_percent),
            percentile: self.percentile.or(rule.percentile),
            within: self.within.clone().or(rule.within),
            compared_with: self.compared_with.clone().or(rule.compared_with),
            at_least: self.at_least.or(rule.at_least),
            at_least_tokens: self.at_least_tokens.or(rule.at_least_tokens),
            only,
            quiet_hours,
            enabled: self.enabled.map_or(rule.enabled, |enabled| (!enabled).then_some(false)),
        })
    }

    /// The lines that are whole numbers.
    const fn lines(&self) -> [Option<i64>; 8] {
        [
            self.error_rate_above,
            self.rate_limited_above,
            self.latency_above_ms,
            self.ttft_above_ms,
            self.cache_hits_below,
            self.unpriced_above,
            self.calls_above,
            self.loop_above,
        ]
    }

    /// Whether the line that is given is the one that `rule` has.
    fn is_of(&self, rule: &AlertRule) -> bool {
        let theirs = [
            rule.error_rate_above,
            rule.rate_limited_above,
            rule.latency_above_ms,
            rule.ttft_above_ms,
            rule.cache_hits_below,
            rule.unpriced_above,
            rule.calls_above,
            rule.loop_above,
        ];
        let mut numbers = self.lines().into_iter().zip(theirs);
        self.spend_above.is_some() == rule.spend_above.is_some()
            && self.forecast_above.is_some() == rule.forecast_above.is_some()
            && self.availability_below.is_some() == rule.availability_below.is_some()
            && numbers.all(|(ours, theirs)| ours.is_some() == theirs.is_some())
    }
}

/// Two times of day.
pub(super) fn hours(from: &str, to: &str) -> anyhow::Result<QuietHours> {
    match (from.trim().parse(), to.trim().parse()) {
        (Ok(from), Ok(to)) => Ok(QuietHours { from, to }),
        (_, _) => anyhow::bail!(
            "`{from}` and `{to}` are no times of day\nhint: write such as 22:00 and 07:00"
        ),
    }
}
