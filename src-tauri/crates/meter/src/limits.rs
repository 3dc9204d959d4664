//! What an answer's headers say about how much its provider still allows. Which headers those are
//! is data, `providers/_limits.toml`. What cannot be read is left out; nothing here fails.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::DateTime;
use serde::Deserialize;

use crate::time::Timestamp;
use crate::usage::Count;

/// Limits kept of one answer, and bytes of a limit's name.
const MOST: usize = 16;
const NAME_BYTES: usize = 40;
/// No reset is further away than this.
const FURTHEST_MS: i64 = 400 * 24 * 60 * 60 * 1000;

/// One limit, as one answer tells of it. At least one of the figures is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitReading {
    /// What is limited: `requests`, `tokens`, `input-tokens`, `requests-minute`, …
    pub what: Box<str>,
    /// How many there are in all.
    pub limit: Option<u64>,
    /// How many are left.
    pub remaining: Option<u64>,
    /// How much is gone, in millionths of all, where the provider tells that instead.
    pub used_millionths: Option<u64>,
    /// When it is whole again.
    pub resets_at: Option<Timestamp>,
}

/// What a provider says when it is asked too often: come back then.
pub const RETRY: &str = "retry";

/// The limits that these headers tell of, at the instant they came. Names are lower case.
pub fn read<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    at: Timestamp,
) -> Vec<LimitReading> {
    let mut found: BTreeMap<Box<str>, LimitReading> = BTreeMap::new();
    for (name, value) in headers {
        let Some((what, says)) = RULES.find(name) else { continue };
        if found.len() < MOST || found.contains_key(&what) {
            let reading = found.entry(what.clone()).or_default();
            reading.what = what;
            reading.note(says, value.trim(), at);
        }
    }
    // A reset alone says nothing about what is left, unless it is all that is said.
    found.into_values().filter(LimitReading::tells).collect()
}

impl LimitReading {
    fn note(&mut self, says: Says, value: &str, at: Timestamp) {
        match says {
            Says::Limit => self.limit = whole(value).or(self.limit),
            Says::Remaining => self.remaining = whole(value).or(self.remaining),
            Says::Reset | Says::Retry => self.resets_at = instant(value, at).or(self.resets_at),
            Says::RetryMs => self.resets_at = after(at, whole(value)).or(self.resets_at),
            // How long a period is, not how much of it is left: the latest it can last.
            Says::Period => {
                let ms = whole(value).and_then(|seconds| seconds.checked_mul(1000));
                self.resets_at = self.resets_at.or_else(|| after(at, ms));
            }
            Says::UsedFraction => self.used_millionths = Count::parse(value).map(Count::millionths),
            Says::UsedPercent => {
                self.used_millionths =
                    Count::parse(value).map(|percent| percent.millionths() / 100);
            }
        }
    }

    fn tells(&self) -> bool {
        let is_retry = &*self.what == RETRY && self.resets_at.is_some();
        is_retry || self.remaining.is_some() || self.used_millionths.is_some()
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Says {
    Limit,
    Remaining,
    Reset,
    Period,
    UsedFraction,
    UsedPercent,
    Retry,
    RetryMs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    headers: Vec<Rule>,
    words: BTreeMap<Box<str>, Box<str>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: Name,
    says: Says,
    /// Stands before the provider's word.
    of: Option<Box<str>>,
}

/// A header's name, taken apart once: every header of every answer is held against all of them.
#[derive(Debug, Deserialize)]
#[serde(from = "Box<str>")]
enum Name {
    Whole(Box<str>),
    /// The provider's word stands between the two.
    Around(Box<str>, Box<str>),
}

impl From<Box<str>> for Name {
    fn from(name: Box<str>) -> Self {
        match name.split_once("{what}") {
            Some((before, after)) => Self::Around(before.into(), after.into()),
            None => Self::Whole(name),
        }
    }
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    toml::from_str(include_str!("../providers/_limits.toml"))
        .expect("a file of ours, read by a test")
});

impl Rules {
    fn find(&self, name: &str) -> Option<(Box<str>, Says)> {
        let (rule, word) = self.headers.iter().find_map(|rule| Some((rule, rule.word(name)?)))?;
        let word = self.words.get(word).map_or(word, |better| better);
        let what = match &rule.of {
            Some(of) => format!("{of}-{word}").into(),
            None => word.into(),
        };
        Some((what, rule.says))
    }
}

impl Rule {
    /// What the header is about, if it is this one.
    fn word<'a>(&self, name: &'a str) -> Option<&'a str> {
        match &self.name {
            Name::Whole(own) => (**own == *name).then_some(match self.says {
                Says::Retry | Says::RetryMs => RETRY,
                Says::Limit
                | Says::Remaining
                | Says::Reset
                | Says::Period
                | Says::UsedFraction
                | Says::UsedPercent => "requests",
            }),
            Name::Around(before, after) => {
                let word = name.strip_prefix(&**before)?.strip_suffix(&**after)?;
                (!word.is_empty() && word.len() <= NAME_BYTES).then_some(word)
            }
        }
    }
}

/// A count; providers that do not know write `-1`.
fn whole(text: &str) -> Option<u64> {
    Count::parse(text).map(|count| count.millionths() / Count::ONE).or_else(|| text.parse().ok())
}

fn after(at: Timestamp, ms: Option<u64>) -> Option<Timestamp> {
    let ms = ms.and_then(|ms| i64::try_from(ms).ok()).filter(|ms| *ms <= FURTHEST_MS)?;
    at.millis().checked_add(ms).map(Timestamp::from_millis)
}

/// When: a span such as `1m30s`, plain seconds, an instant in one of three forms.
fn instant(text: &str, at: Timestamp) -> Option<Timestamp> {
    let plain = Count::parse(text).map(Count::millionths);
    let told = match plain {
        // Thousandths of a second, then seconds since 1970, then milliseconds since then.
        Some(millionths) if millionths < 1_000_000_000 * Count::ONE => {
            return after(at, Some(millionths.div_ceil(1000)));
        }
        Some(millionths) if millionths < 100_000_000_000 * Count::ONE => {
            i64::try_from(millionths / 1000).ok().map(Timestamp::from_millis)
        }
        Some(millionths) => i64::try_from(millionths / Count::ONE).ok().map(Timestamp::from_millis),
        None => match span_ms(text) {
            Some(ms) => return after(at, Some(ms)),
            None => Timestamp::parse(text).or_else(|| {
                // `retry-after` may be a date of the older sort (RFC 9110 §10.2.3).
                let date = DateTime::parse_from_rfc2822(text).ok()?;
                Some(Timestamp::from_millis(date.timestamp_millis()))
            }),
        },
    };
    told.filter(|told| told.millis().abs_diff(at.millis()) <= FURTHEST_MS.unsigned_abs())
}

/// A span as Go writes it, `1h2m3.5s` or `12ms`, in milliseconds, rounded up.
fn span_ms(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("ms", 1_000_000),
        ("m", 60_000_000_000),
        ("us", 1000),
        ("µs", 1000),
        ("ns", 1),
        ("s", 1_000_000_000),
    ];
    let (mut rest, mut nanos) = (text, 0_u128);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let count = Count::parse(rest.get(..digits).filter(|digits| !digits.is_empty())?)?;
        rest = &rest[digits..];
        let (unit, length) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        nanos += u128::from(count.millionths()) * u128::from(*length) / u128::from(Count::ONE);
    }
    (!text.is_empty()).then(|| u64::try_from(nanos.div_ceil(1_000_000)).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2025-03-15T09:38:00Z.
    const NOW: Timestamp = Timestamp::from_millis(1_742_031_480_000);

    fn limit<'a>(read: &'a [LimitReading], what: &str) -> &'a LimitReading {
        read.iter().find(|one| &*one.what == what).unwrap_or_else(|| panic!("{what}: {read:?}"))
    }

    fn later(ms: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(NOW.millis() + ms))
    }

    #[test]
    fn limits_are_read_as_providers_tell_them() {
        let openai = read(
            [
                ("x-ratelimit-limit-requests", "10000"),
                ("x-ratelimit-limit-tokens", "4000000"),
                ("x-ratelimit-remaining-requests", "9999"),
                ("x-ratelimit-remaining-tokens", "3999968"),
                ("x-ratelimit-reset-requests", "6ms"),
                ("x-ratelimit-reset-tokens", "6m0s"),
                ("x-request-id", "req_1"),
            ]
            .into_iter(),
            NOW,
        );
        assert_eq!(openai.len(), 2);
        let tokens = limit(&openai, "tokens");
        assert_eq!((tokens.limit, tokens.remaining), (Some(4_000_000), Some(3_999_968)));
        assert_eq!(tokens.resets_at, later(360_000));
        assert_eq!(limit(&openai, "requests").resets_at, later(6));
        let anthropic = read(
            [
                ("anthropic-ratelimit-input-tokens-limit", "400000"),
                ("anthropic-ratelimit-input-tokens-remaining", "399000"),
                ("anthropic-ratelimit-input-tokens-reset", "2025-03-15T09:38:18Z"),
                ("anthropic-ratelimit-unified-5h-utilization", "0.42"),
                ("anthropic-ratelimit-unified-5h-reset", "1742035080"),
                ("retry-after", "15"),
            ]
            .into_iter(),
            NOW,
        );
        assert_eq!(limit(&anthropic, "input-tokens").resets_at, later(18_000));
        let plan = limit(&anthropic, "plan-5h");
        assert_eq!((plan.used_millionths, plan.resets_at), (Some(420_000), later(3_600_000)));
        assert_eq!(limit(&anthropic, RETRY).resets_at, later(15_000));
        let mistral = read(
            [
                ("x-ratelimit-limit-req-minute", "360"),
                ("x-ratelimit-remaining-req-minute", "356"),
                ("x-ratelimit-tokens-query-cost", "60"),
                ("x-ratelimitbysize-remaining-month", "997342940"),
            ]
            .into_iter(),
            NOW,
        );
        assert_eq!(limit(&mistral, "requests-minute").remaining, Some(356));
        assert_eq!(limit(&mistral, "size-month").remaining, Some(997_342_940));
        assert_eq!(mistral.len(), 2);
    }

    #[test]
    fn what_a_provider_does_not_know_is_not_nought() {
        let azure = read(
            [
                ("x-ratelimit-limit-tokens", "-1"),
                ("x-ratelimit-remaining-tokens", "-1"),
                ("x-ratelimit-reset-tokens", "0"),
            ]
            .into_iter(),
            NOW,
        );
        assert_eq!(azure, []);
    }

    #[test]
    fn an_instant_is_read_in_every_form_there_is() {
        for (text, ms) in [
            ("1s", 1000),
            ("12ms", 12),
            ("6m0s", 360_000),
            ("1h2m3.5s", 3_723_500),
            ("11.354999999s", 11_355),
            ("261ms", 261),
            ("0s", 0),
            ("0", 0),
            ("33", 33_000),
            ("0.5", 500),
            ("1742031490", 10_000),
            ("1742031490500", 10_500),
            ("2025-03-15T09:38:10Z", 10_000),
            ("2025-03-15T10:38:10+01:00", 10_000),
            ("Sat, 15 Mar 2025 09:38:10 GMT", 10_000),
        ] {
            assert_eq!(instant(text, NOW), later(ms), "{text}");
        }
        for wrong in ["", "soon", "1x", "s", "-5", "1m30", "99999h", "9e18", "2099-01-01T00:00:00Z"]
        {
            assert_eq!(instant(wrong, NOW), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_cannot_tell_of_endless_limits() {
        let names: Vec<String> =
            (0..100).map(|n| format!("x-ratelimit-remaining-made-up-{n}")).collect();
        assert_eq!(read(names.iter().map(|name| (&**name, "1")), NOW).len(), MOST);
    }

    proptest! {
        #[test]
        fn a_span_is_the_sum_of_its_parts(h in 0_u64..24, m in 0_u64..60, s in 0_u64..60, ms in 0_u64..1000) {
            let text = format!("{h}h{m}m{s}s{ms}ms");
            prop_assert_eq!(span_ms(&text), Some(((h * 60 + m) * 60 + s) * 1000 + ms));
        }

        #[test]
        fn seconds_since_1970_and_the_written_instant_are_the_same(away in 0_i64..86_400 * 300) {
            let then = Timestamp::from_millis(NOW.millis() + away * 1000);
            let (written, seconds) = (then.to_string(), (then.millis() / 1000).to_string());
            prop_assert_eq!(instant(&written, NOW), Some(then));
            prop_assert_eq!(instant(&seconds, NOW), Some(then));
            prop_assert_eq!(instant(&then.millis().to_string(), NOW), Some(then));
        }

        #[test]
        fn no_header_breaks_the_reader(name in "[a-z-]{0,40}", value in "\\PC{0,40}") {
            let names = ["x-ratelimit-reset-tokens", "retry-after", "x-codex-a-used-percent", &name];
            for one in read(names.into_iter().map(|name| (name, &*value)), NOW) {
                let away = one.resets_at.map(|at| at.millis().abs_diff(NOW.millis()));
                prop_assert!(away.is_none_or(|away| away <= FURTHEST_MS.unsigned_abs()));
            }
        }
    }
}
