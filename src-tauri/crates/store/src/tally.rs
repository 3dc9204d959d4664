//! The sums over some receipts of one lane: what a rollup cell holds. Tallies add up and
//! take apart exactly, so a settlement can correct them.

use meter::price::saved_by_cache;
use meter::receipt::{CostState, Receipt, Status, UsageState};
use meter::usage::{Basis, Factor};

use crate::histogram::Histogram;
use crate::pack::{Spell, Unpack, UnpackError, Unspell, put_signed};
use crate::standing::Standing;

/// Whether something is added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Plus,
    Minus,
}

/// How much of a packed tally is read. What Tollgate added is asked for seldom, lies at the end
/// and takes a fourth of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    AllButOverhead,
    All,
}

/// The money of a tally, in attos of its lane's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) cost: i128,
    pub(crate) subtotal: i128,
    pub(crate) saved: i128,
}

impl Amounts {
    pub(crate) fn merge(&mut self, sign: Sign, more: Self) {
        self.cost = sign.merge(self.cost, more.cost);
        self.subtotal = sign.merge(self.subtotal, more.subtotal);
        self.saved = sign.merge(self.saved, more.saved);
    }
}

impl Sign {
    pub(crate) const fn opposite(self) -> Self {
        match self {
            Self::Plus => Self::Minus,
            Self::Minus => Self::Plus,
        }
    }

    pub(crate) const fn merge(self, sum: i128, more: i128) -> i128 {
        match self {
            Self::Plus => sum.saturating_add(more),
            Self::Minus => sum.saturating_sub(more),
        }
    }

    pub(crate) const fn merge_narrow(self, sum: i64, more: i64) -> i64 {
        match self {
            Self::Plus => sum.saturating_add(more),
            Self::Minus => sum.saturating_sub(more),
        }
    }
}

/// How many of each factor, in millionths of its unit, ordered by factor. There are a
/// handful, so a list is quicker than a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Factors {
    counts: Vec<(Factor, i128)>,
}

impl Factors {
    pub(crate) fn add(&mut self, sign: Sign, factor: &Factor, more: i128) {
        match self.counts.binary_search_by(|(known, _)| known.cmp(factor)) {
            Ok(at) => self.counts[at].1 = sign.merge(self.counts[at].1, more),
            Err(at) => self.counts.insert(at, (factor.clone(), sign.merge(0, more))),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Factor, i128)> {
        self.counts.iter()
    }

    fn tidy(&mut self) {
        self.counts.retain(|(_, count)| *count != 0);
    }
}

/// Sums over receipts. Signed, because a correction may be negative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) requests: i64,
    /// With a cost.
    pub(crate) priced: i64,
    /// Without a cost although there is or may be something to pay.
    pub(crate) unpriced: i64,
    /// With usage that Tollgate estimated, wholly or in part.
    pub(crate) estimated: i64,
    /// Attos of the lane's currency.
    pub(crate) cost: i128,
    /// The priced parts of those without a cost, in attos.
    pub(crate) subtotal: i128,
    /// What caching saved, in attos.
    pub(crate) saved: i128,
    /// Millionths of each factor's unit.
    pub(crate) factors: Factors,
    pub(crate) latency: Histogram,
    pub(crate) ttft: Histogram,
    /// Microseconds.
    pub(crate) overhead: Histogram,
}

impl Tally {
    /// What one receipt adds, as it stands after its settlements.
    pub(crate) fn of(receipt: &Receipt) -> Self {
        let standing = Standing::of(receipt);
        let mut tally = Self {
            requests: 1,
            priced: standing.cost.is_some().into(),
            unpriced: is_unpriced(&standing).into(),
            estimated: is_estimated(&standing).into(),
            cost: standing.cost.map_or(0, |cost| cost.attos()),
            subtotal: standing.subtotal.map_or(0, |part| part.attos()),
            saved: saved_by_cache(standing.lines).attos(),
            ..Self::default()
        };
        for line in standing.lines {
            tally.factors.add(Sign::Plus, &line.factor, line.count.millionths().into());
        }
        tally.factors.tidy();
        if went_upstream(receipt.status) {
            tally.latency.record(receipt.latency_ms);
            if let Some(us) = receipt.overhead_us {
                tally.overhead.record_coarsely(us);
            }
        }
        if let Some(ms) = receipt.ttft_ms {
            tally.ttft.record(ms);
        }
        tally
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.merge(Sign::Plus, other);
        self.latency.add(&other.latency);
        self.ttft.add(&other.ttft);
        self.overhead.add(&other.overhead);
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        self.merge(Sign::Minus, other);
        self.latency.subtract(&other.latency);
        self.ttft.subtract(&other.ttft);
        self.overhead.subtract(&other.overhead);
        self.tidy();
    }

    /// Forgets what was taken away completely, so that equal sums are equal.
    pub(crate) fn tidy(&mut self) {
        self.factors.tidy();
    }

    // A sum past the end of the scale (2^127 attos are 1.7e20 units of money) is held there
    // rather than wrapped into a wrong number.
    fn merge(&mut self, sign: Sign, other: &Self) {
        let add = |sum: &mut i64, more: i64| *sum = sign.merge_narrow(*sum, more);
        let wide = |sum: &mut i128, more: i128| *sum = sign.merge(*sum, more);
        add(&mut self.requests, other.requests);
        add(&mut self.priced, other.priced);
        add(&mut self.unpriced, other.unpriced);
        add(&mut self.estimated, other.estimated);
        wide(&mut self.cost, other.cost);
        wide(&mut self.subtotal, other.subtotal);
        wide(&mut self.saved, other.saved);
        for (factor, count) in &other.factors.counts {
            self.factors.add(sign, factor, *count);
        }
    }

    /// Its money.
    pub(crate) fn amounts(&self) -> Amounts {
        Amounts { cost: self.cost, subtotal: self.subtotal, saved: self.saved }
    }

    /// Whether there is nothing left in it.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes all but what a rollup keeps in columns of its own: requests and cost.
    pub(crate) fn put<S: Spell>(&self, out: &mut Vec<u8>, spell: &mut S) -> Result<(), S::Error> {
        for number in [self.priced, self.unpriced, self.estimated] {
            put_signed(out, number.into());
        }
        put_signed(out, self.subtotal);
        put_signed(out, self.factors.counts.len() as i128);
        for (factor, count) in &self.factors.counts {
            spell.spell(out, &factor.name())?;
            put_signed(out, *count);
        }
        self.latency.put(out);
        self.ttft.put(out);
        put_signed(out, self.saved);
        self.overhead.put(out);
        Ok(())
    }

    /// Adds what [`Self::put`] wrote, with the requests and the cost it left out; says the
    /// amounts. After an error the sums are of no use.
    pub(crate) fn add_packed(
        &mut self,
        (sign, reads): (Sign, Reads),
        (requests, cost): (i64, i128),
        input: &mut Unpack<'_>,
        names: &impl Unspell,
    ) -> Result<Amounts, UnpackError> {
        let mut more = Self {
            requests,
            cost,
            priced: input.signed_millis()?,
            unpriced: input.signed_millis()?,
            estimated: input.signed_millis()?,
            subtotal: input.signed()?,
            ..Self::default()
        };
        for _ in 0..input.signed()? {
            let factor = names.factor(input)?;
            self.factors.add(sign, &factor, input.signed()?);
        }
        self.latency.add_packed(sign, input)?;
        self.ttft.add_packed(sign, input)?;
        // Earlier ledgers did not keep these.
        more.saved = if input.is_empty() { 0 } else { input.signed()? };
        if reads == Reads::All && !input.is_empty() {
            self.overhead.add_packed(sign, input)?;
        }
        self.merge(sign, &more);
        Ok(more.amounts())
    }
}

fn is_unpriced(standing: &Standing<'_>) -> bool {
    standing.cost.is_none()
        && standing.cost_state != CostState::Free
        && standing.usage_state != UsageState::None
}

fn is_estimated(standing: &Standing<'_>) -> bool {
    standing.usage_state == UsageState::Estimated
        || standing.lines.iter().any(|line| line.basis == Basis::Estimated)
}

/// A denial takes no time and an interruption has none; neither says how fast a provider is.
fn went_upstream(status: Status) -> bool {
    match status {
        Status::Succeeded | Status::Error | Status::Cancelled | Status::Pending => true,
        Status::Denied | Status::Interrupted => false,
    }
}
