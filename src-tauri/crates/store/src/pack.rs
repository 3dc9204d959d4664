//! The compact bytes that details, settlements, rollup cells and slots are made of.
//! Knows numbers and texts, not receipts.

use meter::Money;
use meter::usage::Factor;

/// Where a text goes: into the ledger's name table, or into the bytes themselves.
pub(crate) trait Spell {
    /// What can go wrong while spelling.
    type Error;
    /// Whether a text that was written before costs next to nothing.
    const SHARES: bool;
    /// Writes a text that many records share.
    fn spell(&mut self, out: &mut Vec<u8>, text: &str) -> Result<(), Self::Error>;
}

/// The other direction of [`Spell`].
pub(crate) trait Unspell {
    /// Reads a text that [`Spell::spell`] wrote.
    fn unspell(&self, input: &mut Unpack<'_>) -> Result<Box<str>, UnpackError>;

    /// Reads a text that names a factor.
    fn factor(&self, input: &mut Unpack<'_>) -> Result<Factor, UnpackError> {
        self.unspell(input)?.parse().map_err(|_| UnpackError::Damaged)
    }
}

/// Spells texts out, for records that must be readable without a ledger.
pub(crate) struct Plainly;

impl Spell for Plainly {
    type Error = std::convert::Infallible;
    const SHARES: bool = false;

    fn spell(&mut self, out: &mut Vec<u8>, text: &str) -> Result<(), Self::Error> {
        put_text(out, text);
        Ok(())
    }
}

impl Unspell for Plainly {
    fn unspell(&self, input: &mut Unpack<'_>) -> Result<Box<str>, UnpackError> {
        input.text()
    }
}

/// Why bytes could not be read back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// They are not what was written.
    #[error("the record is damaged")]
    Damaged,
    /// The names they refer to could not be read.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Seven bits a byte, low bits first.
pub(crate) fn put(out: &mut Vec<u8>, value: impl Into<u128>) {
    let mut value: u128 = value.into();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small magnitudes of either sign in few bytes.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i128) {
    put(out, (value << 1 ^ value >> 127) as u128);
}

/// What [`put_signed`] made of a number of at most 62 bits.
const fn unfolded(small: u64) -> i64 {
    (small >> 1) as i64 ^ -((small & 1) as i64)
}

/// An amount as its significant digits and how many zeros follow them: three to five bytes
/// for what an LLM call costs, instead of sixteen.
pub(crate) fn put_money(out: &mut Vec<u8>, money: Money) {
    let (mut digits, mut zeros) = (money.attos(), 0_u8);
    while digits != 0 && digits % 10 == 0 {
        digits /= 10;
        zeros += 1;
    }
    out.push(zeros);
    put_signed(out, digits);
}

/// The powers of ten that fit.
const SMALL_POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// A text of this record alone.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

const ALPHABET: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/// An identifier; those of letters, digits, `-` and `_` take six bits a character.
pub(crate) fn put_id(out: &mut Vec<u8>, id: &str) {
    if !id.bytes().all(|byte| six_bits(byte).is_some()) {
        put(out, (id.len() as u64) << 1 | 1);
        out.extend_from_slice(id.as_bytes());
        return;
    }
    put(out, (id.len() as u64) << 1);
    let (mut bits, mut held) = (0_u32, 0);
    for six in id.bytes().filter_map(six_bits) {
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    if held > 0 {
        out.push((bits << (8 - held)) as u8);
    }
}

fn six_bits(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'z' => Some(byte - b'a' + 10),
        b'A'..=b'Z' => Some(byte - b'A' + 36),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

/// Reads what the functions above wrote, trusting nothing.
pub(crate) struct Unpack<'a> {
    rest: &'a [u8],
}

impl<'a> Unpack<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], UnpackError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(UnpackError::Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, UnpackError> {
        self.bytes(1).map(|b| b[0])
    }

    pub(crate) fn fixed(&mut self) -> Result<u64, UnpackError> {
        let bytes = self.bytes(8)?.try_into().map_err(|_| UnpackError::Damaged)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// A number of [`put`], if it fits what the caller wants.
    pub(crate) fn take<T: TryFrom<u128>>(&mut self) -> Result<T, UnpackError> {
        if let Some(small) = self.small() {
            return T::try_from(u128::from(small)).map_err(|_| UnpackError::Damaged);
        }
        let mut value: u128 = 0;
        for shift in (0..133).step_by(7) {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return T::try_from(value).map_err(|_| UnpackError::Damaged);
            }
        }
        Err(UnpackError::Damaged)
    }

    /// A number of at most eight bytes, as most are: 64 bits are quicker than 128.
    #[inline]
    fn small(&mut self) -> Option<u64> {
        // Rollups are histograms for the most part, and those mostly numbers of one byte.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Some((*byte).into());
        }
        let mut small: u64 = 0;
        for (at, byte) in self.rest.iter().enumerate().take(8) {
            small |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Some(small);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Result<i128, UnpackError> {
        if let Some(small) = self.small() {
            return Ok(unfolded(small).into());
        }
        let value: u128 = self.take()?;
        Ok((value >> 1) as i128 ^ -((value & 1) as i128))
    }

    #[inline]
    pub(crate) fn signed_millis(&mut self) -> Result<i64, UnpackError> {
        if let Some(small) = self.small() {
            return Ok(unfolded(small));
        }
        i64::try_from(self.signed()?).map_err(|_| UnpackError::Damaged)
    }

    /// A step of [`put`] and a count of [`put_signed`], as histograms are made of. Most are a byte
    /// each, and a sum over years reads millions.
    #[inline]
    pub(crate) fn step_and_count(&mut self) -> Result<(u16, i64), UnpackError> {
        match self.rest {
            [step @ 0..0x80, count @ 0..0x80, rest @ ..] => {
                let (step, count) = ((*step).into(), unfolded((*count).into()));
                self.rest = rest;
                Ok((step, count))
            }
            _ => Ok((self.take()?, self.signed_millis()?)),
        }
    }

    pub(crate) fn money(&mut self) -> Result<Money, UnpackError> {
        let zeros = usize::from(self.byte()?);
        let digits = self.signed()?;
        // Most amounts are few digits, and a sum over years reads a million of them.
        if let (Some(scale), Ok(digits)) = (SMALL_POWERS.get(zeros), i64::try_from(digits)) {
            return Ok(Money::from_attos(i128::from(digits) * i128::from(*scale)));
        }
        let scale = u32::try_from(zeros).ok().and_then(|zeros| 10_i128.checked_pow(zeros));
        let attos = scale.and_then(|scale| digits.checked_mul(scale));
        Ok(Money::from_attos(attos.ok_or(UnpackError::Damaged)?))
    }

    pub(crate) fn text(&mut self) -> Result<Box<str>, UnpackError> {
        let len = self.take()?;
        let text = std::str::from_utf8(self.bytes(len)?).map_err(|_| UnpackError::Damaged)?;
        Ok(text.into())
    }

    pub(crate) fn id(&mut self) -> Result<Box<str>, UnpackError> {
        let head: usize = self.take()?;
        let len = head >> 1;
        if head & 1 == 1 {
            let text = std::str::from_utf8(self.bytes(len)?).map_err(|_| UnpackError::Damaged)?;
            return Ok(text.into());
        }
        let packed = self.bytes(len.checked_mul(6).ok_or(UnpackError::Damaged)?.div_ceil(8))?;
        let mut text = String::with_capacity(len);
        let (mut bits, mut held) = (0_u32, 0);
        for byte in packed {
            bits = bits << 8 | u32::from(*byte);
            held += 8;
            while held >= 6 && text.len() < len {
                held -= 6;
                text.push(char::from(ALPHABET[(bits >> held & 0x3f) as usize]));
            }
        }
        Ok(text.into())
    }
}

/// Which optional parts follow, asked in the order they were written.
pub(crate) struct Presence(u64);

impl Presence {
    /// Writes one bit for each part.
    pub(crate) fn put<const N: usize>(out: &mut Vec<u8>, parts: [bool; N]) {
        const { assert!(N <= 64) };
        put(out, parts.iter().rev().fold(0_u64, |bits, part| bits << 1 | u64::from(*part)));
    }

    pub(crate) fn take(input: &mut Unpack<'_>) -> Result<Self, UnpackError> {
        input.take().map(Self)
    }

    /// Whether the next part is there.
    pub(crate) fn next(&mut self) -> bool {
        let bit = self.0 & 1 == 1;
        self.0 >>= 1;
        bit
    }

    /// Reads the next part if it is there.
    pub(crate) fn read<T>(
        &mut self,
        read: impl FnOnce() -> Result<T, UnpackError>,
    ) -> Result<Option<T>, UnpackError> {
        if self.next() { read().map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken(number: u128, signed: i128, id in "\\PC{0,40}", plain in "[0-9a-zA-Z_-]{0,40}") {
            let mut out = Vec::new();
            put(&mut out, number);
            put_signed(&mut out, signed);
            put_money(&mut out, Money::from_attos(signed));
            put_id(&mut out, &id);
            put_id(&mut out, &plain);
            put_text(&mut out, &id);
            let mut input = Unpack::new(&out);
            prop_assert_eq!(input.take::<u128>().unwrap(), number);
            prop_assert_eq!(input.signed().unwrap(), signed);
            prop_assert_eq!(input.money().unwrap().attos(), signed);
            prop_assert_eq!(&*input.id().unwrap(), id.as_str());
            prop_assert_eq!(&*input.id().unwrap(), plain.as_str());
            prop_assert_eq!(&*input.text().unwrap(), id.as_str());
            prop_assert!(input.is_empty());
        }

        #[test]
        fn garbage_is_refused_without_a_panic(bytes: Vec<u8>) {
            let _ = Unpack::new(&bytes).take::<u64>();
            let _ = Unpack::new(&bytes).signed();
            let _ = Unpack::new(&bytes).money();
            let _ = Unpack::new(&bytes).id();
            let _ = Unpack::new(&bytes).text();
        }
    }

    #[test]
    fn a_cost_of_a_typical_call_takes_few_bytes() {
        let mut out = Vec::new();
        put_money(&mut out, "0.003625".parse().unwrap());
        assert_eq!(out.len(), 3);
    }
}
