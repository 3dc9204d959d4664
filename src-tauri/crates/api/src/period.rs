//! Instants, half-open periods and the edges of hours, days, weeks and months, resolved in
//! the user's zone through every change of its clocks. Knows no clock of its own.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime};
use chrono::{LocalResult, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;
use meter::Timestamp;
use serde::{Deserialize, Serialize};

/// The moment and the place of a question: what `today` and a bare date mean.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    /// The moment it was asked.
    pub now: Timestamp,
    /// Where the asker's days begin.
    pub zone: Tz,
}

/// How wide the buckets of a series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// From quarter to quarter of an hour.
    #[serde(rename = "15m")]
    Quarter,
    /// From full hour to full hour of the local clock.
    Hour,
    /// From midnight to midnight; 23 or 25 hours where clocks change.
    Day,
    /// From Monday to Monday.
    Week,
    /// From first to first.
    Month,
}

impl Granularity {
    /// Every value.
    pub const ALL: &'static [Self] =
        &[Self::Quarter, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quarter => "15m",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Granularity {
    type Err = meter::receipt::UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|g| g.as_str() == text).ok_or(meter::receipt::UnknownWord)
    }
}

/// More buckets than this are refused: nobody reads them.
pub const MOST_BUCKETS: usize = 10_000;

/// What instants may look like, for hints.
pub const INSTANT_SHAPES: &str = "Write `2026-11-20`, `2026-11-20T14:30`, `2026-11`, `today`, \
     `yesterday`, `now` or RFC 3339 such as `2026-11-20T14:30:00Z`.";

impl Here {
    /// Reads an instant: RFC 3339, or a local date, date and time, month or word.
    pub fn instant(&self, text: &str) -> Option<Timestamp> {
        let today = self.now.utc().with_timezone(&self.zone).date_naive();
        match text {
            "now" => return Some(self.now),
            "today" => return Some(self.midnight(today)),
            "yesterday" => return Some(self.midnight(today.pred_opt()?)),
            _ => {}
        }
        if let Some(at) = Timestamp::parse(text) {
            return Some(at);
        }
        if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Some(self.midnight(day));
        }
        if let Ok(month) = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d") {
            return Some(self.midnight(month));
        }
        let shapes = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"];
        let local = shapes.iter().find_map(|shape| NaiveDateTime::parse_from_str(text, shape).ok());
        local.map(|local| first_instant(self.zone, local))
    }

    /// The instant that lies `text` before now, such as `30m`, `24h`, `7d`, `2w`, `3mo` or
    /// `1y`. Hours are hours; days and longer keep the local time of day.
    pub fn ago(&self, text: &str) -> Option<Timestamp> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let count: u32 = text[..digits].parse().ok()?;
        let now = self.now.utc().with_timezone(&self.zone);
        let then = match &text[digits..] {
            "m" => return now.checked_sub_signed(TimeDelta::minutes(count.into())).map(Into::into),
            "h" => return now.checked_sub_signed(TimeDelta::hours(count.into())).map(Into::into),
            "d" => now.naive_local().checked_sub_days(Days::new(count.into())),
            "w" => now.naive_local().checked_sub_days(Days::new(u64::from(count) * 7)),
            "mo" => now.naive_local().checked_sub_months(Months::new(count)),
            "y" => now.naive_local().checked_sub_months(Months::new(count.checked_mul(12)?)),
            _ => return None,
        };
        then.map(|local| first_instant(self.zone, local))
    }

    fn midnight(&self, day: NaiveDate) -> Timestamp {
        first_instant(self.zone, day.and_time(NaiveTime::MIN))
    }
}

/// The quarter, hour, day, week or month of the local calendar that it is now: its first instant, and
/// the first after it.
pub fn around(granularity: Granularity, here: Here) -> (Timestamp, Timestamp) {
    let now = here.now.utc().with_timezone(&here.zone);
    let today = now.date_naive();
    let first = match granularity {
        Granularity::Quarter => {
            let quarter = here.now.millis().div_euclid(QUARTER_MS);
            return [quarter, quarter + 1].map(|at| Timestamp::from_millis(at * QUARTER_MS)).into();
        }
        Granularity::Hour => None,
        Granularity::Day => Some(today),
        Granularity::Week => {
            let since = u64::from(today.weekday().num_days_from_monday());
            today.checked_sub_days(Days::new(since))
        }
        Granularity::Month => today.with_day(1),
    };
    let begin = first.map_or_else(|| this_hour(now), |day| here.midnight(day));
    let end = next_edge(granularity, here.zone, begin).filter(|end| *end > here.now);
    (begin, end.unwrap_or_else(|| Timestamp::from_millis(here.now.millis() + 1)))
}

/// The edges of all buckets that `[from, to)` touches: `from` itself, each local edge
/// between, `to` itself. Nothing when that would be more than [`MOST_BUCKETS`] buckets.
pub fn edges(
    granularity: Granularity,
    zone: Tz,
    from: Timestamp,
    to: Timestamp,
) -> Option<Vec<Timestamp>> {
    let mut edges = vec![from];
    let mut at = from;
    while at < to {
        if edges.len() > MOST_BUCKETS {
            return None;
        }
        at = next_edge(granularity, zone, at)?.min(to);
        edges.push(at);
    }
    Some(edges)
}

/// The name of the bucket that starts at `at`: `2026-11-20`, `2026-11`, or an hour with the
/// offset that tells the two of a long night apart.
pub fn label(granularity: Granularity, zone: Tz, at: Timestamp) -> String {
    let local = at.utc().with_timezone(&zone);
    match granularity {
        Granularity::Quarter => local.format("%Y-%m-%dT%H:%M%:z").to_string(),
        Granularity::Hour => local.format("%Y-%m-%dT%H:00%:z").to_string(),
        Granularity::Day => local.format("%Y-%m-%d").to_string(),
        Granularity::Week => local.format("%G-W%V").to_string(),
        Granularity::Month => local.format("%Y-%m").to_string(),
    }
}

fn next_edge(granularity: Granularity, zone: Tz, at: Timestamp) -> Option<Timestamp> {
    let local = at.utc().with_timezone(&zone);
    let today = local.date_naive();
    let next_day = match granularity {
        Granularity::Quarter => {
            let quarter = at.millis().div_euclid(QUARTER_MS) + 1;
            return Some(Timestamp::from_millis(quarter * QUARTER_MS));
        }
        Granularity::Hour => return next_hour(local),
        Granularity::Day => today.succ_opt()?,
        Granularity::Week => {
            let left = 7 - u64::from(today.weekday().num_days_from_monday());
            today.checked_add_days(Days::new(left))?
        }
        Granularity::Month => today.with_day(1)?.checked_add_months(Months::new(1))?,
    };
    let edge = first_instant(zone, next_day.and_time(NaiveTime::MIN));
    // Where a clock change repeats midnight, the first one is the edge; do not stand still.
    if edge > at { Some(edge) } else { next_edge(granularity, zone, edge_after(at)) }
}

const QUARTER_MS: i64 = 15 * 60 * 1000;

fn edge_after(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.millis() + QUARTER_MS)
}

/// The first quarter of the hour that the local clock shows.
fn this_hour(local: DateTime<Tz>) -> Timestamp {
    let mut quarter = local.timestamp_millis().div_euclid(QUARTER_MS);
    for _ in 0..4 {
        let [at, earlier] = [quarter, quarter - 1].map(|quarter| {
            Timestamp::from_millis(quarter * QUARTER_MS).utc().with_timezone(&local.timezone())
        });
        if at.minute() == 0 || earlier.hour() != at.hour() {
            break;
        }
        quarter -= 1;
    }
    Timestamp::from_millis(quarter * QUARTER_MS)
}

/// Every offset in force since 1972 divides into quarters of an hour, so the next local
/// hour begins on one of the next quarters, also where clocks change by thirty minutes.
fn next_hour(local: DateTime<Tz>) -> Option<Timestamp> {
    let mut quarter = local.timestamp_millis().div_euclid(QUARTER_MS);
    for _ in 0..12 {
        quarter += 1;
        let at = Timestamp::from_millis(quarter * QUARTER_MS);
        let shown = at.utc().with_timezone(&local.timezone());
        if shown.minute() == 0 || shown.hour() != local.hour() {
            return Some(at);
        }
    }
    // An odd offset of long ago: fall back on hours of elapsed time.
    local.checked_add_signed(TimeDelta::hours(1)).map(Into::into)
}

/// The first instant at which the local clock shows `local`; inside a gap, as if the gap
/// had been filled by the clock before it.
fn first_instant(zone: Tz, local: NaiveDateTime) -> Timestamp {
    let mut probe = local;
    // The longest gap on record is a whole day (Samoa, 2011).
    for _ in 0..=(24 * 4) {
        match zone.from_local_datetime(&probe) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => return at.into(),
            LocalResult::None => match probe.checked_add_signed(TimeDelta::minutes(15)) {
                Some(later) => probe = later,
                None => break,
            },
        }
    }
    zone.from_utc_datetime(&local).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{Africa, America, Asia, Australia, Europe};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn here(zone: Tz, now: &str) -> Here {
        Here { now: at(now), zone }
    }

    #[test]
    fn a_bare_date_is_local_midnight() {
        let here = here(Europe::Berlin, "2026-11-20T22:30:00Z");
        assert_eq!(here.instant("2026-11-20"), Some(at("2026-11-19T23:00:00Z")));
        assert_eq!(here.instant("today"), Some(at("2026-11-19T23:00:00Z")));
        assert_eq!(here.instant("yesterday"), Some(at("2026-11-18T23:00:00Z")));
        assert_eq!(here.instant("2026-07"), Some(at("2026-06-30T22:00:00Z")));
        assert_eq!(here.instant("2026-07-01 08:15"), Some(at("2026-07-01T06:15:00Z")));
        assert_eq!(here.instant("2026-07-01T08:15:00-04:00"), Some(at("2026-07-01T12:15:00Z")));
        for wrong in ["", "tomorrow-ish", "2026-13-01", "20261120", "1763683200"] {
            assert_eq!(here.instant(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_period_around_now_is_the_users_own() {
        let late = here(Europe::Berlin, "2026-11-21T23:30:00Z");
        let is = |granularity| {
            let (from, to) = around(granularity, late);
            (from.to_string(), to.to_string())
        };
        let expected = |from: &str, to: &str| (at(from).to_string(), at(to).to_string());
        assert_eq!(is(Granularity::Hour), expected("2026-11-21T23:00:00Z", "2026-11-22T00:00:00Z"));
        assert_eq!(is(Granularity::Day), expected("2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z"));
        // It is Sunday there; the week began on Monday the 16th.
        assert_eq!(is(Granularity::Week), expected("2026-11-15T23:00:00Z", "2026-11-22T23:00:00Z"));
        assert_eq!(
            is(Granularity::Month),
            expected("2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z")
        );
        // The second of the two hours from 02:00 to 03:00 is one hour, not two.
        let twice = here(Europe::Berlin, "2026-10-25T01:20:00Z");
        let (from, to) = around(Granularity::Hour, twice);
        assert_eq!((from, to), (at("2026-10-25T01:00:00Z"), at("2026-10-25T02:00:00Z")));
        // Kathmandu's hours begin at a quarter to.
        let nepal = here(Asia::Kathmandu, "2026-11-21T12:20:00Z");
        assert_eq!(around(Granularity::Hour, nepal).0, at("2026-11-21T12:15:00Z"));
    }

    #[test]
    fn a_midnight_that_does_not_exist_is_the_first_instant_after_it() {
        let gap = here(America::Sao_Paulo, "2018-12-01T00:00:00Z");
        assert_eq!(gap.instant("2018-11-04"), Some(at("2018-11-04T03:00:00Z")));
        let lost_day = here(chrono_tz::Pacific::Apia, "2012-01-01T00:00:00Z");
        assert_eq!(lost_day.instant("2011-12-30"), Some(at("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn last_seven_days_keep_the_time_of_day_over_a_clock_change() {
        let here = here(Europe::Berlin, "2026-10-28T12:00:00Z");
        assert_eq!(here.ago("7d"), Some(at("2026-10-21T11:00:00Z")));
        assert_eq!(here.ago("168h"), Some(at("2026-10-21T12:00:00Z")));
        assert_eq!(here.ago("1mo"), Some(at("2026-09-28T11:00:00Z")));
        for wrong in ["", "7", "d", "-1d", "7 d", "99999999999d", "4294967295y"] {
            assert_eq!(here.ago(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_have_23_and_25_hours_where_clocks_change() {
        let hours = |from: &str, to: &str| -> Vec<i64> {
            let edges = edges(Granularity::Day, Europe::Berlin, at(from), at(to)).unwrap();
            edges.windows(2).map(|w| (w[1].millis() - w[0].millis()) / 3_600_000).collect()
        };
        assert_eq!(hours("2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z"), [24, 23, 24]);
        assert_eq!(hours("2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z"), [24, 25, 24]);
    }

    #[test]
    fn a_repeated_hour_is_two_buckets_with_two_names() {
        let (from, to) = (at("2026-10-25T00:00:00Z"), at("2026-10-25T02:00:00Z"));
        let edges = edges(Granularity::Hour, Europe::Berlin, from, to).unwrap();
        let names: Vec<String> =
            edges.iter().map(|e| label(Granularity::Hour, Europe::Berlin, *e)).collect();
        assert_eq!(
            names,
            ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"]
        );
    }

    #[test]
    fn hours_follow_local_clocks_with_odd_offsets() {
        let (from, to) = (at("2026-11-20T00:20:00Z"), at("2026-11-20T02:00:00Z"));
        let kathmandu = edges(Granularity::Hour, Asia::Kathmandu, from, to).unwrap();
        let want = ["00:20", "01:15", "02:00"];
        for (edge, want) in kathmandu.iter().zip(want) {
            assert_eq!(&edge.to_string()[11..16], want);
        }
        // Lord Howe Island's clocks change by half an hour.
        let (from, to) = (at("2026-10-03T14:30:00Z"), at("2026-10-03T17:00:00Z"));
        let howe = edges(Granularity::Hour, Australia::Lord_Howe, from, to).unwrap();
        let minutes = howe.windows(2).map(|w| (w[1].millis() - w[0].millis()) / 60_000);
        assert_eq!(minutes.collect::<Vec<_>>(), [60, 30, 60]);
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let (from, to) = (at("2026-11-18T00:00:00Z"), at("2026-12-08T00:00:00Z"));
        let dates = |g| -> Vec<String> {
            let edges = edges(g, chrono_tz::UTC, from, to).unwrap();
            edges.iter().map(|e| e.to_string()[..10].to_owned()).collect()
        };
        let weeks = ["2026-11-18", "2026-11-23", "2026-11-30", "2026-12-07", "2026-12-08"];
        assert_eq!(dates(Granularity::Week), weeks);
        assert_eq!(dates(Granularity::Month), ["2026-11-18", "2026-12-01", "2026-12-08"]);
        assert_eq!(label(Granularity::Week, chrono_tz::UTC, to), "2026-W50");
    }

    #[test]
    fn every_zone_gets_forward_through_every_year() {
        for zone in [Europe::London, America::Havana, Africa::Cairo, chrono_tz::Pacific::Apia] {
            for granularity in Granularity::ALL.iter().skip(2) {
                let (from, to) = (at("2008-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
                let edges = edges(*granularity, zone, from, to).unwrap();
                assert!(edges.windows(2).all(|w| w[0] < w[1]), "{zone} {granularity}");
            }
        }
    }

    #[test]
    fn too_many_buckets_are_refused() {
        let (from, to) = (at("2000-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
        assert_eq!(edges(Granularity::Hour, chrono_tz::UTC, from, to), None);
    }
}
