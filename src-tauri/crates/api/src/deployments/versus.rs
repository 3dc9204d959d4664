//! What the tokens of a server of the user's own would have cost with a paid model: each receipt
//! rated as if that model had served it, because prices know tiers that sums do not.

use std::ops::ControlFlow;
use std::str::FromStr;

use meter::Money;
use meter::price::{Book, valued_at};
use meter::receipt::UsageState;
use meter::{Currency, Receipt};
use serde::{Deserialize, Serialize};
use store::{Filter, Questions, Standing};

use crate::problem::Problem;
use crate::remains;

/// Receipts that one answer rates. More are for a shorter period.
const MOST_RECEIPTS: u64 = 200_000;

/// A model that is paid for, by whom and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidModel {
    /// The provider's id.
    pub provider: Box<str>,
    /// The model.
    pub model: Box<str>,
}

impl FromStr for PaidModel {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let halves = text.split_once('/').filter(|(provider, model)| {
            !provider.is_empty() && !model.is_empty() && text.len() <= 600
        });
        let (provider, model) = halves.ok_or("Write the provider and the model: `ID/MODEL`.")?;
        if text.chars().any(char::is_control) {
            return Err("Write visible characters.");
        }
        Ok(Self { provider: provider.into(), model: model.into() })
    }
}

/// A comparison with a paid model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Versus {
    /// The paid model: `provider/model`.
    pub model: String,
    /// What the same usage would have cost there, at the prices of its days; `null`: not all of
    /// it has a price there, there were too many requests to rate, or some were pruned.
    pub cost: Option<Money>,
    /// The part of it that has a price there, where not all has.
    pub subtotal: Option<Money>,
    /// Of these amounts.
    pub currency: Currency,
    /// That cost less what it cost here; below zero: it would have been cheaper there. `null`:
    /// one of them is unknown.
    pub saved: Option<Money>,
    /// How many requests were rated.
    pub requests: u64,
    /// How many of them have no price there.
    pub unpriced: u64,
    /// How many of them have usage that was estimated.
    pub estimated: u64,
    /// Whether there were too many requests to rate them all.
    pub too_many: bool,
}

/// How many more receipts an answer may rate.
#[derive(Debug)]
pub(super) struct Patience(u64);

impl Default for Patience {
    fn default() -> Self {
        Self(MOST_RECEIPTS)
    }
}

impl Versus {
    /// What the receipts of a filter would have cost there.
    pub(super) fn of(
        ledger: &Questions,
        filter: &Filter,
        book: &Book,
        paid: &PaidModel,
        patience: &mut Patience,
    ) -> Result<Self, Problem> {
        let mut versus = Self {
            model: format!("{}/{}", paid.provider, paid.model),
            cost: None,
            subtotal: None,
            currency: Currency::USD,
            saved: None,
            requests: 0,
            unpriced: 0,
            estimated: 0,
            too_many: false,
        };
        let mut sum = Some(Money::ZERO);
        ledger.each(filter, |receipt| {
            if patience.0 == 0 {
                versus.too_many = true;
                return ControlFlow::Break(());
            }
            patience.0 -= 1;
            versus.count(book, &receipt, paid, &mut sum);
            ControlFlow::Continue(())
        })?;
        // Sums cannot be rated.
        let is_pruned = remains::cut(ledger, filter)?.is_some();
        let is_whole = versus.unpriced == 0 && !versus.too_many && !is_pruned;
        versus.cost = sum.filter(|_| is_whole);
        versus.subtotal = sum.filter(|_| !is_whole && versus.requests > versus.unpriced);
        Ok(versus)
    }

    fn count(&mut self, book: &Book, receipt: &Receipt, paid: &PaidModel, sum: &mut Option<Money>) {
        let standing = Standing::of(receipt);
        let place = (&*paid.provider, &*paid.model);
        let Some(there) = valued_at(book, receipt, standing.lines, place) else { return };
        self.requests += 1;
        self.estimated += u64::from(standing.usage_state == UsageState::Estimated);
        self.currency = there.currency;
        self.unpriced += u64::from(there.cost.is_none());
        let known = there.cost.or(there.subtotal).unwrap_or(Money::ZERO);
        *sum = sum.and_then(|sum| sum.checked_add(known));
    }

    /// The same, with what it cost here.
    pub(super) fn against(self, here: Option<(Money, Currency)>) -> Self {
        let here = here.filter(|(_, currency)| *currency == self.currency);
        let saved = self.cost.zip(here).and_then(|(cost, (here, _))| cost.checked_sub(here));
        Self { saved, ..self }
    }
}
