//! What is left of a filter's receipts where some were pruned, whose sums stay.

use meter::Timestamp;
use store::{Filter, Questions, StoreError};

use crate::export::ExportForm;
use crate::query::Query;

/// Before which instant receipts of a filter were pruned; nothing if none of its were.
pub(crate) fn cut(ledger: &Questions, filter: &Filter) -> Result<Option<Timestamp>, StoreError> {
    // Tags and ids went with their receipts: sums know neither.
    if !filter.tags.is_empty() || !filter.ids.is_empty() {
        return Ok(None);
    }
    let Some(cut) = ledger.pruned_before()? else { return Ok(None) };
    let to = filter.to.map_or(cut, |to| to.min(cut));
    let pruned = Filter { to: Some(to), ..filter.clone() };
    Ok((ledger.count(&pruned)? != 0).then_some(cut))
}

/// When the first request of a filter began. Where it was pruned, the first day of all sums.
pub(crate) fn begin(ledger: &Questions, filter: &Filter) -> Result<Option<Timestamp>, StoreError> {
    if cut(ledger, filter)?.is_some() {
        return Ok(Some(ledger.extent(filter)?.start));
    }
    Ok(ledger.requests_after(filter, None, 1)?.first().map(|oldest| oldest.id.minted_at()))
}

/// How many rows an export of receipts has, which are those that were not pruned; nothing for
/// one of sums, whose rows nobody has counted.
pub(crate) fn rows(ledger: &Questions, query: &Query) -> Result<Option<u64>, StoreError> {
    match query.form {
        ExportForm::Requests => {
            let from = query.filter.from.max(ledger.pruned_before()?);
            ledger.count(&Filter { from, ..query.filter.clone() }).map(Some)
        }
        ExportForm::Hourly => Ok(None),
    }
}
