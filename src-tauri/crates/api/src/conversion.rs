//! Amounts in the currency that somebody wants to read: each converted at the rate of its own
//! UTC day, beside what it is in truth. Owns no rates and adds up exactly.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use meter::exchange::{Exchange, ExchangeRates, day_of};
use meter::{Currency, Money, Receipt};
use serde::{Deserialize, Serialize};

use crate::standing::Standing;

/// Which currency is wanted, and the rates there are.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The currency.
    pub to: Currency,
    /// The rates.
    pub rates: Arc<ExchangeRates>,
}

/// A sum in another currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Converted {
    /// The currency.
    pub currency: Currency,
    /// What could be converted, each day's costs at the rate of that day; `null`: nothing.
    pub cost: Option<Money>,
    /// Costs of days on which no rate is known. Not in `cost`.
    pub unconverted: BTreeMap<Currency, Money>,
}

/// One receipt's cost in another currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct ConvertedCost {
    /// The currency.
    pub currency: Currency,
    /// The cost, rounded half to even at 18 decimals.
    pub cost: Money,
    /// The rate as it was stated, such as `1 EUR = 1.0812 USD`; empty if it needs none.
    pub rate: String,
    /// The day the rate is of.
    pub on: NaiveDate,
}

/// A rate that went into a total, and how much was converted at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct UsedRate {
    /// The currency of `amount`.
    pub from: Currency,
    /// As it was stated, such as `1 EUR = 1.0812 USD`; empty if it needs none.
    pub rate: String,
    /// The day the rate is of.
    pub on: NaiveDate,
    /// What was converted at it.
    pub amount: Money,
    /// What that came to.
    pub cost: Money,
}

impl Conversion {
    /// A sum of the costs of some days (counted from 1970), and the rates that went into it.
    pub(crate) fn sum(
        &self,
        costs: &BTreeMap<(Currency, i64), Money>,
    ) -> (Converted, Vec<UsedRate>) {
        let mut unconverted: BTreeMap<Currency, Money> = BTreeMap::new();
        let mut by_rate: BTreeMap<(Currency, NaiveDate, Box<str>), (Exchange, Money)> =
            BTreeMap::new();
        for ((from, day), cost) in costs {
            match self.on(*from, *day) {
                Some(rate) => {
                    let key = (*from, rate.on, rate.says.clone());
                    let (_, sum) = by_rate.entry(key).or_insert((rate, Money::ZERO));
                    add(sum, *cost);
                }
                None => add(unconverted.entry(*from).or_default(), *cost),
            }
        }
        let (mut cost, mut used) = (Money::ZERO, Vec::new());
        for ((from, on, says), (rate, amount)) in by_rate {
            let Some(converted) = rate.convert(amount) else {
                add(unconverted.entry(from).or_default(), amount);
                continue;
            };
            add(&mut cost, converted);
            used.push(UsedRate { from, rate: says.into(), on, amount, cost: converted });
        }
        let cost = (!used.is_empty() || unconverted.is_empty()).then_some(cost);
        (Converted { currency: self.to, cost, unconverted }, used)
    }

    /// What a receipt came to; nothing where it has no cost or its day no rate.
    pub fn receipt(&self, receipt: &Receipt) -> Option<ConvertedCost> {
        let cost = Standing::of(receipt).cost?;
        let on = day_of(receipt.id.minted_at());
        let rate = self.rates.find(receipt.currency, self.to, on)?;
        Some(ConvertedCost {
            currency: self.to,
            cost: rate.convert(cost)?,
            rate: rate.says.into(),
            on: rate.on,
        })
    }

    fn on(&self, from: Currency, day: i64) -> Option<Exchange> {
        let day = NaiveDate::default().checked_add_days(Days::new(u64::try_from(day).ok()?))?;
        let mut rate = self.rates.find(from, self.to, day)?;
        if from == self.to {
            // Every day is the same.
            rate.on = NaiveDate::default();
        }
        Some(rate)
    }
}

/// Held at the end of the scale rather than wrapped into a wrong number.
fn add(sum: &mut Money, more: Money) {
    *sum = Money::from_attos(sum.attos().saturating_add(more.attos()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_s_costs_are_converted_at_its_own_rate() {
        let rates = "2026-11-02,USD,EUR,0.9\n2026-11-04,USD,EUR,0.8\n";
        let rates = Arc::new(ExchangeRates::read(rates).unwrap());
        let conversion = Conversion { to: Currency::EUR, rates };
        let day =
            |text: &str| (text.parse::<NaiveDate>().unwrap() - NaiveDate::default()).num_days();
        let costs = [
            ((Currency::USD, "2026-11-01"), "7"),
            ((Currency::USD, "2026-11-02"), "10"),
            ((Currency::USD, "2026-11-03"), "10"),
            ((Currency::USD, "2026-11-04"), "1"),
            ((Currency::EUR, "2026-11-01"), "0.5"),
        ];
        let costs = costs.map(|((of, on), cost)| ((of, day(on)), cost.parse().unwrap()));
        let (sum, used) = conversion.sum(&costs.into());
        // 20 × 0.9 + 1 × 0.8 + 0.5
        assert_eq!(sum.cost.unwrap().to_string(), "19.3");
        assert_eq!(sum.unconverted, [(Currency::USD, "7".parse().unwrap())].into());
        let used: Vec<(&str, String)> =
            used.iter().map(|rate| (&*rate.rate, rate.amount.to_string())).collect();
        let of = |rate, amount: &str| (rate, amount.to_owned());
        assert_eq!(used, [of("", "0.5"), of("1 USD = 0.9 EUR", "20"), of("1 USD = 0.8 EUR", "1")]);
    }

    #[test]
    fn without_a_rate_there_is_no_number() {
        let conversion = Conversion { to: Currency::EUR, rates: Arc::default() };
        let (sum, _) = conversion.sum(&[((Currency::USD, 20_000), Money::ONE)].into());
        assert_eq!(sum.cost, None);
        let (sum, _) = conversion.sum(&BTreeMap::new());
        assert_eq!(sum.cost, Some(Money::ZERO), "nothing spent is nothing in every currency");
    }
}
