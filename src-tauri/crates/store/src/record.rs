//! A receipt as bytes that need no ledger to be read: what slots and the spill file hold.

use meter::receipt::Receipt;
use meter::{ReceiptId, Timestamp};

use crate::codes::Coded;
use crate::detail::{put_detail, take_detail};
use crate::lines::{put_settlement, take_id, take_settlement};
use crate::pack::{Plainly, Presence, Unpack, UnpackError, put, put_money, put_text};

/// Writes a whole receipt.
pub(crate) fn put_receipt(out: &mut Vec<u8>, receipt: &Receipt) {
    let r = receipt;
    put(out, r.id.as_u128());
    Presence::put(
        out,
        [
            r.pass.is_some(),
            r.key.is_some(),
            r.client.is_some(),
            lane_model(r).is_some(),
            r.http_status.is_some(),
            r.cost.is_some(),
            r.stream,
        ],
    );
    out.push(r.kind.code());
    for text in [&*r.provider, &*r.workspace, r.currency.as_str()] {
        put_text(out, text);
    }
    let texts = [r.pass.as_deref(), r.key.as_deref(), r.client.as_deref(), lane_model(r)];
    for text in texts.into_iter().flatten() {
        put_text(out, text);
    }
    if let Some(code) = r.http_status {
        put(out, code);
    }
    if let Some(cost) = r.cost {
        put_money(out, cost);
    }
    let Ok(()) = put_detail(out, r, &mut Plainly);
    put(out, r.settlements.len() as u64);
    for settlement in &r.settlements {
        let Ok(()) = put_settlement(out, settlement, &mut Plainly);
    }
    // Last, and only if there is one: earlier receipts have none.
    if let Some(reserved) = r.reserved {
        put_money(out, reserved);
    }
}

fn lane_model(receipt: &Receipt) -> Option<&str> {
    receipt.model.as_deref().or(receipt.model_requested.as_deref())
}

/// Reads what [`put_receipt`] wrote.
pub(crate) fn take_receipt(input: &mut Unpack<'_>) -> Result<Receipt, UnpackError> {
    let mut receipt = blank(take_id(input)?);
    let r = &mut receipt;
    let mut has = Presence::take(input)?;
    r.kind = Coded::from_code(input.byte()?)?;
    r.provider = input.text()?;
    r.workspace = input.text()?;
    r.currency = input.text()?.parse().map_err(|_| UnpackError::Damaged)?;
    r.pass = has.read(|| input.text())?;
    r.key = has.read(|| input.text())?;
    r.client = has.read(|| input.text())?;
    r.model = has.read(|| input.text())?;
    r.http_status = has.read(|| input.take())?;
    r.cost = has.read(|| input.money())?;
    r.stream = has.next();
    take_detail(r, input, &Plainly)?;
    for _ in 0..input.take::<usize>()? {
        r.settlements.push(take_settlement(input, &Plainly)?);
    }
    r.reserved = (!input.is_empty()).then(|| input.money()).transpose()?;
    Ok(receipt)
}

/// A receipt to read the rest into.
pub(crate) fn blank(id: ReceiptId) -> Receipt {
    Receipt::begun(id, Timestamp::default(), "", "")
}

/// Words on a receipt that did not fit its slot and had to be recovered from there.
const TRIMMED: &str = "recovered after a crash; what did not fit the in-flight register is missing";

/// The receipt's bytes, at most this many. What a crash may cost when it is larger than any
/// usual one: the raw usage, then tags, attempts, the provider's sentence, the lines' words.
pub(crate) fn put_receipt_within(out: &mut Vec<u8>, receipt: &Receipt, most: usize) {
    let start = out.len();
    put_receipt(out, receipt);
    if out.len() - start <= most {
        return;
    }
    let mut less = receipt.clone();
    less.note = Some(TRIMMED.into());
    for trim in TRIMS {
        trim(&mut less);
        out.truncate(start);
        put_receipt(out, &less);
        if out.len() - start <= most {
            return;
        }
    }
    out.truncate(start);
    put_receipt(out, &bare(receipt));
}

const TRIMS: [fn(&mut Receipt); 6] = [
    |r| r.usage_raw = None,
    |r| r.settlements.clear(),
    |r| r.error_message = r.error_message.take().map(|text| cut(&text, 120)),
    |r| r.attempts.iter_mut().for_each(|attempt| attempt.chosen = None),
    |r| {
        r.tags.clear();
        r.attempts.truncate(1);
    },
    |r| {
        let long = |text: &Option<Box<str>>| text.as_ref().is_some_and(|t| t.len() > 120);
        for text in [&mut r.response_id, &mut r.upstream_request_id, &mut r.trace_id] {
            if long(text) {
                *text = None;
            }
        }
        for text in [&mut r.model, &mut r.model_requested, &mut r.client, &mut r.route] {
            *text = text.take().map(|t| cut(&t, 120));
        }
    },
];

/// Nothing but who, when, how it ended and what it came to.
fn bare(receipt: &Receipt) -> Receipt {
    let upstream = cut(&receipt.upstream, 120);
    let mut bare =
        Receipt::begun(receipt.id, receipt.started_at, &cut(&receipt.provider, 60), &upstream);
    bare.workspace = cut(&receipt.workspace, 60);
    bare.model = receipt.model.as_deref().map(|text| cut(text, 60));
    bare.model_requested = receipt.model_requested.as_deref().map(|text| cut(text, 60));
    bare.ended_at = receipt.ended_at;
    bare.latency_ms = receipt.latency_ms;
    (bare.kind, bare.status, bare.billing) = (receipt.kind, receipt.status, receipt.billing);
    bare.http_status = receipt.http_status;
    bare.stream = receipt.stream;
    (bare.cost, bare.currency) = (receipt.cost, receipt.currency);
    bare.cost_state = receipt.cost_state;
    bare.usage_state = receipt.usage_state;
    bare.note = Some(TRIMMED.into());
    bare.reserved = receipt.reserved;
    bare
}

fn cut(text: &str, most: usize) -> Box<str> {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text[..end.unwrap_or(0)].into()
}

#[cfg(test)]
mod tests {
    use meter::receipt::{Line, RawUsage};
    use meter::usage::{Basis, Bound, Count, Factor, Unit};
    use proptest::prelude::*;

    use super::*;

    fn receipt() -> Receipt {
        let at = Timestamp::from_millis(1_763_692_800_000);
        let mut r = Receipt::begun(ReceiptId::new(at, 1, 2), at, "p", "https://u");
        r.usage_raw = RawUsage::new(r#"{"a":1}"#);
        r.response_id = Some("resp-1".into());
        r.reserved = Some(meter::Money::ONE);
        r.lines = vec![Line {
            factor: Factor::InputText,
            count: Count::whole(3),
            unit: Unit::Token,
            rate: Some("1 / 1M token".into()),
            amount: Some(meter::Money::from_attos(3_000_000_000_000)),
            tier: None,
            price_version: None,
            basis: Basis::Derived,
            bound: Bound::Exact,
            model: None,
            attributes: [].into(),
        }];
        r
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_refused_or_read_but_never_panic(
            at in any::<prop::sample::Index>(), byte: u8, noise: Vec<u8>,
        ) {
            let mut bytes = Vec::new();
            put_receipt(&mut bytes, &receipt());
            prop_assert_eq!(take_receipt(&mut Unpack::new(&bytes)).unwrap(), receipt());
            let at = at.index(bytes.len());
            let _ = take_receipt(&mut Unpack::new(&bytes[..at]));
            bytes[at] = byte;
            let _ = take_receipt(&mut Unpack::new(&bytes));
            let _ = take_receipt(&mut Unpack::new(&noise));
        }

        #[test]
        fn whatever_is_on_a_receipt_it_fits_where_it_must(len in 0..30_000_usize, most in 700..3000_usize) {
            let mut large = receipt();
            let text: Box<str> = "é".repeat(len).into();
            (large.error_message, large.client) = (Some(text.clone()), Some(text.clone()));
            (large.model, large.pass, large.route) = (Some(text.clone()), Some(text.clone()), Some(text));
            let mut bytes = vec![7];
            put_receipt_within(&mut bytes, &large, most);
            prop_assert!(bytes.len() <= most + 1);
            let back = take_receipt(&mut Unpack::new(&bytes[1..])).unwrap();
            prop_assert_eq!((back.id, back.status), (large.id, large.status));
            prop_assert_eq!(back.reserved, large.reserved);
        }
    }
}
