//! Reads a recorded usage object once more, as today's readers understand it.
//!
//! A receipt keeps the provider's words about usage but nothing of the answer. So what was
//! counted from the answer or the request itself stays as it is; what was reported is read anew.

use super::answer::{Answer, Call};
use super::{Format, outcome, shape_of};
use crate::price::is_fee;
use crate::provider::Providers;
use crate::receipt::{Line, RawUsage, Receipt, ReportedCost, UsageState};
use crate::request::Asked;
use crate::usage::{Basis, Factor, Unit, UsageLine};

/// What a recorded usage object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reread {
    /// All lines of the receipt: those read again and those that were counted elsewhere.
    pub lines: Vec<UsageLine>,
    /// How the usage became known.
    pub usage_state: UsageState,
    /// A cost that the provider stated.
    pub reported_cost: Option<ReportedCost>,
}

impl Reread {
    /// Whether that is what the receipt says already, whatever the order.
    pub fn says_the_same(&self, lines: &[Line], usage_state: UsageState) -> bool {
        let before = lines.iter().filter(|line| !is_fee(line)).map(UsageLine::from);
        let mut before: Vec<UsageLine> = before.collect();
        let is_there = |line: &UsageLine| {
            let mut line = line.clone();
            line.attributes.sort();
            let at = before.iter().position(|known| *known == line);
            at.map(|at| before.swap_remove(at)).is_some()
        };
        self.lines.iter().all(is_there) && before.is_empty() && self.usage_state == usage_state
    }
}

/// What is on record of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recorded<'a> {
    /// The provider's usage object.
    pub(super) usage: &'a RawUsage,
    /// The lines that stood for it until now.
    pub(super) lines: &'a [Line],
    usage_state: UsageState,
}

impl<'a> Recorded<'a> {
    /// The last word of an answer of which nothing else is known.
    pub(super) fn whole(usage: &'a RawUsage) -> Self {
        Self { usage, lines: &[], usage_state: UsageState::Reported }
    }

    /// The usage object is the answer's last word.
    pub(super) fn is_whole(&self) -> bool {
        self.usage_state != UsageState::Partial
    }

    /// The call was for embeddings.
    pub(super) fn is_of_embeddings(&self) -> bool {
        self.lines.iter().any(|line| line.factor == Factor::EmbeddingInput)
    }

    fn derived(&self, factor: &Factor) -> bool {
        self.lines.iter().any(|line| line.factor == *factor && line.basis == Basis::Derived)
    }
}

/// Reads `usage` again, in the place of which `lines` stand on the receipt now. Absent: its
/// format is not known.
pub fn reread(
    receipt: &Receipt,
    usage: &RawUsage,
    lines: &[Line],
    usage_state: UsageState,
) -> Option<Reread> {
    let format: Format = receipt.format?;
    let recorded = Recorded { usage, lines, usage_state };
    let provider = Providers::built_in().get(&receipt.provider);
    let asked = Asked {
        model: receipt.model_requested.clone(),
        capabilities: receipt.capabilities.clone(),
        caches_for_an_hour: recorded.derived(&Factor::InputCacheWrite1h),
        ..Asked::default()
    };
    let reasoning = provider.map(|provider| provider.reasoning).unwrap_or_default();
    let call = Call { asked: &asked, reasoning };
    let mut answer = read(format, &recorded, receipt.model.as_deref(), call);
    let counted = lines.iter().filter(|line| is_counted_elsewhere(line, &answer.lines));
    let counted: Vec<UsageLine> = counted.map(UsageLine::from).collect();
    let has_reported = answer.lines.iter().any(|line| line.basis == Basis::Reported);
    answer.lines.iter_mut().for_each(|line| remember(line, lines));
    answer.lines.extend(counted);
    let usage_state = match (has_reported, answer.seen.usage) {
        (true, true) => UsageState::Reported,
        (true, false) => UsageState::Partial,
        (false, _) => usage_state,
    };
    Some(Reread { lines: answer.lines, usage_state, reported_cost: answer.reported_cost })
}

/// What a usage object alone makes of an answer by this model.
pub(super) fn read(
    format: Format,
    recorded: &Recorded<'_>,
    model: Option<&str>,
    call: Call<'_>,
) -> Answer {
    let mut shape = shape_of(Some(format));
    let mut answer = Answer::default();
    answer.model = model.map(Into::into);
    answer.seen.usage = recorded.is_whole();
    shape.recall(recorded, &mut answer);
    shape.bill(&mut answer, call);
    outcome::bound(&mut answer);
    answer
}

/// What the request said about it does not stand in the answer's usage, but on the line of before.
fn remember(line: &mut UsageLine, before: &[Line]) {
    let is_same = |old: &&Line| old.factor == line.factor && old.model == line.model;
    if line.attributes.is_empty()
        && let Some(old) = before.iter().find(is_same)
    {
        line.attributes = UsageLine::from(old).attributes;
    }
}

/// Whether a line of before was not made of the usage object, and the reading has nothing in
/// its place.
fn is_counted_elsewhere(line: &Line, read: &[UsageLine]) -> bool {
    let is_output = |factor: &Factor| factor.name().starts_with("output.");
    match (line.basis, line.factor.unit()) {
        (Basis::Reported, _) | (Basis::Derived, Unit::Token) => false,
        (Basis::Derived, _) if is_fee(line) => false,
        (Basis::Derived, _) => read.iter().all(|other| other.factor != line.factor),
        (Basis::Estimated, _) => read.iter().all(|other| {
            other.factor.unit() != Unit::Token
                || is_output(&other.factor) != is_output(&line.factor)
        }),
    }
}

impl From<&Line> for UsageLine {
    /// The usage behind a line.
    fn from(line: &Line) -> Self {
        Self {
            factor: line.factor.clone(),
            count: line.count,
            model: line.model.clone(),
            basis: line.basis,
            bound: line.bound,
            attributes: line.attributes.clone().into_iter().collect(),
        }
    }
}
