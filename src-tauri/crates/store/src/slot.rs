//! The layout of one slot of the in-flight register: a draft and, beside it, the finished
//! receipt, so that a torn second write still leaves the first.
//!
//! ```text
//!    0  draft     magic 4 | state 1 | zero 3 | generation 8 | length 4 | crc 4 | receipt
//! 1024  finished  magic 4 | state 1 | zero 3 | generation 8 | length 4 | crc 4 | receipt
//! ```
//! The generation ties the two together: a finished part of an older use is no part of this
//! one. Whatever does not check out was torn or is garbage, and is skipped.

use meter::Receipt;

use crate::pack::Unpack;
use crate::record::{put_receipt_within, take_receipt};

/// Bytes of a slot.
pub(crate) const SLOT: usize = 4096;
/// Where the finished receipt begins.
pub(crate) const FINISHED_AT: usize = 1024;
/// Where the byte is that says whether the slot is in use.
pub(crate) const STATE_AT: usize = 4;
/// The state of a slot that holds nothing.
pub(crate) const FREE: u8 = 0;

const MAGIC: [u8; 4] = *b"TGS1";
const IN_USE: u8 = 1;
const HEADER: usize = 24;

/// The bytes to write at the slot's begin when a request begins.
pub(crate) fn draft(generation: u64, receipt: &Receipt) -> Vec<u8> {
    part(generation, receipt, FINISHED_AT - HEADER)
}

/// The bytes to write at [`FINISHED_AT`] when it ends.
pub(crate) fn finished(generation: u64, receipt: &Receipt) -> Vec<u8> {
    part(generation, receipt, SLOT - FINISHED_AT - HEADER)
}

fn part(generation: u64, receipt: &Receipt, most: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    bytes.extend_from_slice(&[0; HEADER]);
    put_receipt_within(&mut bytes, receipt, most);
    let len = (bytes.len() - HEADER) as u32;
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[STATE_AT] = IN_USE;
    bytes[8..16].copy_from_slice(&generation.to_be_bytes());
    bytes[16..20].copy_from_slice(&len.to_be_bytes());
    let crc = checksum(&bytes[8..20], &bytes[HEADER..]);
    bytes[20..24].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}

/// What a slot turned out to hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Free,
    /// A receipt: the finished one, or the draft of a request whose end nobody saw.
    Receipt { receipt: Box<Receipt>, generation: u64 },
    /// Bytes that are not a receipt.
    Torn,
}

/// Reads a slot of [`SLOT`] bytes.
pub(crate) fn read(slot: &[u8]) -> Found {
    let (draft, finished) = slot.split_at(FINISHED_AT.min(slot.len()));
    if draft.len() < HEADER || draft[STATE_AT] == FREE {
        return Found::Free;
    }
    let draft = read_part(draft);
    let ended = read_part(finished);
    let receipt = match (draft, ended) {
        (Some((draft, _)), Some((ended, receipt))) if ended == draft => Some((ended, receipt)),
        // The draft was torn, yet its end came: an end is never older than a torn draft,
        // unless it is of a former use, and then its receipt is in the ledger already.
        (None, Some(ended)) => Some(ended),
        (Some(draft), _) => Some(draft),
        (None, None) => None,
    };
    match receipt {
        Some((generation, receipt)) => Found::Receipt { receipt, generation },
        None => Found::Torn,
    }
}

fn read_part(part: &[u8]) -> Option<(u64, Box<Receipt>)> {
    let header = part.get(..HEADER)?;
    if header[..4] != MAGIC || header[STATE_AT] != IN_USE {
        return None;
    }
    let generation = u64::from_be_bytes(header[8..16].try_into().ok()?);
    let len = u32::from_be_bytes(header[16..20].try_into().ok()?);
    let body = part[HEADER..].get(..usize::try_from(len).ok()?)?;
    if checksum(&header[8..20], body).to_be_bytes() != header[20..24] {
        return None;
    }
    let receipt = take_receipt(&mut Unpack::new(body)).ok()?;
    Some((generation, Box::new(receipt)))
}
