//! Decimal numbers as text, never as floats: price lists come with the dust of other people's.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// `digits` × 10^`exponent`, without trailing zeros; never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Decimal {
    digits: u128,
    exponent: i32,
}

impl Decimal {
    pub(crate) const ZERO: Self = Self { digits: 0, exponent: 0 };

    fn new(mut digits: u128, mut exponent: i32) -> Self {
        if digits == 0 {
            return Self::ZERO;
        }
        while digits.is_multiple_of(10) {
            digits /= 10;
            exponent += 1;
        }
        Self { digits, exponent }
    }

    /// Times 10^`places`.
    pub(crate) fn shifted(self, places: i32) -> Self {
        if self.digits == 0 { self } else { Self::new(self.digits, self.exponent + places) }
    }

    pub(crate) fn times(self, factor: u128) -> Self {
        Self::new(self.digits * factor, self.exponent)
    }

    /// The shortest decimal within 1e-12 of it, relatively: `0.13999999999999999` is `0.14`.
    /// What needs more than ten places even so is no price.
    pub(crate) fn without_dust(self) -> Result<Self> {
        let mut unit: u128 = 1;
        let mut best = self;
        while unit <= self.digits {
            let rounded = (self.digits + unit / 2) / unit * unit;
            let off = rounded.abs_diff(self.digits);
            if off.checked_mul(1_000_000_000_000).is_some_and(|off| off <= self.digits) {
                best = Self::new(rounded, self.exponent);
            }
            unit *= 10;
        }
        if best.exponent < -10 {
            bail!("`{best}` has more decimals than a price");
        }
        Ok(best)
    }

    /// As [`Self::without_dust`] for a price per token, which has six places more.
    pub(crate) fn without_dust_per_token(self) -> Option<Self> {
        let clean = self.shifted(6).without_dust().ok()?;
        Some(clean.shifted(-6))
    }

    /// For comparing sizes: both on one scale.
    pub(crate) fn at_most(self, other: Self) -> bool {
        let scale = self.exponent.min(other.exponent);
        let on = |d: Self| d.digits * 10u128.pow(d.exponent.abs_diff(scale));
        on(self) <= on(other)
    }
}

impl FromStr for Decimal {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let digits = digits.parse().with_context(|| format!("`{text}` is no decimal"))?;
        Ok(Self::new(digits, exponent - i32::try_from(fraction.len())?))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits.to_string();
        let Ok(places) = usize::try_from(-self.exponent) else {
            return write!(f, "{digits}{}", "0".repeat(self.exponent.unsigned_abs() as usize));
        };
        match digits.len().checked_sub(places) {
            _ if places == 0 => f.write_str(&digits),
            Some(0) | None => write!(f, "0.{digits:0>places$}"),
            Some(whole) => write!(f, "{}.{}", &digits[..whole], &digits[whole..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dust_is_swept_and_prices_stay() {
        for (text, want) in [
            ("0.13999999999999999", "0.14"),
            ("4.8e-06", "0.0000048"),
            ("0.003625", "0.003625"),
            ("3.0000000000000004", "3"),
            ("1e1", "10"),
            ("12.50", "12.5"),
            ("0.083333333", "0.083333333"),
            ("0.0", "0"),
        ] {
            let decimal: Decimal = text.parse().unwrap();
            assert_eq!(decimal.without_dust().unwrap().to_string(), want, "{text}");
        }
        let third: Decimal = "0.3333333333333333".parse().unwrap();
        assert!(third.without_dust().is_err());
    }
}
