//! Figures: what a person is shown of some receipts added up.

use std::collections::BTreeMap;

use meter::receipt::Status;
use meter::usage::{Count, Factor, Unit};
use meter::{Currency, Money};

use crate::error::StoreError;
use crate::histogram::Histogram;
use crate::lane::Lane;
use crate::names::NameId;
use crate::pack::{Unpack, UnpackError, Unspell};
use crate::tally::{Amounts, Reads, Sign, Tally};

/// Receipts added up, settlements counted in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many receipts.
    pub requests: u64,
    /// How many of them ended how; those with none are left out.
    pub statuses: BTreeMap<Status, u64>,
    /// The exact sum of the known costs in US dollars.
    pub cost: Money,
    /// The exact sums in other currencies.
    pub other_costs: BTreeMap<Currency, Money>,
    /// The priced parts, in US dollars, of receipts whose cost is unknown. Not in `cost`.
    pub subtotal: Money,
    /// What caching saved in US dollars, less what writing to caches cost extra.
    pub saved: Money,
    /// The known costs of each UTC day, counted from 1970, where they were asked for.
    pub costs_by_day: BTreeMap<(Currency, i64), Money>,
    /// How many have a cost.
    pub priced: u64,
    /// How many have none although there is, or may be, something to pay.
    pub unpriced: u64,
    /// How many have usage that Tollgate estimated, wholly or in part.
    pub estimated: u64,
    /// Tokens in (every token that is not `output.*`), whole tokens.
    pub input_tokens: u64,
    /// Tokens out (`output.*`), whole tokens.
    pub output_tokens: u64,
    /// How many of everything that was used.
    pub factors: BTreeMap<Factor, Count>,
    /// End-to-end durations of what went upstream. Absent when nothing did.
    pub latency: Option<Spread>,
    /// Durations until the first content of streams.
    pub ttft: Option<Spread>,
    /// The time that Tollgate itself added, in microseconds; percentiles within 3.2 %. Only where
    /// it was asked for.
    pub overhead: Option<Spread>,
    /// Any other percentile of the durations end to end.
    pub latencies: Histogram,
    /// Any other percentile of the durations until first content.
    pub ttfts: Histogram,
    /// Any other percentile of what Tollgate added, in microseconds.
    pub overheads: Histogram,
}

/// How durations are spread, in the unit they were counted in; percentiles are within 1.6 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Their mean.
    pub mean: u64,
    /// Half of them are no longer.
    pub p50: u64,
    /// Nineteen of twenty are no longer.
    pub p95: u64,
    /// 99 of a hundred are no longer.
    pub p99: u64,
}

impl Figures {
    pub(crate) fn without_overhead(self) -> Self {
        Self { overhead: None, overheads: Histogram::default(), ..self }
    }
}

impl Spread {
    fn of(durations: &Histogram) -> Option<Self> {
        Some(Self {
            mean: durations.mean_ms()?,
            p50: durations.percentile_ms(50)?,
            p95: durations.percentile_ms(95)?,
            p99: durations.percentile_ms(99)?,
        })
    }
}

/// Tallies of several lanes added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    tally: Tally,
    statuses: BTreeMap<Status, i64>,
    costs: BTreeMap<NameId, Amounts>,
    /// Cost by currency and UTC day, in attos, where days are kept apart.
    by_day: BTreeMap<(NameId, i64), i128>,
}

impl Sums {
    pub(crate) fn add(&mut self, lane: &Lane, tally: &Tally) {
        self.tally.add(tally);
        self.count(Sign::Plus, lane, tally.requests, tally.amounts());
    }

    pub(crate) fn subtract(&mut self, lane: &Lane, tally: &Tally) {
        self.tally.subtract(tally);
        self.count(Sign::Minus, lane, tally.requests, tally.amounts());
    }

    /// Adds a rollup cell of this lane as it lies in the ledger.
    pub(crate) fn add_packed(
        &mut self,
        (sign, reads): (Sign, Reads),
        lane: &Lane,
        (requests, cost): (i64, i128),
        sums: &mut Unpack<'_>,
        names: &impl Unspell,
    ) -> Result<(), UnpackError> {
        let amounts = self.tally.add_packed((sign, reads), (requests, cost), sums, names)?;
        self.count(sign, lane, requests, amounts);
        Ok(())
    }

    fn count(&mut self, sign: Sign, lane: &Lane, requests: i64, amounts: Amounts) {
        let count = self.statuses.entry(lane.status).or_default();
        *count = sign.merge_narrow(*count, requests);
        self.costs.entry(lane.currency).or_default().merge(sign, amounts);
    }

    /// Forgets what was taken away completely.
    pub(crate) fn tidy(&mut self) {
        self.tally.tidy();
    }

    /// Counts a cost on a day of its own as well.
    pub(crate) fn on_day(&mut self, sign: Sign, day: i64, lane: &Lane, cost: i128) {
        if cost != 0 {
            let sum = self.by_day.entry((lane.currency, day)).or_default();
            *sum = sign.merge(*sum, cost);
        }
    }

    /// Adds other sums.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (currency, amounts) in &other.costs {
            self.costs.entry(*currency).or_default().merge(Sign::Plus, *amounts);
        }
        for (day, cost) in &other.by_day {
            let sum = self.by_day.entry(*day).or_default();
            *sum = sum.saturating_add(*cost);
        }
    }

    /// Takes other sums away, which were counted in these.
    pub(crate) fn take_away(&mut self, other: &Self) {
        self.tally.subtract(&other.tally);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() -= count;
        }
        for (currency, amounts) in &other.costs {
            self.costs.entry(*currency).or_default().merge(Sign::Minus, *amounts);
        }
        for (day, cost) in &other.by_day {
            let sum = self.by_day.entry(*day).or_default();
            *sum = sum.saturating_sub(*cost);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tally.requests == 0
    }

    pub(crate) fn figures(
        self,
        name: impl Fn(NameId) -> Result<Option<Box<str>>, StoreError>,
    ) -> Result<Figures, StoreError> {
        let mut figures = Figures {
            requests: self.tally.requests.unsigned_abs(),
            priced: self.tally.priced.unsigned_abs(),
            unpriced: self.tally.unpriced.unsigned_abs(),
            estimated: self.tally.estimated.unsigned_abs(),
            input_tokens: tokens(&self.tally, false),
            output_tokens: tokens(&self.tally, true),
            latency: Spread::of(&self.tally.latency),
            ttft: Spread::of(&self.tally.ttft),
            overhead: Spread::of(&self.tally.overhead),
            latencies: self.tally.latency,
            overheads: self.tally.overhead,
            ttfts: self.tally.ttft,
            ..Figures::default()
        };
        let used = self.tally.factors.iter();
        figures.factors = used.map(|(factor, count)| (factor.clone(), count_of(*count))).collect();
        let statuses = self.statuses.into_iter().filter(|(_, count)| *count != 0);
        figures.statuses = statuses.map(|(s, count)| (s, count.unsigned_abs())).collect();
        let named = |currency| -> Result<Currency, StoreError> {
            let code = name(currency)?.ok_or(StoreError::Damaged)?;
            code.parse().map_err(|_| StoreError::Damaged)
        };
        for ((currency, day), cost) in self.by_day.into_iter().filter(|(_, cost)| *cost != 0) {
            figures.costs_by_day.insert((named(currency)?, day), Money::from_attos(cost));
        }
        for (currency, Amounts { cost, subtotal, saved }) in self.costs {
            let currency = named(currency)?;
            if currency == Currency::USD {
                figures.cost = Money::from_attos(cost);
                figures.subtotal = Money::from_attos(subtotal);
                figures.saved = Money::from_attos(saved);
            } else if cost != 0 {
                figures.other_costs.insert(currency, Money::from_attos(cost));
            }
        }
        Ok(figures)
    }
}

fn count_of(millionths: i128) -> Count {
    Count::from_millionths(u64::try_from(millionths.max(0)).unwrap_or(u64::MAX))
}

fn tokens(tally: &Tally, output: bool) -> u64 {
    let of_side = tally.factors.iter().filter(|(factor, _)| {
        factor.unit() == Unit::Token && factor.name().starts_with("output.") == output
    });
    let millionths: i128 = of_side.map(|(_, count)| count).sum();
    count_of(millionths).millionths() / Count::ONE
}
