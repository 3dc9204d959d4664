//! Second valuations: what re-pricing would change, and appending it. The first valuation
//! stays on the receipt; the rollups follow in the same transaction.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use meter::price::{self, Book, PassedOver, Valuation};
use meter::receipt::{CostState, Receipt, Settlement};
use meter::{Currency, Money, ReceiptId, Timestamp};

use crate::books::Books;
use crate::error::StoreError;
use crate::filter::Filter;
use crate::ledger::Ledger;
use crate::questions::Questions;
use crate::receipt_row::Lanes;
use crate::rollup::Cells;
use crate::settlement;
use crate::standing::Standing;

/// Receipts valued again in one transaction: a few milliseconds, so that those which come in
/// meanwhile do not wait.
const BATCH: usize = 256;

/// Provider, model and currency.
type Whose = (Box<str>, Option<Box<str>>, Currency);

/// What re-pricing changes, or would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repricing {
    /// The receipts whose valuation changes, by provider, model and currency.
    pub changes: BTreeMap<Whose, Change>,
    /// Receipts whose valuation is what it was.
    pub unchanged: u64,
    /// Receipts that keep their valuation, by why.
    pub passed_over: BTreeMap<PassedOver, u64>,
}

/// What changes about the receipts of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// How many receipts.
    pub receipts: u64,
    /// What they come to now.
    pub before: Sum,
    /// What they come to then.
    pub after: Sum,
}

/// What some receipts of one currency come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// The sum of the known costs.
    pub cost: Money,
    /// Receipts without a cost, not in the sum.
    pub unpriced: u64,
}

/// A second valuation, as it is to be recorded.
#[derive(Clone, Debug)]
pub struct Reprice {
    /// The prices to value by.
    pub book: Arc<Book>,
    /// When that is.
    pub at: Timestamp,
    /// Why, in the user's words.
    pub note: Box<str>,
}

impl Sum {
    fn add(&mut self, cost: Option<Money>, state: CostState) {
        match cost {
            // 2^127 attos are 1.7e20 units of money; a sum past that is held there.
            Some(cost) => {
                self.cost = Money::from_attos(self.cost.attos().saturating_add(cost.attos()));
            }
            None => self.unpriced += u64::from(state != CostState::Free),
        }
    }

    fn merge(&mut self, other: Self) {
        self.add(Some(other.cost), CostState::Priced);
        self.unpriced += other.unpriced;
    }
}

impl Change {
    fn merge(&mut self, other: Self) {
        self.receipts += other.receipts;
        self.before.merge(other.before);
        self.after.merge(other.after);
    }
}

impl Repricing {
    /// How many valuations change.
    pub fn changed(&self) -> u64 {
        self.changes.values().map(|change| change.receipts).sum()
    }

    /// All changes of one currency together.
    pub fn totals(&self) -> BTreeMap<Currency, Change> {
        let mut totals = BTreeMap::<_, Change>::new();
        for ((_, _, currency), change) in &self.changes {
            totals.entry(*currency).or_default().merge(*change);
        }
        totals
    }

    /// Counts a receipt; the new valuation, if it is another than the one that counts now.
    fn see(&mut self, book: &Book, receipt: &Receipt) -> Option<Valuation> {
        let now = Standing::of(receipt);
        let then = match price::again(book, receipt, now.lines) {
            Ok(then) => then,
            Err(why) => {
                *self.passed_over.entry(why).or_default() += 1;
                return None;
            }
        };
        if is_same(&now, &then) {
            self.unchanged += 1;
            return None;
        }
        let model = receipt.model.clone().or_else(|| receipt.model_requested.clone());
        let key = (receipt.provider.clone(), model, receipt.currency);
        let change = self.changes.entry(key).or_default();
        change.receipts += 1;
        change.before.add(now.cost, now.cost_state);
        change.after.add(then.cost, then.state);
        Some(then)
    }
}

/// Whether the money is the same, line by line; who says so may differ.
fn is_same(now: &Standing<'_>, then: &Valuation) -> bool {
    let totals = (now.cost, now.cost_state, now.subtotal);
    let amounts = now.lines.iter().map(|line| line.amount);
    totals == (then.cost, then.state, then.subtotal)
        && amounts.eq(then.lines.iter().map(|line| line.amount))
}

impl Questions {
    /// What re-pricing the receipts of a filter by this book would change.
    pub fn repricing(&self, filter: &Filter, book: &Book) -> Result<Repricing, StoreError> {
        let mut found = Repricing::default();
        self.each(filter, |receipt| {
            found.see(book, &receipt);
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }
}

impl Ledger {
    /// Appends a second valuation to the receipts of a filter whose valuation changes, a
    /// batch at a time. `ledger` finds them. What was appended stays if a later batch fails.
    pub fn reprice(
        &self,
        ledger: &Questions,
        filter: &Filter,
        reprice: &Reprice,
    ) -> Result<Repricing, StoreError> {
        let (mut found, mut done) = (Repricing::default(), Repricing::default());
        let (mut batch, mut failed) = (Vec::with_capacity(BATCH), None);
        ledger.each(filter, |receipt| {
            if found.see(&reprice.book, &receipt).is_some() {
                batch.push(receipt.id);
            }
            if batch.len() == BATCH
                && let Err(error) = self.append(std::mem::take(&mut batch), reprice, &mut done)
            {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        self.append(batch, reprice, &mut done)?;
        Ok(Repricing { changes: done.changes, ..found })
    }

    fn append(
        &self,
        batch: Vec<ReceiptId>,
        reprice: &Reprice,
        done: &mut Repricing,
    ) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let reprice = reprice.clone();
        let appended = self.write(move |books| append(books, &batch, &reprice))?;
        for (key, change) in appended.changes {
            done.changes.entry(key).or_default().merge(change);
        }
        Ok(())
    }
}

/// Values each receipt as it now stands, which may be otherwise than when it was found.
fn append(
    books: &mut Books,
    batch: &[ReceiptId],
    reprice: &Reprice,
) -> Result<Repricing, StoreError> {
    let (mut done, mut cells, mut lanes) =
        (Repricing::default(), Cells::default(), Lanes::default());
    lanes.refresh(&books.db)?;
    for id in batch {
        let Some(receipt) = settlement::receipt_of(books, &lanes, id.ordinal())? else { continue };
        if let Some(valuation) = done.see(&reprice.book, &receipt) {
            let settlement = second(reprice, valuation);
            settlement::append(books, receipt, &settlement, &mut cells)?;
        }
    }
    cells.write(books)?;
    Ok(done)
}

fn second(reprice: &Reprice, valuation: Valuation) -> Settlement {
    Settlement {
        at: reprice.at,
        reason: Settlement::REPRICE.into(),
        by: None,
        status: None,
        lines: valuation.lines,
        cost: valuation.cost,
        cost_state: valuation.state,
        subtotal: valuation.subtotal,
        book_hash: Some(reprice.book.hash().into()),
        note: Some(reprice.note.clone()),
    }
}
