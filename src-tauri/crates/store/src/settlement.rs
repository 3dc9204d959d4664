//! Settlements: later facts about a receipt, appended to it. A background job's outcome is
//! found by provider and response id and counted once.

use meter::ReceiptId;
use meter::receipt::{Receipt, Settlement};
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::books::Books;
use crate::lines::put_settlement;
use crate::pack::UnpackError;
use crate::receipt_row::{self, Lanes};
use crate::rollup::Cells;
use crate::tally::{Sign, Tally};

pub(crate) const AWAITED: &str = "SELECT ordinal FROM awaited WHERE job = ?1";
pub(crate) const ARRIVED: &str = "DELETE FROM awaited WHERE job = ?1 AND ordinal = ?2";
const APPEND: &str = "INSERT INTO settlement (ordinal, seq, fact) VALUES (?1, ?2, ?3)";
pub(crate) const MOVE: &str = "UPDATE receipt SET lane = ?2 WHERE ordinal = ?1";

/// Whether news of a job found the receipt it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Appended to this receipt.
    Receipt(ReceiptId),
    /// No receipt waits for it: never seen, or settled before.
    Nothing,
}

/// A number for a job that few others share.
pub(crate) fn job(provider: &str, response_id: &str) -> i64 {
    let digest = Sha256::new().chain_update(provider).chain_update([0]).chain_update(response_id);
    let mut first = [0; 8];
    first.copy_from_slice(&digest.finalize()[..8]);
    i64::from_be_bytes(first)
}

/// Appends the outcome of a background job to the receipt of the call that began it.
pub(crate) fn settle(
    books: &mut Books,
    provider: &str,
    response_id: &str,
    settlement: &Settlement,
) -> Result<Settled, UnpackError> {
    let job = job(provider, response_id);
    let waiting: Vec<i64> = {
        let mut find = books.db.prepare_cached(AWAITED)?;
        find.query_map([job], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for ordinal in waiting {
        let Some(receipt) = receipt(books, ordinal)? else { continue };
        let same =
            *receipt.provider == *provider && receipt.response_id.as_deref() == Some(response_id);
        if same {
            let mut cells = Cells::default();
            append(books, receipt, settlement, &mut cells)?;
            cells.write(books)?;
            books.db.prepare_cached(ARRIVED)?.execute([job, ordinal])?;
            return Ok(Settled::Receipt(id_of(books, ordinal)?));
        }
    }
    Ok(Settled::Nothing)
}

fn id_of(books: &Books, ordinal: i64) -> Result<ReceiptId, UnpackError> {
    receipt_row::id(&books.db, ordinal)?.ok_or(UnpackError::Damaged)
}

/// Appends a fact and notes in `cells` the difference it makes to the rollups.
pub(crate) fn append(
    books: &mut Books,
    mut receipt: Receipt,
    settlement: &Settlement,
    cells: &mut Cells,
) -> Result<(), UnpackError> {
    let ordinal = receipt.id.ordinal();
    let (lane, tally) = (books.lane(&receipt)?, Tally::of(&receipt));
    cells.subtract(ordinal, lane, &tally);
    cells.tags.count(Sign::Minus, &receipt, (lane, &tally), |text| books.name(text))?;
    let mut fact = Vec::new();
    put_settlement(&mut fact, settlement, &mut books.interning())?;
    let seq = receipt.settlements.len() as i64;
    books.db.prepare_cached(APPEND)?.execute(params![ordinal, seq, fact])?;
    receipt.settlements.push(settlement.clone());
    let (lane, tally) = (books.lane(&receipt)?, Tally::of(&receipt));
    books.db.prepare_cached(MOVE)?.execute([ordinal, lane])?;
    cells.add(ordinal, lane, &tally);
    cells.tags.count(Sign::Plus, &receipt, (lane, &tally), |text| books.name(text))?;
    Ok(())
}

/// Reads a receipt on the writing side.
pub(crate) fn receipt(books: &Books, ordinal: i64) -> Result<Option<Receipt>, UnpackError> {
    let mut lanes = Lanes::default();
    lanes.refresh(&books.db)?;
    receipt_of(books, &lanes, ordinal)
}

/// The same with lanes read before.
pub(crate) fn receipt_of(
    books: &Books,
    lanes: &Lanes,
    ordinal: i64,
) -> Result<Option<Receipt>, UnpackError> {
    let mut find = books.db.prepare_cached(receipt_row::ONE)?;
    let found = find
        .query_row([ordinal], |row| Ok(receipt_row::read(row, &books.db, &books.glossary, lanes)));
    found.optional()?.transpose()
}
