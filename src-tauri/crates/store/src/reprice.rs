//! Second valuations, of the usage as it was read or as it is read now: what they would change,
//! and appending them. The first stays on the receipt; the rollups follow in the same transaction.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use meter::format::reread;
use meter::price::{self, Book, PassedOver, Valuation};
use meter::receipt::{CostState, Line, Receipt, Settlement, UsageState};
use meter::usage::{Count, Unit};
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
    /// How many of them have their usage read otherwise.
    pub reread: u64,
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
    /// All tokens, in and out.
    pub tokens: Count,
}

/// How deep a second look goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The lines as they stand are valued again.
    Valuation,
    /// The provider's usage object is read again as well.
    Reading,
}

/// A receipt's lines as they are to stand.
#[derive(Debug)]
struct Second {
    valuation: Valuation,
    /// Of lines that were read otherwise.
    reading: Option<UsageState>,
}

/// A second valuation, as it is to be recorded.
#[derive(Clone, Debug)]
pub struct Reprice {
    /// The prices to value by.
    pub book: Arc<Book>,
    /// What to do over.
    pub depth: Depth,
    /// When that is.
    pub at: Timestamp,
    /// Why, in the user's words.
    pub note: Box<str>,
}

impl Sum {
    fn add(&mut self, cost: Option<Money>, state: CostState, lines: &[Line]) {
        match cost {
            Some(cost) => self.add_cost(cost),
            None => self.unpriced += u64::from(state != CostState::Free),
        }
        let tokens = lines.iter().filter(|line| line.unit == Unit::Token);
        self.tokens = self.tokens.plus(tokens.map(|line| line.count).sum());
    }

    fn merge(&mut self, other: Self) {
        self.add_cost(other.cost);
        self.unpriced += other.unpriced;
        self.tokens = self.tokens.plus(other.tokens);
    }

    /// 2^127 attos are 1.7e20 units of money; a sum past that is held there.
    fn add_cost(&mut self, cost: Money) {
        self.cost = Money::from_attos(self.cost.attos().saturating_add(cost.attos()));
    }
}

impl Change {
    fn merge(&mut self, other: Self) {
        self.receipts += other.receipts;
        self.reread += other.reread;
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

    /// Counts a receipt; how it is to stand, if that is otherwise than now.
    fn see(&mut self, book: &Book, depth: Depth, receipt: &Receipt) -> Option<Second> {
        let now = Standing::of(receipt);
        let then = match second_look(book, depth, receipt, &now) {
            Ok(then) => then,
            Err(why) => {
                *self.passed_over.entry(why).or_default() += 1;
                return None;
            }
        };
        if then.reading.is_none() && is_same(&now, &then.valuation) {
            self.unchanged += 1;
            return None;
        }
        let model = receipt.model.clone().or_else(|| receipt.model_requested.clone());
        let key = (receipt.provider.clone(), model, receipt.currency);
        let change = self.changes.entry(key).or_default();
        let Valuation { cost, state, lines, .. } = &then.valuation;
        change.receipts += 1;
        change.reread += u64::from(then.reading.is_some());
        change.before.add(now.cost, now.cost_state, now.lines);
        change.after.add(*cost, *state, lines);
        Some(then)
    }
}

fn second_look(
    book: &Book,
    depth: Depth,
    receipt: &Receipt,
    now: &Standing<'_>,
) -> Result<Second, PassedOver> {
    let read_as_before = || {
        let valuation = price::again(book, receipt, now.lines, now.usage_state)?;
        Ok(Second { valuation, reading: None })
    };
    match depth {
        Depth::Valuation => read_as_before(),
        Depth::Reading => {
            let raw = now.usage_raw.ok_or(PassedOver::UsageNotKept)?;
            let reading = reread(receipt, raw, now.lines, now.usage_state);
            let reading = reading.ok_or(PassedOver::UsageNotKept)?;
            if reading.says_the_same(now.lines, now.usage_state) {
                return read_as_before();
            }
            let valuation = price::anew(book, receipt, &reading)?;
            Ok(Second { valuation, reading: Some(reading.usage_state) })
        }
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
    /// What a second look at the receipts of a filter would change by this book.
    pub fn repricing(
        &self,
        filter: &Filter,
        book: &Book,
        depth: Depth,
    ) -> Result<Repricing, StoreError> {
        let mut found = Repricing::default();
        self.each(filter, |receipt| {
            found.see(book, depth, &receipt);
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
            if found.see(&reprice.book, reprice.depth, &receipt).is_some() {
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
        if let Some(second) = done.see(&reprice.book, reprice.depth, &receipt) {
            let settlement = worded(reprice, second);
            settlement::append(books, receipt, &settlement, &mut cells)?;
        }
    }
    cells.write(books)?;
    Ok(done)
}

fn worded(reprice: &Reprice, Second { valuation, reading }: Second) -> Settlement {
    let reason = if reading.is_some() { Settlement::REREAD } else { Settlement::REPRICE };
    Settlement {
        at: reprice.at,
        reason: reason.into(),
        by: None,
        status: None,
        usage_raw: None,
        usage_state: reading,
        lines: valuation.lines,
        cost: valuation.cost,
        cost_state: valuation.state,
        subtotal: valuation.subtotal,
        book_hash: Some(reprice.book.hash().into()),
        note: Some(reprice.note.clone()),
    }
}
