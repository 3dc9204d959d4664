//! What a receipt says beyond its lane and its cost, as one compact record. A typical chat
//! takes about 150 bytes.
//!
//! The first byte is the layout's version; a layout, once released, is read for ever.

use meter::receipt::{Attempt, RawUsage, Receipt, ReportedCost};
use meter::{ReceiptId, Timestamp};

use crate::codes::Coded;
use crate::lines::{put_lines, take_lines};
use crate::pack::{
    Presence, Spell, Unpack, UnpackError, Unspell, put, put_id, put_money, put_signed, put_text,
};
use crate::usage_shape;

const LAYOUT: u8 = 1;

/// Writes everything but what the lane holds, the id's ordinal, cost and settlements.
pub(crate) fn put_detail<S: Spell>(
    out: &mut Vec<u8>,
    receipt: &Receipt,
    spell: &mut S,
) -> Result<(), S::Error> {
    out.push(LAYOUT);
    out.extend_from_slice(&receipt.id.random().to_be_bytes());
    put_presence(out, receipt);
    out.push(receipt.status.code());
    out.push(receipt.billing.code());
    out.push(receipt.usage_state.code());
    out.push(receipt.cost_state.code());
    spell.spell(out, &receipt.upstream)?;
    put_times(out, receipt);
    put(out, receipt.request_bytes);
    put(out, receipt.response_bytes);
    put_optional(out, receipt, spell)?;
    put_lines(out, &receipt.lines, spell)?;
    put_sets(out, receipt, spell)
}

fn put_presence(out: &mut Vec<u8>, r: &Receipt) {
    Presence::put(
        out,
        [
            // Ordered so that what a plain streamed chat has comes first: fewer bytes.
            r.model.is_some(),
            r.model_requested.is_some(),
            r.model.is_some() && r.model == r.model_requested,
            r.format.is_some(),
            r.technology.is_some(),
            r.ttft_ms.is_some(),
            r.overhead_us.is_some(),
            r.response_id.is_some(),
            r.upstream_request_id.is_some(),
            r.finish_reason.is_some(),
            r.service_tier.is_some(),
            r.book_hash.is_some(),
            r.usage_raw.is_some(),
            r.assisted,
            r.client_left_early,
            r.error_type.is_some(),
            r.error_message.is_some(),
            r.trace_id.is_some(),
            r.region.is_some(),
            r.route.is_some(),
            r.subtotal.is_some(),
            r.reported_cost.is_some(),
            r.note.is_some(),
            !r.tags.is_empty(),
            !r.anomalies.is_empty(),
            r.profile.is_some(),
        ],
    );
}

/// Instants as what they differ by from what is known already; mostly one byte each.
fn put_times(out: &mut Vec<u8>, r: &Receipt) {
    let started = r.started_at.millis();
    put_signed(out, i128::from(started) - i128::from(r.id.minted_at().millis()));
    put(out, r.latency_ms);
    let ended = i128::from(started) + i128::from(r.latency_ms);
    put_signed(out, i128::from(r.ended_at.millis()) - ended);
}

fn put_optional<S: Spell>(out: &mut Vec<u8>, r: &Receipt, spell: &mut S) -> Result<(), S::Error> {
    if let Some(requested) = &r.model_requested
        && r.model.as_ref().is_some_and(|served| served != requested)
    {
        spell.spell(out, requested)?;
    }
    if let Some(format) = r.format {
        spell.spell(out, format.as_str())?;
    }
    if let Some(technology) = r.technology {
        spell.spell(out, technology.as_str())?;
    }
    for number in [r.ttft_ms, r.overhead_us].into_iter().flatten() {
        put(out, number);
    }
    for id in [&r.response_id, &r.upstream_request_id].into_iter().flatten() {
        put_id(out, id);
    }
    for word in [&r.finish_reason, &r.service_tier, &r.book_hash].into_iter().flatten() {
        spell.spell(out, word)?;
    }
    if let Some(raw) = &r.usage_raw {
        put_usage(out, raw, spell)?;
    }
    if let Some(word) = &r.error_type {
        spell.spell(out, word)?;
    }
    if let Some(sentence) = &r.error_message {
        put_text(out, sentence);
    }
    if let Some(id) = &r.trace_id {
        put_id(out, id);
    }
    for word in [&r.region, &r.route].into_iter().flatten() {
        spell.spell(out, word)?;
    }
    if let Some(subtotal) = r.subtotal {
        put_money(out, subtotal);
    }
    if let Some(reported) = &r.reported_cost {
        put_money(out, reported.amount);
        spell.spell(out, reported.currency.as_str())?;
        spell.spell(out, &reported.source)?;
    }
    match &r.note {
        Some(note) => spell.spell(out, note),
        None => Ok(()),
    }
}

pub(crate) fn put_usage<S: Spell>(
    out: &mut Vec<u8>,
    raw: &RawUsage,
    spell: &mut S,
) -> Result<(), S::Error> {
    match S::SHARES.then(|| usage_shape::split(raw.as_str())).flatten() {
        Some((shape, numbers)) => {
            out.push(1);
            spell.spell(out, &shape)?;
            out.extend_from_slice(&numbers);
        }
        None => {
            out.push(0);
            put_text(out, raw.as_str());
        }
    }
    Ok(())
}

fn put_sets<S: Spell>(out: &mut Vec<u8>, r: &Receipt, spell: &mut S) -> Result<(), S::Error> {
    put(out, r.capabilities.len() as u64);
    for capability in &r.capabilities {
        spell.spell(out, capability.as_str())?;
    }
    put(out, r.attempts.len() as u64);
    for attempt in &r.attempts {
        put_attempt(out, attempt, r, spell)?;
    }
    if !r.tags.is_empty() {
        put(out, r.tags.len() as u64);
    }
    for (name, value) in &r.tags {
        spell.spell(out, name)?;
        spell.spell(out, value)?;
    }
    if !r.anomalies.is_empty() {
        put(out, r.anomalies.len() as u64);
    }
    for anomaly in &r.anomalies {
        spell.spell(out, anomaly.as_str())?;
    }
    match r.profile {
        Some(profile) => spell.spell(out, profile.as_str()),
        None => Ok(()),
    }
}

/// Most calls have one attempt that repeats what the receipt says; that is not written twice.
fn put_attempt<S: Spell>(
    out: &mut Vec<u8>,
    attempt: &Attempt,
    r: &Receipt,
    spell: &mut S,
) -> Result<(), S::Error> {
    let Attempt { provider, model, http_status, started_ms, duration_ms, ended, cost, chosen } =
        attempt;
    let same = [
        *provider == r.provider,
        *model == r.model_requested,
        *http_status == r.http_status,
        model.is_some(),
        http_status.is_some(),
        cost.is_some(),
        chosen.is_some(),
    ];
    Presence::put(out, same);
    put(out, *started_ms);
    put(out, *duration_ms);
    out.push(ended.code());
    if !same[0] {
        spell.spell(out, provider)?;
    }
    if let (false, Some(model)) = (same[1], model) {
        spell.spell(out, model)?;
    }
    if let (false, Some(status)) = (same[2], http_status) {
        put(out, *status);
    }
    if let Some(cost) = cost {
        put_money(out, *cost);
    }
    if let Some(chosen) = chosen {
        put_text(out, chosen);
    }
    Ok(())
}

/// Reads what [`put_detail`] wrote into a receipt that already has ordinal and lane. The
/// lane's model stands in `receipt.model`.
pub(crate) fn take_detail(
    receipt: &mut Receipt,
    input: &mut Unpack<'_>,
    names: &impl Unspell,
) -> Result<(), UnpackError> {
    if input.byte()? != LAYOUT {
        return Err(UnpackError::Damaged);
    }
    receipt.id = ReceiptId::from_parts(receipt.id.ordinal(), input.fixed()?);
    let mut has = Presence::take(input)?;
    receipt.status = Coded::from_code(input.byte()?)?;
    receipt.billing = Coded::from_code(input.byte()?)?;
    receipt.usage_state = Coded::from_code(input.byte()?)?;
    receipt.cost_state = Coded::from_code(input.byte()?)?;
    receipt.upstream = names.unspell(input)?;
    take_times(receipt, input)?;
    receipt.request_bytes = input.take()?;
    receipt.response_bytes = input.take()?;
    take_models(receipt, input, names, &mut has)?;
    take_optional(receipt, input, names, &mut has)?;
    receipt.lines = take_lines(input, names)?;
    take_sets(receipt, input, names, &mut has)
}

fn take_times(r: &mut Receipt, input: &mut Unpack<'_>) -> Result<(), UnpackError> {
    let sum = |a: i64, b: i64| a.checked_add(b).ok_or(UnpackError::Damaged);
    let started = sum(r.id.minted_at().millis(), input.signed_millis()?)?;
    r.started_at = Timestamp::from_millis(started);
    r.latency_ms = input.take()?;
    let latency = i64::try_from(r.latency_ms).map_err(|_| UnpackError::Damaged)?;
    let ended = sum(sum(started, latency)?, input.signed_millis()?)?;
    r.ended_at = Timestamp::from_millis(ended);
    Ok(())
}

fn take_models(
    r: &mut Receipt,
    input: &mut Unpack<'_>,
    names: &impl Unspell,
    has: &mut Presence,
) -> Result<(), UnpackError> {
    let [served, requested, same] = std::array::from_fn(|_| has.next());
    r.model_requested = match (served, requested, same) {
        (_, false, _) => None,
        (true, true, false) => Some(names.unspell(input)?),
        (false, true, _) | (true, true, true) => r.model.clone(),
    };
    if !served {
        r.model = None;
    }
    Ok(())
}

fn take_optional(
    r: &mut Receipt,
    input: &mut Unpack<'_>,
    names: &impl Unspell,
    has: &mut Presence,
) -> Result<(), UnpackError> {
    r.format = has.read(|| word(input, names))?;
    r.technology = has.read(|| word(input, names))?;
    r.ttft_ms = has.read(|| input.take())?;
    r.overhead_us = has.read(|| input.take())?;
    r.response_id = has.read(|| input.id())?;
    r.upstream_request_id = has.read(|| input.id())?;
    r.finish_reason = has.read(|| names.unspell(input))?;
    r.service_tier = has.read(|| names.unspell(input))?;
    r.book_hash = has.read(|| names.unspell(input))?;
    r.usage_raw = has.read(|| take_usage(input, names))?;
    r.assisted = has.next();
    r.client_left_early = has.next();
    r.error_type = has.read(|| names.unspell(input))?;
    r.error_message = has.read(|| input.text())?;
    r.trace_id = has.read(|| input.id())?;
    r.region = has.read(|| names.unspell(input))?;
    r.route = has.read(|| names.unspell(input))?;
    r.subtotal = has.read(|| input.money())?;
    r.reported_cost = has.read(|| {
        let amount = input.money()?;
        Ok(ReportedCost { amount, currency: word(input, names)?, source: names.unspell(input)? })
    })?;
    r.note = has.read(|| names.unspell(input))?;
    Ok(())
}

pub(crate) fn take_usage(
    input: &mut Unpack<'_>,
    names: &impl Unspell,
) -> Result<RawUsage, UnpackError> {
    let json = match input.byte()? {
        0 => String::from(input.text()?),
        _ => usage_shape::join(&names.unspell(input)?, input)?,
    };
    RawUsage::new(&json).ok_or(UnpackError::Damaged)
}

fn take_sets(
    r: &mut Receipt,
    input: &mut Unpack<'_>,
    names: &impl Unspell,
    has: &mut Presence,
) -> Result<(), UnpackError> {
    for _ in 0..input.take::<usize>()? {
        r.capabilities.push(word(input, names)?);
    }
    for _ in 0..input.take::<usize>()? {
        let attempt = take_attempt(r, input, names)?;
        r.attempts.push(attempt);
    }
    let tags = if has.next() { input.take::<usize>()? } else { 0 };
    for _ in 0..tags {
        let name = names.unspell(input)?;
        r.tags.insert(name, names.unspell(input)?);
    }
    let anomalies = if has.next() { input.take::<usize>()? } else { 0 };
    for _ in 0..anomalies {
        r.anomalies.push(word(input, names)?);
    }
    r.profile = has.read(|| word(input, names))?;
    Ok(())
}

fn take_attempt(
    r: &Receipt,
    input: &mut Unpack<'_>,
    names: &impl Unspell,
) -> Result<Attempt, UnpackError> {
    let mut has = Presence::take(input)?;
    let [same_provider, same_model, same_status, model, status] =
        std::array::from_fn(|_| has.next());
    Ok(Attempt {
        started_ms: input.take()?,
        duration_ms: input.take()?,
        ended: Coded::from_code(input.byte()?)?,
        provider: if same_provider { r.provider.clone() } else { names.unspell(input)? },
        model: match (same_model, model) {
            (true, _) => r.model_requested.clone(),
            (false, true) => Some(names.unspell(input)?),
            (false, false) => None,
        },
        http_status: match (same_status, status) {
            (true, _) => r.http_status,
            (false, true) => Some(input.take()?),
            (false, false) => None,
        },
        cost: has.read(|| input.money())?,
        chosen: has.read(|| input.text())?,
    })
}

/// A member of a closed set, written as its word.
fn word<T: std::str::FromStr>(
    input: &mut Unpack<'_>,
    names: &impl Unspell,
) -> Result<T, UnpackError> {
    names.unspell(input)?.parse().map_err(|_| UnpackError::Damaged)
}
