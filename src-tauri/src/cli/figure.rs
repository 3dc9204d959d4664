//! How money, counts, durations and instants read on a terminal. Rounds for the eye only;
//! nothing here is added up again.

use api::answer::Figures;
use api::period::Here;
use api::standing::Standing;
use chrono::Datelike as _;
use chrono_tz::Tz;
use meter::receipt::{CostState, Receipt, UsageState};
use meter::usage::{Count, Unit};
use meter::{Currency, Money, Timestamp};

const ATTOS: u128 = 1_000_000_000_000_000_000;

/// Money in a list: cents from a dollar up, four decimals from a cent up, below that two
/// digits that say something.
pub(crate) fn money(amount: Money) -> String {
    let magnitude = amount.attos().unsigned_abs();
    let decimals = if magnitude == 0 || magnitude >= ATTOS {
        2
    } else if magnitude >= ATTOS / 100 {
        4
    } else {
        leading_zeros(magnitude) + 2
    };
    dollars(amount, decimals)
}

/// Money on a receipt: six decimals, more where six would say nothing.
pub(crate) fn line_money(amount: Money) -> String {
    let magnitude = amount.attos().unsigned_abs();
    let decimals = if magnitude == 0 { 6 } else { (leading_zeros(magnitude) + 2).max(6) };
    dollars(amount, decimals)
}

/// A sum with what it leaves out: `$1.24 + CNY 0.30 + 3 unpriced`.
pub(crate) fn total(figures: &Figures) -> String {
    let dollars = figures.cost.map(money);
    let others = figures.other_costs.iter();
    let others = others.map(|(currency, sum)| in_currency(&money(*sum), *currency));
    let mut parts: Vec<String> = dollars.into_iter().chain(others).collect();
    if figures.unpriced != 0 {
        parts.push(format!("{} unpriced", grouped(figures.unpriced)));
    }
    parts.join(" + ")
}

/// A sum in the currency that was asked for, with what it leaves out; as it was charged if none was.
#[cfg(feature = "desktop")]
pub(crate) fn wanted_total(figures: &Figures) -> String {
    let Some(converted) = &figures.converted else { return total(figures) };
    let known = converted.cost.map(|cost| in_currency(&money(cost), converted.currency));
    let others = converted.unconverted.iter();
    let others = others.map(|(currency, sum)| in_currency(&money(*sum), *currency));
    let mut parts: Vec<String> = known.into_iter().chain(others).collect();
    if figures.unpriced != 0 {
        parts.push(format!("{} unpriced", grouped(figures.unpriced)));
    }
    parts.join(" + ")
}

/// The cost of one receipt in a list. Unknown is a word, never a number; a star says that it
/// was priced again.
pub(crate) fn cost(receipt: &Receipt, standing: &Standing<'_>, is_estimated: bool) -> String {
    let about = if is_estimated { "≈" } else { "" };
    let again = if standing.is_repriced() { "*" } else { "" };
    match (standing.cost, standing.cost_state) {
        (Some(cost), _) => {
            format!("{about}{}{again}", in_currency(&money(cost), receipt.currency))
        }
        (None, CostState::Free) => "free".to_owned(),
        (None, _) if standing.usage_state == UsageState::None => String::new(),
        (None, CostState::Partial) => "partial".to_owned(),
        (None, CostState::Disputed) => "disputed".to_owned(),
        (
            None,
            CostState::Unknown
            | CostState::UsageMissing
            | CostState::Priced
            | CostState::ProviderReported,
        ) => "unknown".to_owned(),
    }
}

/// The dollar sign where it is dollars, else the currency's three letters.
pub(crate) fn in_currency(dollars: &str, currency: Currency) -> String {
    if currency == Currency::USD {
        dollars.to_owned()
    } else {
        dollars.replacen('$', &format!("{currency} "), 1)
    }
}

/// Zeros between the point and the first digit, at most sixteen.
fn leading_zeros(magnitude: u128) -> usize {
    let mut zeros = 0;
    let mut threshold = ATTOS / 10;
    while zeros < 16 && magnitude < threshold {
        zeros += 1;
        threshold /= 10;
    }
    zeros
}

fn dollars(amount: Money, decimals: usize) -> String {
    let step = 10u128.pow(18 - u32::try_from(decimals.min(18)).unwrap_or(18));
    let magnitude = amount.attos().unsigned_abs();
    // Half a step up, as on any bill.
    let steps = magnitude / step + u128::from(magnitude % step >= step.div_ceil(2));
    let per_dollar = ATTOS / step;
    let (whole, rest) = (steps / per_dollar, steps % per_dollar);
    let whole = u64::try_from(whole).map_or_else(|_| whole.to_string(), grouped);
    let sign = if amount.attos() < 0 && steps != 0 { "-" } else { "" };
    if decimals == 0 {
        return format!("{sign}${whole}");
    }
    format!("{sign}${whole}.{rest:0decimals$}")
}

/// A whole number with its thousands set apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its thousands set apart and its decimals, if it has any.
pub(crate) fn count(count: Count) -> String {
    let text = count.to_string();
    let (_, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let whole = grouped(count.millionths() / Count::ONE);
    if decimals.is_empty() { whole } else { format!("{whole}.{decimals}") }
}

/// The unit after a count.
pub(crate) fn unit(unit: Unit, count: Count) -> &'static str {
    let one = count == Count::whole(1);
    match (unit, one) {
        (Unit::Token, true) => "token",
        (Unit::Token, false) => "tokens",
        (Unit::Image, true) => "image",
        (Unit::Image, false) => "images",
        (Unit::Second, _) => "s",
        (Unit::Character, true) => "character",
        (Unit::Character, false) => "characters",
        (Unit::Call, true) => "call",
        (Unit::Call, false) => "calls",
        (Unit::SearchUnit, true) => "search unit",
        (Unit::SearchUnit, false) => "search units",
        (Unit::Page, true) => "page",
        (Unit::Page, false) => "pages",
        (Unit::ClassifyUnit, true) => "input",
        (Unit::ClassifyUnit, false) => "inputs",
        (Unit::GuardrailUnit, true) => "text unit",
        (Unit::GuardrailUnit, false) => "text units",
        (Unit::Request, true) => "request",
        (Unit::Request, false) => "requests",
    }
}

/// A duration: `642 ms`, `4.59 s`, `12.4 s`, `2 m 03 s`, `31 h 12 m`.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..9_995 => format!("{}.{:02} s", (ms + 5) / 1_000, (ms + 5) % 1_000 / 10),
        9_995..59_950 => format!("{}.{} s", (ms + 50) / 1_000, (ms + 50) % 1_000 / 100),
        59_950..3_599_500 => {
            let seconds = (ms + 500) / 1_000;
            format!("{} m {:02} s", seconds / 60, seconds % 60)
        }
        _ => {
            let minutes = (ms + 30_000) / 60_000;
            format!("{} h {:02} m", grouped(minutes / 60), minutes % 60)
        }
    }
}

/// Microseconds: `180 µs`, `1.8 ms`, then as [`duration`].
pub(crate) fn microseconds(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..99_950 => format!("{}.{} ms", (us + 50) / 1_000, (us + 50) % 1_000 / 100),
        _ => duration(us / 1_000),
    }
}

/// Bytes in binary units: `812 B`, `4.5 KiB`, `512 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10;
    let mut names = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter();
    let mut name = "B";
    while tenths >= 10_240 {
        tenths = (tenths + 512) / 1024;
        name = names.next().unwrap_or("EiB");
    }
    if tenths < 1_000 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", (tenths + 5) / 10)
    }
}

/// An instant in a list, by the local clock.
pub(crate) fn instant(at: Timestamp, zone: Tz) -> String {
    at.utc().with_timezone(&zone).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// An instant in a list of recent ones: only the time today, without the year this year.
pub(crate) fn short_instant(at: Timestamp, here: Here) -> String {
    let [at, now] = [at, here.now].map(|instant| instant.utc().with_timezone(&here.zone));
    let shape = if at.date_naive() == now.date_naive() {
        "%H:%M:%S"
    } else if at.year() == now.year() {
        "%m-%d %H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    at.format(shape).to_string()
}

/// An instant on a receipt, to the millisecond and with its offset.
pub(crate) fn full_instant(at: Timestamp, zone: Tz) -> String {
    at.utc().with_timezone(&zone).format("%-d %b %Y %H:%M:%S%.3f %:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn small_money_stays_readable_in_lists() {
        for (amount, want) in [
            ("0", "$0.00"),
            ("12480.5", "$12,480.50"),
            ("3.204", "$3.20"),
            ("0.021549", "$0.0215"),
            ("0.01", "$0.0100"),
            ("0.0042", "$0.0042"),
            ("0.000033125", "$0.000033"),
            ("0.000000049", "$0.000000049"),
            ("0.99996", "$1.0000"),
            ("-3.5", "-$3.50"),
        ] {
            assert_eq!(money(m(amount)), want, "{amount}");
        }
    }

    #[test]
    fn receipt_lines_have_six_decimals_or_more() {
        assert_eq!(line_money(m("0.000576")), "$0.000576");
        assert_eq!(line_money(m("0.0000000375")), "$0.000000038");
        assert_eq!(line_money(m("12")), "$12.000000");
    }

    #[test]
    fn a_total_says_what_it_leaves_out_and_unknown_is_never_zero() {
        let figures = |cost: Option<&str>, unpriced| Figures {
            requests: 2,
            statuses: [].into(),
            cost: cost.map(m),
            converted: None,
            other_costs: [].into(),
            subtotal: Money::ZERO,
            saved: Money::ZERO,
            unpriced,
            estimated: 0,
            input_tokens: 0,
            output_tokens: 0,
            factors: [].into(),
            units: Default::default(),
            overhead: None,
            latency: None,
            ttft: None,
        };
        assert_eq!(total(&figures(Some("1.239"), 0)), "$1.24");
        assert_eq!(total(&figures(Some("1.239"), 1_200)), "$1.24 + 1,200 unpriced");
        assert_eq!(total(&figures(None, 2)), "2 unpriced");
        let mixed = Figures {
            converted: None,
            other_costs: [("CNY".parse().unwrap(), m("0.3"))].into(),
            ..figures(Some("0"), 1)
        };
        assert_eq!(total(&mixed), "$0.00 + CNY 0.3000 + 1 unpriced");
    }

    #[test]
    fn a_cost_that_is_not_known_is_a_word() {
        let at = Timestamp::parse("2026-11-20T20:49:03Z").unwrap();
        let mut receipt = Receipt::begun(meter::ReceiptId::new(at, 1, 7), at, "p", "http://u");
        let drawn = |receipt: &Receipt| cost(receipt, &Standing::of(receipt), false);
        assert_eq!(drawn(&receipt), "unknown");
        receipt.cost_state = CostState::Free;
        assert_eq!(drawn(&receipt), "free");
        receipt.cost = Some(m("0.0034"));
        assert_eq!(cost(&receipt, &Standing::of(&receipt), true), "≈$0.0034");
        receipt.currency = "CNY".parse().unwrap();
        assert_eq!(drawn(&receipt), "CNY 0.0034");
    }

    #[test]
    fn what_is_today_needs_no_date() {
        let now = Timestamp::parse("2026-11-20T22:49:03Z").unwrap();
        let here = Here { now, zone: chrono_tz::Europe::Berlin };
        let drawn = |at: &str| short_instant(Timestamp::parse(at).unwrap(), here);
        assert_eq!(drawn("2026-11-20T20:49:03Z"), "21:49:03");
        assert_eq!(drawn("2026-11-19T22:49:03Z"), "11-19 23:49:03");
        assert_eq!(drawn("2025-12-31T12:00:00Z"), "2025-12-31 13:00:00");
    }

    #[test]
    fn durations_and_sizes_read_at_a_glance() {
        for (ms, want) in [
            (642, "642 ms"),
            (4_587, "4.59 s"),
            (9_994, "9.99 s"),
            (9_995, "10.0 s"),
            (12_449, "12.4 s"),
            (59_949, "59.9 s"),
            (59_950, "1 m 00 s"),
            (123_000, "2 m 03 s"),
            (112_320_000, "31 h 12 m"),
        ] {
            assert_eq!(duration(ms), want, "{ms}");
        }
        assert_eq!(microseconds(180), "180 µs");
        assert_eq!(microseconds(1_849), "1.8 ms");
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(4_608), "4.5 KiB");
        assert_eq!(bytes(512 << 20), "512 MiB");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(count(Count::parse("1234.5").unwrap()), "1,234.5");
    }
}
