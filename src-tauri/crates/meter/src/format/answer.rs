//! What a format gathers while an answer passes, whatever the format.

use super::Seen;
use super::members::Members;
use super::trouble::{Failure, Trouble};
use crate::json::plain;
use crate::leaves::Leaves;
use crate::provider::Reasoning;
use crate::receipt::{Anomaly, RawUsage, ReportedCost, Status};
use crate::request::{Asked, TextCount};
use crate::usage::{Basis, Count, Factor, UsageLine};

/// Finish reasons kept; a call with more choices repeats them.
const FINISH_LIMIT: usize = 8;

/// What a format knows about the call when it makes lines of what it gathered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// What the client asked for.
    pub(crate) asked: &'a Asked,
    /// Where this provider counts reasoning when the totals do not tell.
    pub(crate) reasoning: Reasoning,
}

/// The shared part of a reading in the making. Bounded whatever passes.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) seen: Seen,
    /// The model that served, the last one named.
    pub(crate) model: Option<Box<str>>,
    pub(crate) id: Option<Box<str>>,
    pub(crate) request_id: Option<Box<str>>,
    pub(crate) service_tier: Option<Box<str>>,
    pub(crate) region: Option<Box<str>>,
    finish: Vec<Box<str>>,
    /// The usage as merged from every snapshot.
    pub(crate) usage: Leaves,
    usage_raw: Option<RawUsage>,
    /// The latest snapshot, not checked yet: only the last one is kept.
    latest: String,
    /// Room for the next snapshot.
    spare: Leaves,
    /// Characters of the answer: text, tool arguments, visible reasoning.
    pub(crate) text: TextCount,
    pub(crate) lines: Vec<UsageLine>,
    pub(crate) reported_cost: Option<ReportedCost>,
    pub(crate) anomalies: Vec<Anomaly>,
    /// Collects an error inside an answer.
    pub(crate) trouble: Trouble,
    pub(crate) failure: Option<Failure>,
    /// What the answer itself says it came to, where that is not success: still to come, or
    /// cancelled by another call.
    pub(crate) outcome: Option<Status>,
}

impl Answer {
    /// Content has passed.
    pub(crate) fn content(&mut self, text: TextCount) {
        self.seen.content = true;
        self.text.add(text);
    }

    /// Why the model (or one of its choices) stopped.
    pub(crate) fn finished(&mut self, json: &str) {
        let reason = plain(json);
        if reason.is_empty() {
            return;
        }
        let is_new = self.finish.iter().all(|known| **known != *reason);
        if is_new && self.finish.len() < FINISH_LIMIT {
            self.finish.push(reason.into());
        }
    }

    /// The distinct finish reasons.
    pub(crate) fn finish_reason(&self) -> Option<Box<str>> {
        (!self.finish.is_empty()).then(|| self.finish.join(",").into())
    }

    /// A snapshot of the usage so far: the last one wins, field by field.
    pub(crate) fn snapshot(&mut self, json: &str) {
        let mut usage = std::mem::take(&mut self.spare);
        usage.read(json);
        if !usage.is_empty() {
            if self.usage.is_empty() || self.usage.is_replaced_by(&usage) {
                std::mem::swap(&mut self.usage, &mut usage);
            } else {
                self.usage.update(&usage);
            }
            self.latest.clear();
            self.latest.push_str(json);
        }
        self.spare = usage;
    }

    /// The provider's usage object, to be kept with the receipt.
    pub(crate) fn take_raw(&mut self) -> Option<RawUsage> {
        if !self.latest.is_empty() {
            self.usage_raw = RawUsage::new(&std::mem::take(&mut self.latest));
        }
        self.usage_raw.take()
    }

    /// Bytes held of the provider's usage object.
    #[cfg(test)]
    pub(crate) fn held_raw(&self) -> usize {
        self.latest.len() + self.usage_raw.as_ref().map_or(0, |raw| raw.as_str().len())
    }

    /// Keeps this as the provider's usage object.
    pub(crate) fn set_raw(&mut self, raw: Option<RawUsage>) {
        self.latest.clear();
        self.usage_raw = raw;
    }

    /// Keeps what is told beside the usage object as one more member of it, for whoever reads
    /// it again.
    pub(crate) fn keep_beside(&mut self, key: &str, json: &str) {
        let mut members = Members::default();
        if let Some(usage) = self.take_raw() {
            members = Members::of(usage.as_str());
        }
        members.set(key, json);
        self.set_raw(RawUsage::new(&members.json()));
    }

    /// The answer is complete, with all the usage it will ever tell.
    pub(crate) fn complete(&mut self) {
        self.seen.content_done = true;
        self.seen.terminal = true;
        self.seen.usage = !self.usage.is_empty();
    }

    /// Went wrong as a whole.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// Adds a line that the provider reported, if it did.
    pub(crate) fn reported(&mut self, factor: Factor, count: Option<Count>) {
        self.lines.extend(count.map(|count| UsageLine::reported(factor, count)));
    }

    /// Adds a line that follows from what the provider said or did.
    pub(crate) fn derived(&mut self, factor: Factor, count: impl Into<Count>) {
        let line = UsageLine::reported(factor, count);
        self.lines.push(UsageLine { basis: Basis::Derived, ..line });
    }

    /// Flags what does not add up, once.
    pub(crate) fn flag(&mut self, anomaly: Anomaly) {
        if !self.anomalies.contains(&anomaly) {
            self.anomalies.push(anomaly);
        }
    }
}

/// Keeps the text of a JSON string in its place, unless it is empty.
pub(crate) fn name(place: &mut Option<Box<str>>, json: &str) {
    // Every chunk of a stream repeats it.
    if place.as_deref().is_some_and(|known| json.trim_matches('"') == known) {
        return;
    }
    let text = plain(json);
    if !text.is_empty() {
        *place = Some(text.into());
    }
}
