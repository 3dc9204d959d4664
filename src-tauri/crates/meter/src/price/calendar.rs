//! Hours and weekdays at which other rates hold, in the provider's own time zone.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Weekday};
use chrono_tz::Tz;
use serde::Deserialize;

use super::record::Problem;
use crate::time::Timestamp;

/// Days that count as no working day, such as a country's public holidays.
pub(super) type Holidays = BTreeSet<NaiveDate>;

/// A window as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowText<R> {
    /// For people and receipts, such as `peak`.
    name: Box<str>,
    /// An IANA name.
    zone: Box<str>,
    /// `Mon-Fri` or `Sun`; absent is every day.
    days: Option<Box<str>>,
    /// `09:00-12:00`, half-open, up to `24:00`; of the same day.
    hours: Vec<Box<str>>,
    /// The name of a list of holidays on which the window is closed.
    not_on: Option<Box<str>>,
    rates: R,
}

/// A window and what holds in it.
#[derive(Debug)]
pub(super) struct Window<R> {
    pub(super) name: Box<str>,
    zone: Tz,
    days: [bool; 7],
    hours: Vec<Hours>,
    not_on: Holidays,
    pub(super) rates: R,
}

/// Half-open; without an end it lasts until midnight.
#[derive(Debug)]
struct Hours {
    from: NaiveTime,
    to: Option<NaiveTime>,
}

impl<R> WindowText<R> {
    pub(super) fn read<T>(
        &self,
        holidays: &std::collections::BTreeMap<Box<str>, Holidays>,
        rates: impl Fn(&R) -> Result<T, Problem>,
    ) -> Result<Window<T>, Problem> {
        let bad = |text: &str| Problem::Calendar(text.into());
        let not_on = match &self.not_on {
            Some(name) => {
                holidays.get(name).cloned().ok_or_else(|| Problem::Undefined(name.clone()))?
            }
            None => Holidays::new(),
        };
        let days = self.days.as_deref().unwrap_or("Mon-Sun");
        let hours = self.hours.iter().map(|text| hours(text).ok_or_else(|| bad(text)));
        Ok(Window {
            name: self.name.clone(),
            zone: self.zone.parse().map_err(|_| bad(&self.zone))?,
            days: weekdays(days).ok_or_else(|| bad(days))?,
            hours: hours.collect::<Result<_, _>>()?,
            not_on,
            rates: rates(&self.rates)?,
        })
    }
}

impl<R> Window<R> {
    /// Whether it is open at this instant.
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        let local: DateTime<Tz> = at.utc().with_timezone(&self.zone);
        let time = local.time();
        let day = local.date_naive();
        self.days[day.weekday().num_days_from_monday() as usize]
            && !self.not_on.contains(&day)
            && self.hours.iter().any(|h| h.from <= time && h.to.is_none_or(|to| time < to))
    }
}

fn hours(text: &str) -> Option<Hours> {
    let (from, to) = text.split_once('-')?;
    let time = |text| NaiveTime::parse_from_str(text, "%H:%M").ok();
    let from = time(from)?;
    let to = if to == "24:00" { None } else { Some(time(to)?) };
    to.is_none_or(|to| from < to).then_some(Hours { from, to })
}

fn weekdays(text: &str) -> Option<[bool; 7]> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let day = |text: &str| text.parse::<Weekday>().ok().map(|d| d.num_days_from_monday() as usize);
    let (first, last) = (day(first)?, day(last)?);
    let mut open = [false; 7];
    open.get_mut(first..=last)?.fill(true);
    Some(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(json: &str) -> Result<Window<()>, Problem> {
        let holidays = [("cn".into(), ["2026-10-01".parse().unwrap()].into())].into();
        serde_json::from_str::<WindowText<()>>(json).unwrap().read(&holidays, |()| Ok(()))
    }

    fn holds(window: &Window<()>, at: &str) -> bool {
        window.holds(Timestamp::parse(at).unwrap())
    }

    #[test]
    fn a_window_opens_on_working_days_of_its_zone_only() {
        let peak = window(
            r#"{"name":"peak","zone":"Asia/Shanghai","days":"Mon-Fri","not_on":"cn",
                "hours":["09:00-12:00","14:00-18:00"],"rates":null}"#,
        );
        let peak = peak.unwrap();
        // Shanghai is eight hours ahead all year; 17 November 2026 is a Tuesday.
        assert!(holds(&peak, "2026-11-17T01:00:00Z"));
        assert!(holds(&peak, "2026-11-17T03:59:59.999Z"));
        assert!(!holds(&peak, "2026-11-17T00:59:59.999Z"));
        assert!(!holds(&peak, "2026-11-17T04:00:00Z"));
        assert!(!holds(&peak, "2026-11-21T02:00:00Z"), "a Saturday");
        assert!(!holds(&peak, "2026-10-01T02:00:00Z"), "a holiday, a Thursday");
    }

    #[test]
    fn the_last_hour_of_a_day_can_be_named() {
        let late = window(r#"{"name":"n","zone":"UTC","hours":["16:30-24:00"],"rates":null}"#);
        assert!(holds(&late.unwrap(), "2026-11-17T23:59:59.999Z"));
    }

    #[test]
    fn windows_without_meaning_are_refused() {
        for wrong in [
            r#"{"name":"n","zone":"Mars/Base","hours":[],"rates":null}"#,
            r#"{"name":"n","zone":"UTC","days":"Fri-Mon","hours":[],"rates":null}"#,
            r#"{"name":"n","zone":"UTC","hours":["18:00-09:00"],"rates":null}"#,
            r#"{"name":"n","zone":"UTC","not_on":"xx","hours":[],"rates":null}"#,
        ] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
