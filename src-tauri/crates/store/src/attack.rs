//! What must hold for bytes in the ledger's files, whatever became of them on the disk. The
//! fuzzer (`tests/fuzz`, feature `attack`) holds any bytes against it.

use meter::receipt::{Line, RawUsage, Receipt, Settlement, Status};
use meter::usage::{Basis, Bound, Count, Factor, Unit};
use meter::{Money, ReceiptId, Timestamp};

use crate::lines::{put_settlement, take_settlement};
use crate::pack::{Plainly, Unpack, UnpackError, put, put_money, put_signed};
use crate::record::{put_receipt, take_receipt};
use crate::seal::SealedCells;
use crate::tally::{Reads, Sign, Tally};
use crate::{slot, spill, usage_shape};

/// The ways bytes are read; the first byte of an input chooses.
const WAYS: [fn(&[u8]); 6] = [receipt, settlement, in_a_slot, spilled, sums, usage];

/// Takes any bytes as each record that is on the disk; panics if reading them does, or if what
/// was read could not be written and read again.
pub fn check(input: &[u8]) {
    if let Some((way, bytes)) = input.split_first() {
        WAYS[usize::from(*way) % WAYS.len()](bytes);
    }
}

fn receipt(bytes: &[u8]) {
    let Ok(read) = take_receipt(&mut Unpack::new(bytes)) else { return };
    let mut again = Vec::new();
    put_receipt(&mut again, &read);
    let again = take_receipt(&mut Unpack::new(&again));
    assert_eq!(again.ok(), Some(read), "a receipt");
}

fn settlement(bytes: &[u8]) {
    let Ok(read) = take_settlement(&mut Unpack::new(bytes), &Plainly) else { return };
    let mut again = Vec::new();
    let Ok(()) = put_settlement(&mut again, &read, &mut Plainly);
    let again = take_settlement(&mut Unpack::new(&again), &Plainly);
    assert_eq!(again.ok(), Some(read), "a settlement");
}

fn in_a_slot(bytes: &[u8]) {
    let mut whole = bytes.to_vec();
    whole.resize(slot::SLOT, 0);
    for bytes in [bytes, &whole] {
        if let slot::Found::Receipt { receipt, generation } = slot::read(bytes) {
            let draft = slot::draft(generation, &receipt);
            assert!(draft.len() <= slot::FINISHED_AT);
            assert!(slot::finished(generation, &receipt).len() <= slot::SLOT - slot::FINISHED_AT);
        }
    }
}

fn spilled(mut bytes: &[u8]) {
    while let Some((receipt, len)) = spill::read_entry(&mut bytes) {
        let mut again = Vec::new();
        spill::put_entry(&mut again, &receipt);
        assert!(len > 8);
        let again = spill::read_entry(&mut &*again).map(|(receipt, _)| receipt);
        assert_eq!(again, Some(receipt), "a spilled receipt");
    }
}

/// A sealed row: the cells of many lanes.
fn sums(bytes: &[u8]) {
    let mut cells = SealedCells::new(bytes);
    while let Ok(Some((_, cell))) = cells.next() {
        let tally = |cost, mut packed: Unpack<'_>| -> Result<Tally, UnpackError> {
            let mut tally = Tally::default();
            tally.add_packed(
                (Sign::Plus, Reads::All),
                (cell.requests, cost),
                &mut packed,
                &Plainly,
            )?;
            tally.tidy();
            Ok(tally)
        };
        let Ok(read) = tally(cell.cost, cell.sums) else { continue };
        let mut again = Vec::new();
        let Ok(()) = read.put(&mut again, &mut Plainly);
        assert_eq!(tally(cell.cost, Unpack::new(&again)).ok(), Some(read), "sums");
    }
}

/// A usage object as its shape, up to a zero, and the numbers in it.
fn usage(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (shape, numbers) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(shape) = std::str::from_utf8(shape) else { return };
    let _ = usage_shape::join(shape, &mut Unpack::new(numbers));
    if let Some((cut, numbers)) = usage_shape::split(shape) {
        let joined = usage_shape::join(&cut, &mut Unpack::new(&numbers));
        // What stands for numbers cannot stand in JSON.
        let is_text = shape.bytes().all(|byte| byte > 3);
        assert!(!is_text || joined.is_ok_and(|joined| joined == shape), "a usage object");
    }
}

/// Records to begin with, each with the byte before it that [`check`] reads it by.
pub fn seeds() -> Vec<Vec<u8>> {
    let full = full();
    let slots = [slot::draft(7, &full), slot::finished(7, &full)];
    let mut whole = slots[0].clone();
    whole.resize(slot::FINISHED_AT, 0);
    whole.extend_from_slice(&slots[1]);
    let mut tally = Vec::new();
    let Ok(()) = Tally::of(&full).put(&mut tally, &mut Plainly);
    let mut cell = Vec::new();
    put_signed(&mut cell, 1);
    put_money(&mut cell, Money::ONE);
    cell.extend_from_slice(&tally);
    let raw = full.usage_raw.as_ref().map(RawUsage::as_str).unwrap_or_default();
    let mut records = [(); 6].map(|()| Vec::new());
    put_receipt(&mut records[0], &full);
    let Ok(()) = put_settlement(&mut records[1], &full.settlements[0], &mut Plainly);
    records[2] = whole;
    spill::put_entry(&mut records[3], &full);
    spill::put_entry(&mut records[3], &Receipt { settlements: Vec::new(), ..full.clone() });
    // The first lane, so many bytes of it.
    put_signed(&mut records[4], 1);
    put(&mut records[4], cell.len() as u64);
    records[4].extend_from_slice(&cell);
    records[5] = raw.as_bytes().to_vec();
    (0..).zip(records).map(|(way, record)| [vec![way], record].concat()).collect()
}

/// A receipt that has nearly everything.
fn full() -> Receipt {
    let at = Timestamp::from_millis(1_763_692_800_000);
    let mut r = Receipt::begun(ReceiptId::new(at, 1, 2), at, "openai", "https://u.test");
    r.status = Status::Succeeded;
    r.usage_raw = RawUsage::new(r#"{"prompt_tokens":12,"cost":0.00125,"deep":{"a":[1,-2]}}"#);
    (r.response_id, r.model) = (Some("resp-1".into()), Some("big-4".into()));
    (r.ttft_ms, r.latency_ms, r.http_status) = (Some(210), 1_900, Some(200));
    (r.cost, r.reserved) = (Some(Money::from_attos(3_000_000_000_000)), Some(Money::ONE));
    r.lines = vec![Line {
        factor: Factor::InputText,
        count: Count::whole(12),
        unit: Unit::Token,
        rate: Some("1 / 1M token".into()),
        amount: Some(Money::from_attos(3_000_000_000_000)),
        tier: None,
        price_version: Some("2026-01-01".into()),
        basis: Basis::Reported,
        bound: Bound::Exact,
        model: None,
        attributes: [].into(),
    }];
    r.settlements = vec![Settlement {
        at,
        reason: "reprice".into(),
        by: Some(r.id),
        status: Some(Status::Error),
        usage_raw: r.usage_raw.clone(),
        usage_state: None,
        lines: r.lines.clone(),
        cost: r.cost,
        cost_state: r.cost_state,
        subtotal: None,
        book_hash: Some("b".into()),
        note: None,
    }];
    r
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_in_a_file_do_more_than_be_refused(
            seed in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8,
        ) {
            let seeds = seeds();
            let mut bytes = seeds[seed.index(seeds.len())].clone();
            check(&bytes);
            let at = at.index(bytes.len());
            check(&bytes[..at]);
            bytes[at] = byte;
            check(&bytes);
        }
    }
}
