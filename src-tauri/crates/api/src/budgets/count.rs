//! What the ledger says was spent of a budget.

use meter::budget::{Scope, Span};
use meter::{Money, Timestamp};
use store::{Dimension, Filter, Questions};

use crate::period::{Granularity, Here, around};
use crate::problem::Problem;

/// The period of the calendar around `here`; without an end it never ends.
pub fn period(span: Span, here: Here) -> (Timestamp, Option<Timestamp>) {
    let granularity = match span {
        Span::Hour => Granularity::Hour,
        Span::Day => Granularity::Day,
        Span::Week => Granularity::Week,
        Span::Month => Granularity::Month,
        Span::Total => return (Timestamp::default(), None),
    };
    let (from, to) = around(granularity, here);
    (from, Some(to))
}

/// US dollars that the calls of a scope have cost; those whose cost nobody knows count with
/// what was set aside for them.
///
/// # Errors
/// When the ledger cannot be read.
pub fn spent(
    ledger: &Questions,
    scope: &Scope,
    from: Timestamp,
    to: Option<Timestamp>,
) -> Result<Money, Problem> {
    let texts = |wanted: &[Box<str>]| wanted.iter().map(|text| text.to_string()).collect();
    let filter = Filter {
        from: Some(from),
        to,
        passes: texts(&scope.passes),
        keys: texts(&scope.keys),
        workspaces: texts(&scope.workspaces),
        providers: texts(&scope.providers),
        ..Filter::default()
    };
    // Whether a model is meant is no question of equality, so it is asked row by row.
    let by_model = (!scope.models.is_empty()).then_some(&Dimension::Model);
    let usage = ledger.usage(&filter, by_model, None)?;
    let known = match by_model {
        None => usage.totals.cost,
        Some(_) => {
            let counting = usage.rows.iter().filter(|(model, _)| scope.has_model(model.as_deref()));
            sum(counting.map(|(_, figures)| figures.cost))
        }
    };
    let reserved = ledger.reserved(&filter)?.into_iter();
    let reserved = reserved.filter(|one| scope.has_model(one.model.as_deref()));
    Ok(sum(reserved.map(|one| one.amount)).saturating_add(known))
}

fn sum(amounts: impl Iterator<Item = Money>) -> Money {
    amounts.fold(Money::ZERO, Money::saturating_add)
}
