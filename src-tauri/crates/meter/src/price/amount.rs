//! Exact money arithmetic: a rate as a fraction of attos, times a count, times factors.

use std::fmt;
use std::str::FromStr;

use crate::money::Money;
use crate::usage::{Count, Unit};

/// How many of a unit a rate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Per {
    One,
    Thousand,
    Million,
    /// Sixty of a second.
    Minute,
    /// 3,600 of a second.
    Hour,
}

impl Per {
    /// What price lists use when they do not say.
    const fn usual(unit: Unit) -> Self {
        match unit {
            Unit::Token | Unit::Character => Self::Million,
            Unit::Call
            | Unit::SearchUnit
            | Unit::Page
            | Unit::ClassifyUnit
            | Unit::GuardrailUnit => Self::Thousand,
            Unit::Image | Unit::Request | Unit::Second => Self::One,
        }
    }

    const fn units(self) -> i128 {
        match self {
            Self::One => 1,
            Self::Thousand => 1_000,
            Self::Million => 1_000_000,
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "1" => Self::One,
            "1K" => Self::Thousand,
            "1M" => Self::Million,
            "min" => Self::Minute,
            "h" => Self::Hour,
            _ => return None,
        })
    }

    /// `1M token`, `hour`, `image`.
    fn label(self, unit: Unit) -> String {
        let word = match unit {
            Unit::Token => "token",
            Unit::Image => "image",
            Unit::Second => "second",
            Unit::Character => "character",
            Unit::Call => "call",
            Unit::SearchUnit => "search unit",
            Unit::Page => "page",
            Unit::ClassifyUnit => "classify unit",
            Unit::GuardrailUnit => "guardrail unit",
            Unit::Request => "request",
        };
        match self {
            Self::One => word.to_owned(),
            Self::Thousand => format!("1K {word}"),
            Self::Million => format!("1M {word}"),
            Self::Minute => "minute".to_owned(),
            Self::Hour => "hour".to_owned(),
        }
    }
}

/// A positive fraction such as `11/10`, by which rates are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    over: i128,
    under: i128,
}

impl Ratio {
    pub(super) const ONE: Self = Self { over: 1, under: 1 };

    /// Both after another, or nothing when that does not fit.
    pub(super) fn times(self, other: Self) -> Option<Self> {
        let over = self.over.checked_mul(other.over)?;
        let under = self.under.checked_mul(other.under)?;
        let shared = greatest_shared(over, under);
        Some(Self { over: over / shared, under: under / shared })
    }
}

impl FromStr for Ratio {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let (over, under) = text.split_once('/').unwrap_or((text, "1"));
        let part = |text: &str| text.parse::<u32>().ok().filter(|n| *n > 0).ok_or(BadRate);
        Ok(Self { over: part(over)?.into(), under: part(under)?.into() })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.under {
            1 => write!(f, "{}", self.over),
            under => write!(f, "{}/{under}", self.over),
        }
    }
}

/// The text is no rate such as `3`, `2.5/1K` or `0.36/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a rate such as `3`, `2.5/1K` or `0.36/h`")]
pub struct BadRate;

/// Money per so many of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    price: Money,
    label: Box<str>,
    /// `3 / 1M token`, for every receipt that needs no factor.
    text: Box<str>,
    /// Attos per millionth of a unit, as a reduced fraction: nearly always whole.
    over: i128,
    under: i128,
}

impl Rate {
    /// Reads `3` (per what is usual for the unit), `2.5/1K`, `0.36/h`.
    pub(super) fn parse(text: &str, unit: Unit) -> Result<Self, BadRate> {
        let (price, per) = match text.split_once('/') {
            Some((price, per)) => (price, Per::parse(per).ok_or(BadRate)?),
            None => (text, Per::usual(unit)),
        };
        let timed = matches!(per, Per::Minute | Per::Hour);
        if timed && unit != Unit::Second {
            return Err(BadRate);
        }
        let price: Money = price.parse().map_err(|_| BadRate)?;
        if price < Money::ZERO {
            return Err(BadRate);
        }
        let under = per.units() * i128::from(Count::ONE);
        let shared = greatest_shared(price.attos(), under);
        let label = per.label(unit);
        Ok(Self {
            price,
            text: format!("{price} / {label}").into(),
            label: label.into(),
            over: price.attos() / shared,
            under: under / shared,
        })
    }

    /// Count times rate times factor. Rounds half to even at an atto, which only rates per
    /// hour or minute ever need. Nothing when it does not fit.
    pub(super) fn amount(&self, count: Count, factor: Ratio) -> Option<Money> {
        let over = i128::from(count.millionths()).checked_mul(self.over)?;
        let over = over.checked_mul(factor.over)?;
        let under = self.under.checked_mul(factor.under)?;
        Some(Money::from_attos(divide_half_even(over, under)))
    }

    /// Whether one is more than so many times the other; of two, nothing and something are.
    pub(super) fn is_beyond(&self, times: i128, other: &Self) -> bool {
        let beyond = |a: &Self, b: &Self| {
            let (a, b) = (a.over.checked_mul(b.under), b.over.checked_mul(a.under));
            // What does not fit is beyond anything.
            let Some((a, b)) = a.zip(b) else { return true };
            b.checked_mul(times).is_none_or(|limit| a > limit)
        };
        beyond(self, other) || beyond(other, self)
    }

    /// `3 / 1M token`; with a factor the product: `3.3 / 1M token`.
    pub(super) fn text(&self, factor: Ratio) -> Box<str> {
        if factor == Ratio::ONE {
            return self.text.clone();
        }
        let attos = self.price.attos().checked_mul(factor.over);
        let text = match attos {
            Some(attos) if attos % factor.under == 0 => {
                format!("{} / {}", Money::from_attos(attos / factor.under), self.label)
            }
            Some(_) | None => format!("{} × {factor} / {}", self.price, self.label),
        };
        text.into()
    }
}

fn divide_half_even(over: i128, under: i128) -> i128 {
    if under == 1 {
        return over;
    }
    let (whole, rest) = (over / under, over % under);
    let up = match (rest * 2).cmp(&under) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => whole % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    whole + i128::from(up)
}

fn greatest_shared(a: i128, b: i128) -> i128 {
    if b == 0 { a.max(1) } else { greatest_shared(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(rate: &str, unit: Unit, count: &str, factor: &str) -> String {
        let rate = Rate::parse(rate, unit).unwrap();
        let factor = factor.parse().unwrap();
        rate.amount(Count::parse(count).unwrap(), factor).unwrap().to_string()
    }

    #[test]
    fn counts_times_rates_are_exact() {
        assert_eq!(amount("3", Unit::Token, "1", "1"), "0.000003");
        // Half of a half-cent cache rate, and a tenth more: 0.0018125 × 1.1 = 0.00199375.
        assert_eq!(amount("0.003625", Unit::Token, "1000000", "11/20"), "0.00199375");
        assert_eq!(amount("10/1K", Unit::Call, "3", "1"), "0.03");
        assert_eq!(amount("0.36/h", Unit::Second, "30", "1"), "0.003");
        assert_eq!(amount("0.006/min", Unit::Second, "12.5", "1"), "0.00125");
        assert_eq!(amount("0.04", Unit::Image, "2", "1"), "0.08");
    }

    #[test]
    fn only_time_rounds_and_it_rounds_to_even() {
        // 1 / 3600 = 0.000277777777777777|77…
        assert_eq!(amount("1/h", Unit::Second, "1", "1"), "0.000277777777777778");
        // 4.5 attos -> 4, 13.5 attos -> 14
        assert_eq!(
            amount("0.00000000000000027/min", Unit::Second, "1", "1"),
            "0.000000000000000004"
        );
        assert_eq!(
            amount("0.00000000000000081/min", Unit::Second, "1", "1"),
            "0.000000000000000014"
        );
    }

    #[test]
    fn what_does_not_fit_is_unknown() {
        let dear = Rate::parse("100000000000000", Unit::Image).unwrap();
        assert_eq!(dear.amount(Count::from_millionths(u64::MAX), Ratio::ONE), None);
    }

    #[test]
    fn texts_that_are_no_rates_are_refused() {
        for wrong in ["", "-1", "x", "1/", "1/2M", "1/h"] {
            assert_eq!(Rate::parse(wrong, Unit::Token), Err(BadRate), "{wrong}");
        }
        for wrong in ["0", "1/0", "a", "1/2/3", "-1"] {
            assert_eq!(wrong.parse::<Ratio>(), Err(BadRate), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn token_amounts_add_up_and_never_fall(a in 0..1u64 << 40, b in 0..1u64 << 40, millionths in 0..10_000_000_000u64) {
            let price = Money::from_attos(i128::from(millionths) * 1_000_000_000_000);
            let rate = Rate::parse(&price.to_string(), Unit::Token).unwrap();
            let of = |n| rate.amount(Count::whole(n), Ratio::ONE).unwrap();
            prop_assert_eq!(of(a).checked_add(of(b)), Some(of(a + b)));
            prop_assert!(of(a + b) >= of(a));
        }
    }
}
