//! One rating: which record, version, tier and rate each line gets, and what stands below.

use super::amount::Ratio;
use super::book::{Book, Found, Prices, is_at};
use super::overrides::Own;
use super::record::{self, Multiplier, Price, Rates, Version};
use super::{Query, Valuation};
use crate::money::{Currency, Money};
use crate::receipt::{CostState, Kind, Line};
use crate::time::Timestamp;
use crate::usage::{Basis, Count, Factor, Unit, UsageLine};

/// The tier of a request that says nothing else.
const STANDARD: &str = "standard";
/// The tier of usage that a background job of many requests reports.
const BATCH: &str = "batch";

/// Prices usage. Never fails: what cannot be priced is unknown.
///
/// No lines at all mean that the usage is missing: `usage_missing`. Whether a call is one
/// for which there is nothing to pay (its usage state is `none`) only the caller knows.
/// A line that counted zero needs no rate; a model without a record prices nothing at all.
pub fn rate(book: &Book, query: &Query<'_>) -> Valuation {
    let main = Priced::find(book, query, None);
    if query.local && !main.is_some_and(|priced| priced.by_user == ByUser::Price) {
        return nothing_to_pay(query);
    }
    let currency = main.map_or(Currency::USD, |priced| priced.found.prices.currency);
    let by_the_hour = main.and_then(|priced| server_time(query, &priced));
    let with_time: Vec<UsageLine>;
    let query = &match by_the_hour {
        Some(time) => {
            with_time = query.lines.iter().cloned().chain([time]).collect();
            Query { lines: &with_time, ..*query }
        }
        None => *query,
    };
    let mut lines: Vec<Line> = Vec::with_capacity(query.lines.len() + 1);
    for line in query.lines {
        let priced = match line.model.as_deref() {
            Some(model) => Priced::find(book, query, Some(model)),
            None => main,
        };
        // Amounts of two currencies are no sum.
        let priced = priced.filter(|priced| priced.found.prices.currency == currency);
        lines.push(with_money(query, priced.as_ref(), line));
    }
    if let Some(fee) = main.and_then(|priced| flat_fee(query, &priced)) {
        lines.push(fee);
    }
    let free = main.is_some_and(|priced| priced.found.model.free);
    let known = main.is_some_and(|priced| priced.version.is_some());
    total(query, lines, currency, known, free)
}

/// Everything about the model that is the same for all lines it served.
#[derive(Clone, Copy)]
struct Priced<'b, 'q> {
    found: Found<'b>,
    tier: &'q str,
    /// Absent: the model has no such tier at that instant.
    version: Option<&'b Version>,
    standard: Option<&'b Version>,
    /// All multipliers that apply here, as one. Absent: it does not fit.
    factor: Option<Ratio>,
    prompt: u64,
    by_user: ByUser,
    /// What the user pays of all of it.
    discount: Ratio,
}

/// What of a price the user has a say in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByUser {
    Nothing,
    /// Which model's list price it is, or how much of it is paid.
    Terms,
    /// The price itself.
    Price,
}

impl<'b, 'q> Priced<'b, 'q>
where
    'b: 'q,
{
    /// `of_line` names another model than the receipt's own, such as an adviser's.
    fn find(book: &'b Book, query: &Query<'q>, of_line: Option<&'q str>) -> Option<Self> {
        let own = book.prices(query.provider)?;
        let asked = Asked::of(book, own, query, of_line);
        let version = |found: &Found<'b>| {
            let tier = tier(query, found);
            (tier, found.version(tier, query.at))
        };
        let user = asked.price(own, |found| version(&found).1.is_some());
        let found = match user {
            Some(found) => found,
            None => asked.listed(book, own, query, of_line)?,
        };
        let (tier, version) = version(&found);
        let standard = record::at(&found.model.standard, query.at);
        let mut here = found.model.multipliers.iter().filter(|m| applies(m, query));
        let factor = here.try_fold(Ratio::ONE, |all, multiplier| all.times(multiplier.by));
        let rounds = if own.sums_rounds { rounds(query.lines, of_line) } else { 1 };
        let prompt = prompt(query.lines, of_line).div_ceil(rounds);
        let discount = asked.discount(own, query).filter(|_| user.is_none());
        let by_user = match (user, discount, asked.alias) {
            (Some(_), _, _) => ByUser::Price,
            (None, None, None) => ByUser::Nothing,
            (None, _, _) => ByUser::Terms,
        };
        let discount = discount.unwrap_or(Ratio::ONE);
        Some(Self { found, tier, version, standard, factor, prompt, by_user, discount })
    }

    /// What names the price on the receipt.
    fn named(&self, version: &Version) -> Box<str> {
        match self.by_user {
            ByUser::Nothing | ByUser::Price => version.name.clone(),
            ByUser::Terms => format!("{}, override", version.name).into(),
        }
    }

    /// What the receipt says about what the user pays of it: ` × 4/5 override`.
    fn terms(&self) -> String {
        match self.discount {
            Ratio::ONE => String::new(),
            part => format!(" × {part} override"),
        }
    }

    /// What the receipt says about the multipliers: ` × 11/10 us`.
    fn places(&self, query: &Query<'_>) -> String {
        let here = self.found.model.multipliers.iter().filter(|m| applies(m, query));
        here.map(|m| format!(" × {} {}", m.by, m.name)).collect()
    }

    /// The factor that a line is billed as: its own where the record names it.
    fn billed<'f>(&'f self, version: &Version, factor: &'f Factor) -> Option<&'f Factor> {
        let mut factor = factor;
        // The table has chains of two or three; a circle ends here too.
        for _ in 0..4 {
            if version.names(factor) {
                return Some(factor);
            }
            // What has a rate of its own elsewhere is not like another factor here.
            if self.standard.is_some_and(|standard| standard.names(factor)) {
                return None;
            }
            factor = self.found.prices.billed_as.get(factor)?;
        }
        None
    }
}

impl<'b> Found<'b> {
    /// The version of a tier that holds at an instant.
    fn version(&self, tier: &str, at: Timestamp) -> Option<&'b Version> {
        if tier == STANDARD {
            return record::at(&self.model.standard, at);
        }
        if self.tiers.is_some_and(|tiers| !tiers.iter().any(|known| **known == *tier)) {
            return None;
        }
        record::at(self.model.tiers.get(tier)?, at)
    }
}

/// Whose price is asked for: the ids on the wire, and what the user says about them.
struct Asked<'b, 'q> {
    user: Option<&'b Own>,
    /// The one that counts first.
    ids: [Option<&'q str>; 2],
    /// What the user's name for it stands for.
    alias: Option<&'b str>,
}

impl<'b, 'q> Asked<'b, 'q> {
    fn of(book: &'b Book, own: &Prices, query: &Query<'q>, of_line: Option<&'q str>) -> Self {
        let user = book.overrides.of(query.provider);
        let ids = match of_line {
            Some(id) => [Some(id), None],
            None if own.request_decides => [query.model_requested, query.model_served],
            None => [query.model_served, query.model_requested],
        };
        let stands_for = |id: &str| user?.alias(id, query.at);
        let alias = ids.into_iter().flatten().find_map(stands_for);
        Self { user, ids, alias }
    }

    fn named(&self) -> impl Iterator<Item = &str> {
        self.alias.into_iter().chain(self.ids.into_iter().flatten().take(1))
    }

    /// The user's own price, where one holds.
    fn price(&self, own: &'b Prices, holds: impl Fn(Found<'b>) -> bool) -> Option<Found<'b>> {
        let found = |model| Found { model, prices: own, tiers: None };
        let user = self.user?;
        let price = |id| user.price(&own.names, id, |model| holds(found(model)));
        self.named().find_map(price).map(found)
    }

    fn discount(&self, own: &Prices, query: &Query<'_>) -> Option<Ratio> {
        let user = self.user?;
        self.named().find_map(|id| user.discount(&own.names, id, query.at))
    }

    /// The list price: of what the user's name stands for, else by the ids on the wire.
    fn listed(
        &self,
        book: &'b Book,
        own: &Prices,
        query: &Query<'_>,
        of_line: Option<&str>,
    ) -> Option<Found<'b>> {
        if query.host.is_some_and(|host| own.other_prices_at.iter().any(|at| is_at(at, host))) {
            return None;
        }
        let find = |id| book.find(query.provider, id);
        if let Some(model) = self.alias {
            return find(model);
        }
        match (of_line, query.model_served, query.model_requested) {
            (Some(id), _, _) => find(id),
            (None, Some(served), Some(requested)) if own.request_decides => {
                find(requested).or_else(|| find(served))
            }
            (None, Some(served), _) => find(served),
            (None, None, Some(requested)) if !own.user_named => find(requested),
            (None, None, _) => None,
        }
    }
}

/// The word of the records for the tier that served.
fn tier<'b: 'q, 'q>(query: &Query<'q>, found: &Found<'b>) -> &'q str {
    let word = query.service_tier.unwrap_or(STANDARD);
    let names = &found.prices.tier_names;
    let known = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    let word = known.map_or(word, |(_, tier)| &**tier);
    // Some providers shout: `FLEX` is the records' `flex`.
    let own = found.model.tiers.keys().find(|tier| tier.eq_ignore_ascii_case(word));
    let tier = own.map_or(word, |own| &**own);
    let standard = [STANDARD, "default", ""].iter().any(|name| name.eq_ignore_ascii_case(tier));
    match (standard, query.kind) {
        (true, Kind::Batch) => BATCH,
        (true, _) => STANDARD,
        (false, _) => tier,
    }
}

fn applies(multiplier: &Multiplier, query: &Query<'_>) -> bool {
    let here =
        query.host.is_some_and(|host| multiplier.host.iter().any(|known| is_at(known, host)));
    let there = query.region.is_some_and(|region| {
        multiplier.region.iter().any(|known| known.eq_ignore_ascii_case(region))
    });
    (here || there) && multiplier.from <= query.at
}

/// How long the prompt was, in whole tokens: it decides about long-context rates.
fn prompt(lines: &[UsageLine], model: Option<&str>) -> u64 {
    let of_prompt = |line: &&UsageLine| {
        line.factor.name().starts_with("input.") && line.model.as_deref() == model
    };
    let sum: Count = lines.iter().filter(of_prompt).map(|line| line.count).sum();
    sum.millionths().div_ceil(Count::ONE)
}

/// How many prompts a sum may hold: one, and one more for each call of the provider's own tools.
fn rounds(lines: &[UsageLine], model: Option<&str>) -> u64 {
    let of_tools = |line: &&UsageLine| {
        let feeds_back = matches!(line.factor, Factor::ToolWebSearch | Factor::ToolWebFetch);
        feeds_back && line.model.as_deref() == model
    };
    let calls: Count = lines.iter().filter(of_tools).map(|line| line.count).sum();
    1 + calls.millionths() / Count::ONE
}

impl Version {
    fn names(&self, factor: &Factor) -> bool {
        self.rates.names(factor)
    }

    /// The rate table that applies, and what the receipt calls it.
    fn price<'v>(
        &'v self,
        query: &Query<'_>,
        prompt: u64,
        get: impl Fn(&'v Rates) -> Option<&'v Price>,
    ) -> Option<(&'v Price, Option<&'v str>)> {
        let open = self.windows.iter().filter(|window| window.holds(query.at));
        let long = self.above.iter().filter(|above| prompt >= above.least);
        open.map(|window| (&window.rates, &*window.name))
            .chain(long.map(|above| (&above.rates, &*above.text)))
            .find_map(|(rates, name)| Some((get(rates)?, Some(name))))
            .or_else(|| Some((get(&self.rates)?, None)))
    }
}

fn unpriced(line: &UsageLine) -> Line {
    Line {
        factor: line.factor.clone(),
        count: line.count,
        unit: line.factor.unit(),
        rate: None,
        amount: None,
        tier: None,
        price_version: None,
        basis: line.basis,
        bound: line.bound,
        model: line.model.clone(),
        attributes: line.attributes.iter().cloned().collect(),
    }
}

fn with_money(query: &Query<'_>, priced: Option<&Priced<'_, '_>>, usage: &UsageLine) -> Line {
    let line = unpriced(usage);
    let Some(priced) = priced else { return line };
    let Some(version) = priced.version else { return line };
    // Fees of tools are one price for all tiers unless a tier states its own.
    let is_fee = !matches!(usage.factor.unit(), Unit::Token);
    let own = priced.billed(version, &usage.factor).map(|factor| (version, factor, priced.tier));
    let standard = || {
        let version = priced.standard.filter(|_| is_fee)?;
        priced.billed(version, &usage.factor).map(|factor| (version, factor, STANDARD))
    };
    let Some((version, factor, tier)) = own.or_else(standard) else {
        // Who pays for the hour pays nothing for what is done in it.
        return if version.names(&Factor::ServerSeconds) {
            let named = Some(priced.named(version));
            within(query, &Factor::ServerSeconds, Line { price_version: named, ..line })
        } else {
            line
        };
    };
    let get = |rates| Rates::get(rates, factor, usage);
    let Some((price, row)) = version.price(query, priced.prompt, get) else { return line };
    let tier = row.map_or_else(|| tier.to_owned(), |row| format!("{tier} {row}"));
    let line = Line { price_version: Some(priced.named(version)), ..line };
    match price {
        Price::Unknown => unpriced(usage),
        Price::Disputed(range) => {
            Line { rate: Some(range.clone()), tier: Some(tier.into()), ..line }
        }
        Price::Within(other) => within(query, other, Line { tier: Some(tier.into()), ..line }),
        Price::Known(rate) => {
            let least = version.at_least.get(&usage.factor).filter(|_| !usage.count.is_zero());
            let count = least.map_or(usage.count, |least| usage.count.max(*least));
            let factor = if is_fee { Some(Ratio::ONE) } else { priced.factor };
            let factor = factor.and_then(|factor| factor.times(priced.discount));
            let amount = factor.and_then(|factor| Some((factor, rate.amount(count, factor)?)));
            let Some((factor, amount)) = amount else { return unpriced(usage) };
            let tier = if is_fee { tier } else { tier + &priced.places(query) };
            let tier = tier + &priced.terms();
            let (rate, tier) = (Some(rate.text(factor)), Some(tier.into()));
            Line { rate, tier, amount: Some(amount), ..line }
        }
    }
}

/// Paid by another line: nothing more, if that line is there.
fn within(query: &Query<'_>, other: &Factor, line: Line) -> Line {
    let of_server = *other == Factor::ServerSeconds;
    let pays = |l: &UsageLine| {
        l.factor == *other && (of_server || !l.count.is_zero() && l.model == line.model)
    };
    if !query.lines.iter().any(pays) {
        return Line { tier: None, price_version: None, ..line };
    }
    Line { rate: Some(format!("within {other}").into()), amount: Some(Money::ZERO), ..line }
}

/// The time of the user's own server, where the price is per hour and nobody else counted it.
/// Requests that ran at the same time each count their own; idle hours are nobody's.
fn server_time(query: &Query<'_>, priced: &Priced<'_, '_>) -> Option<UsageLine> {
    let is_time = |line: &UsageLine| line.factor == Factor::ServerSeconds;
    let charged = priced.version.is_some_and(|version| version.names(&Factor::ServerSeconds));
    if !charged || query.lines.iter().any(is_time) {
        return None;
    }
    let millis = Count::from_millionths(query.took_ms?.checked_mul(1_000)?);
    let basis = Basis::Derived;
    Some(UsageLine { basis, ..UsageLine::reported(Factor::ServerSeconds, millis) })
}

/// A fee of the request itself, which no provider counts as usage.
fn flat_fee(query: &Query<'_>, priced: &Priced<'_, '_>) -> Option<Line> {
    let counted = |line: &UsageLine| line.factor == Factor::RequestFee;
    let charged = priced.standard.is_some_and(|version| version.names(&Factor::RequestFee));
    if !charged || query.lines.is_empty() || query.lines.iter().any(counted) {
        return None;
    }
    let mut fee = UsageLine::reported(Factor::RequestFee, 1);
    fee.basis = Basis::Derived;
    Some(with_money(query, Some(priced), &fee))
}

fn total(
    query: &Query<'_>,
    lines: Vec<Line>,
    currency: Currency,
    known: bool,
    free: bool,
) -> Valuation {
    let sum = sum(&lines);
    let open = |line: &&Line| line.amount.is_none() && !line.count.is_zero();
    let missing = lines.iter().filter(open).count();
    let disputed = lines.iter().filter(open).any(|line| line.rate.is_some());
    let some = lines.iter().any(|line| line.amount.is_some() && !line.count.is_zero());
    if let Some(reported) = query.reported_cost {
        return Valuation {
            lines,
            cost: Some(reported.amount),
            subtotal: None,
            currency: reported.currency,
            state: CostState::ProviderReported,
        };
    }
    let (cost, subtotal, state) = match sum {
        _ if lines.is_empty() => (None, None, CostState::UsageMissing),
        None => (None, None, CostState::Unknown),
        _ if !known && !some => (None, None, CostState::Unknown),
        Some(sum) if missing == 0 && free && sum == Money::ZERO => {
            (Some(sum), None, CostState::Free)
        }
        Some(sum) if missing == 0 => (Some(sum), None, CostState::Priced),
        Some(sum) if disputed => (None, some.then_some(sum), CostState::Disputed),
        Some(sum) if some => (None, Some(sum), CostState::Partial),
        Some(_) => (None, None, CostState::Unknown),
    };
    Valuation { lines, cost, subtotal, currency, state }
}

fn sum(lines: &[Line]) -> Option<Money> {
    lines.iter().filter_map(|line| line.amount).try_fold(Money::ZERO, Money::checked_add)
}

/// The user's own machine: no charge, which is something else than unknown.
fn nothing_to_pay(query: &Query<'_>) -> Valuation {
    let free = |line: &UsageLine| Line {
        rate: Some("no charge".into()),
        amount: Some(Money::ZERO),
        tier: Some("local".into()),
        ..unpriced(line)
    };
    Valuation {
        lines: query.lines.iter().map(free).collect(),
        cost: Some(Money::ZERO),
        subtotal: None,
        currency: Currency::USD,
        state: CostState::Free,
    }
}
