//! Money: exact integers of 1e-18 of a currency unit, decimal text outside, never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits behind the decimal point that a [`Money`] keeps.
const SCALE: usize = 18;
const ONE: u128 = 1_000_000_000_000_000_000;

/// An amount in attos (1e-18) of a currency that stands beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

impl Money {
    /// Nothing. Not the same as *unknown*, which is an absent amount.
    pub const ZERO: Self = Self(0);
    /// One unit of the currency.
    pub const ONE: Self = Self(ONE as i128);

    /// From attos.
    pub const fn from_attos(attos: i128) -> Self {
        Self(attos)
    }

    /// In attos.
    pub const fn attos(self) -> i128 {
        self.0
    }

    /// The sum, or nothing when it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or nothing when it does not fit.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum, or the most that there is.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, and nothing where it would be less.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }

    /// As a sentence says it: `$` and two decimals, rounded half up; four below a dollar, and
    /// below a cent two digits that say something.
    pub fn as_dollars(self) -> String {
        let magnitude = self.0.unsigned_abs();
        let decimals: u32 = match magnitude.checked_ilog10() {
            None | Some(18..) => 2,
            Some(16 | 17) => 4,
            Some(digits) => (19 - digits).min(18),
        };
        let step = 10u128.pow(18 - decimals);
        let steps = (magnitude + step / 2) / step;
        let unit = 10u128.pow(decimals);
        format!("${}.{:0width$}", steps / unit, steps % unit, width = decimals as usize)
    }
}

impl Money {
    /// Reads decimal text like [`FromStr`], but rounds half to even what lies behind the
    /// eighteenth decimal: somebody else's amount may have been a binary fraction once.
    ///
    /// # Errors
    /// Those of [`FromStr`], short of too many decimals.
    pub fn rounded(text: &str) -> Result<Self, ParseMoneyError> {
        read(text, Excess::Round)
    }
}

/// What to do with digits behind the eighteenth decimal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Excess {
    Refuse,
    Round,
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMoneyError {
    /// Not decimal text such as `-12.5` or `3e-7`.
    #[error("not a decimal number")]
    NotDecimal,
    /// More than eighteen digits behind the point, or too large.
    #[error("does not fit eighteen decimals")]
    OutOfRange,
}

impl FromStr for Money {
    type Err = ParseMoneyError;

    /// Reads decimal text, with an exponent if there is one (JSON numbers such as `4.8e-06`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text, Excess::Refuse)
    }
}

fn read(text: &str, excess: Excess) -> Result<Money, ParseMoneyError> {
    use ParseMoneyError::{NotDecimal, OutOfRange};
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], digits[at + 1..].parse::<i32>().map_err(|_| NotDecimal)?),
        None => (digits, 0),
    };
    let (whole, mut fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(NotDecimal);
    }
    if excess == Excess::Round {
        // Far behind anything that rounding looks at.
        fraction = fraction.get(..30).unwrap_or(fraction);
    }
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return Err(NotDecimal);
        }
        value = value.checked_mul(10).ok_or(OutOfRange)?;
        value = value.checked_add(i128::from(digit - b'0')).ok_or(OutOfRange)?;
    }
    let fraction_len = i32::try_from(fraction.len()).map_err(|_| OutOfRange)?;
    let shift = exponent.checked_sub(fraction_len).and_then(|n| n.checked_add(SCALE as i32));
    let value = shifted(value, shift.ok_or(OutOfRange)?, excess).ok_or(OutOfRange)?;
    Ok(Money(if negative { -value } else { value }))
}

/// `value` times ten to the `shift`, for a value that is not negative.
fn shifted(value: i128, shift: i32, excess: Excess) -> Option<i128> {
    if value == 0 {
        return Some(0);
    }
    if shift >= 0 {
        return 10_i128.checked_pow(shift.unsigned_abs())?.checked_mul(value);
    }
    let Some(divisor) = 10_i128.checked_pow(shift.unsigned_abs()) else {
        // Less than any half atto.
        return (excess == Excess::Round).then_some(0);
    };
    let (kept, rest) = (value / divisor, value % divisor);
    match (excess, rest) {
        (_, 0) => Some(kept),
        (Excess::Refuse, _) => None,
        (Excess::Round, _) => {
            let half = divisor / 2;
            let up = rest > half || rest == half && kept % 2 == 1;
            Some(kept + i128::from(up))
        }
    }
}

impl fmt::Display for Money {
    /// Exact decimal text without trailing zeros: `0.000205`, `12`, `-3.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, rest) = (magnitude / ONE, magnitude % ONE);
        let sign = if self.0 < 0 { "-" } else { "" };
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{rest:018}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() { out.collect_str(self) } else { out.serialize_i128(self.0) }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if !input.is_human_readable() {
            return i128::deserialize(input).map(Self);
        }
        String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An ISO 4217 code such as `USD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// US dollars, the currency of most price lists.
    pub const USD: Self = Self(*b"USD");
    /// Euros, the currency of the European Central Bank's exchange rates.
    pub const EUR: Self = Self(*b"EUR");

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the constructor admits ASCII letters only")
    }
}

impl FromStr for Currency {
    type Err = ParseCurrencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(ParseCurrencyError),
        }
    }
}

/// The text is not three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters such as `USD`")]
pub struct ParseCurrencyError;

impl Default for Currency {
    fn default() -> Self {
        Self::USD
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimal_text_is_read_exactly() {
        assert_eq!("0.003625".parse::<Money>().unwrap().attos(), 3_625_000_000_000_000);
        assert_eq!("4.8e-06".parse::<Money>().unwrap().to_string(), "0.0000048");
        assert_eq!("-12.50".parse::<Money>().unwrap().to_string(), "-12.5");
        assert_eq!("1e-19".parse::<Money>(), Err(ParseMoneyError::OutOfRange));
        assert_eq!("0e99".parse::<Money>(), Ok(Money::ZERO));
        for wrong in ["", ".", "-", "1,5", "NaN", "0x1", "1e", "1e99", "1 "] {
            assert!(wrong.parse::<Money>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_others_state_is_rounded_half_to_even_at_the_eighteenth_decimal() {
        for (stated, kept) in [
            ("0.0004970133333333333", "497013333333333"),
            ("0.0000000000000000005", "0"),
            ("0.0000000000000000015", "2"),
            ("0.00000000000000000150001", "2"),
            ("2.5e-18", "2"),
            ("0.00049701333333333333333333333333333333333333333", "497013333333333"),
            ("1e-300", "0"),
            ("12", "12000000000000000000"),
        ] {
            assert_eq!(Money::rounded(stated).unwrap().attos().to_string(), kept, "{stated}");
        }
        assert!(Money::rounded("1e99").is_err() && Money::rounded("0.1.2").is_err());
    }

    proptest! {
        #[test]
        fn text_and_amount_are_the_same_thing(attos in any::<i64>()) {
            let money = Money::from_attos(i128::from(attos) * 1_000_003);
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
        }
    }
}
