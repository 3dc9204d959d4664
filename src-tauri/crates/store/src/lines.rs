//! Usage lines and settlements as compact bytes.

use std::collections::BTreeMap;

use meter::receipt::{Line, Settlement};
use meter::usage::{Basis, Bound, Count};
use meter::{ReceiptId, Timestamp};

use crate::codes::Coded;
use crate::detail::{put_usage, take_usage};
use crate::pack::{Presence, Spell, Unpack, UnpackError, Unspell, put, put_money, put_signed};

pub(crate) fn put_lines<S: Spell>(
    out: &mut Vec<u8>,
    lines: &[Line],
    spell: &mut S,
) -> Result<(), S::Error> {
    put(out, lines.len() as u64);
    lines.iter().try_for_each(|line| put_line(out, line, spell))
}

fn put_line<S: Spell>(out: &mut Vec<u8>, line: &Line, spell: &mut S) -> Result<(), S::Error> {
    let Line { factor, count, unit, rate, amount, tier, price_version, .. } = line;
    let Line { basis, bound, model, attributes, .. } = line;
    let usual = (*basis, *bound) == (Basis::Reported, Bound::Exact);
    let own_unit = *unit == factor.unit();
    Presence::put(
        out,
        [
            rate.is_some(),
            amount.is_some(),
            tier.is_some(),
            price_version.is_some(),
            model.is_some(),
            !usual,
            !own_unit,
            !attributes.is_empty(),
        ],
    );
    spell.spell(out, &factor.name())?;
    put_count(out, *count);
    if let Some(amount) = amount {
        put_money(out, *amount);
    }
    for text in [rate, tier, price_version, model].into_iter().flatten() {
        spell.spell(out, text)?;
    }
    if !usual {
        out.extend([basis.code(), bound.code()]);
    }
    if !own_unit {
        out.push(unit.code());
    }
    if !attributes.is_empty() {
        put(out, attributes.len() as u64);
    }
    for (name, value) in attributes {
        spell.spell(out, name)?;
        spell.spell(out, value)?;
    }
    Ok(())
}

/// Whole numbers, which most counts are, in fewer bytes than their millionths.
pub(crate) fn put_count(out: &mut Vec<u8>, count: Count) {
    match count.as_whole() {
        Some(whole) => put(out, u128::from(whole) << 1),
        None => put(out, u128::from(count.millionths()) << 1 | 1),
    }
}

pub(crate) fn take_count(input: &mut Unpack<'_>) -> Result<Count, UnpackError> {
    let value: u128 = input.take()?;
    let number = u64::try_from(value >> 1).map_err(|_| UnpackError::Damaged)?;
    Ok(if value & 1 == 0 { Count::whole(number) } else { Count::from_millionths(number) })
}

pub(crate) fn take_lines(
    input: &mut Unpack<'_>,
    names: &impl Unspell,
) -> Result<Vec<Line>, UnpackError> {
    let len: usize = input.take()?;
    let mut lines = Vec::with_capacity(len.min(64));
    for _ in 0..len {
        lines.push(take_line(input, names)?);
    }
    Ok(lines)
}

fn take_line(input: &mut Unpack<'_>, names: &impl Unspell) -> Result<Line, UnpackError> {
    let mut has = Presence::take(input)?;
    let [rate, amount, tier, version, model, unusual, other_unit, has_attributes] =
        std::array::from_fn(|_| has.next());
    let factor = names.factor(input)?;
    let count = take_count(input)?;
    let amount = amount.then(|| input.money()).transpose()?;
    let mut text = |there: bool| there.then(|| names.unspell(input)).transpose();
    let (rate, tier, price_version, model) =
        (text(rate)?, text(tier)?, text(version)?, text(model)?);
    let (basis, bound) = if unusual {
        (Basis::from_code(input.byte()?)?, Bound::from_code(input.byte()?)?)
    } else {
        (Basis::Reported, Bound::Exact)
    };
    let unit = if other_unit { Coded::from_code(input.byte()?)? } else { factor.unit() };
    let mut attributes = BTreeMap::new();
    for _ in 0..if has_attributes { input.take::<usize>()? } else { 0 } {
        let name = names.unspell(input)?;
        attributes.insert(name, names.unspell(input)?);
    }
    let line = Line {
        factor,
        count,
        unit,
        rate,
        amount,
        tier,
        price_version,
        basis,
        bound,
        model,
        attributes,
    };
    Ok(line)
}

pub(crate) fn put_settlement<S: Spell>(
    out: &mut Vec<u8>,
    settlement: &Settlement,
    spell: &mut S,
) -> Result<(), S::Error> {
    let Settlement { reason, by, status, usage_raw, usage_state, .. } = settlement;
    let Settlement { at, lines, cost, cost_state, subtotal, book_hash, note, .. } = settlement;
    put_signed(out, at.millis().into());
    out.push(cost_state.code());
    Presence::put(
        out,
        [
            by.is_some(),
            status.is_some(),
            cost.is_some(),
            subtotal.is_some(),
            book_hash.is_some(),
            note.is_some(),
            usage_raw.is_some(),
            usage_state.is_some(),
        ],
    );
    spell.spell(out, reason)?;
    put_lines(out, lines, spell)?;
    if let Some(by) = by {
        put(out, by.as_u128());
    }
    if let Some(status) = status {
        out.push(status.code());
    }
    for money in [cost, subtotal].into_iter().flatten() {
        put_money(out, *money);
    }
    for text in [book_hash, note].into_iter().flatten() {
        spell.spell(out, text)?;
    }
    if let Some(raw) = usage_raw {
        put_usage(out, raw, spell)?;
    }
    out.extend(usage_state.map(Coded::code));
    Ok(())
}

pub(crate) fn take_settlement(
    input: &mut Unpack<'_>,
    names: &impl Unspell,
) -> Result<Settlement, UnpackError> {
    let at = Timestamp::from_millis(input.signed_millis()?);
    let cost_state = Coded::from_code(input.byte()?)?;
    let mut has = Presence::take(input)?;
    let reason = names.unspell(input)?;
    let lines = take_lines(input, names)?;
    let by = has.read(|| take_id(input))?;
    let status = has.read(|| Coded::from_code(input.byte()?))?;
    let cost = has.read(|| input.money())?;
    let subtotal = has.read(|| input.money())?;
    let book_hash = has.read(|| names.unspell(input))?;
    let note = has.read(|| names.unspell(input))?;
    let usage_raw = has.read(|| take_usage(input, names))?;
    let usage_state = has.read(|| Coded::from_code(input.byte()?))?;
    Ok(Settlement {
        at,
        reason,
        by,
        status,
        usage_raw,
        usage_state,
        lines,
        cost,
        cost_state,
        subtotal,
        book_hash,
        note,
    })
}

/// A whole receipt id as one number.
pub(crate) fn take_id(input: &mut Unpack<'_>) -> Result<ReceiptId, UnpackError> {
    let number: u128 = input.take()?;
    let ordinal = ((number >> 80) as i64) << 12 | (number >> 64) as i64 & 0xfff;
    Ok(ReceiptId::from_parts(ordinal, number as u64))
}
