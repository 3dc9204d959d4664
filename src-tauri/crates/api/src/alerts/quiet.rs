//! Hours in which nothing disturbs, by the clock of the user's zone.

use std::fmt;
use std::str::FromStr;

use chrono::{Days, NaiveTime};
use meter::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::period::Here;

/// From one time of day until another, over midnight if that comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// Such as `22:00`.
    #[specta(type = String)]
    pub from: TimeOfDay,
    /// Such as `07:00`; if it is the same nothing is ever quiet.
    #[specta(type = String)]
    pub to: TimeOfDay,
}

/// Hours and minutes of a wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(NaiveTime);

impl QuietHours {
    /// When the quiet that there is now ends; nothing when it is not quiet.
    pub fn end(self, here: Here) -> Option<Timestamp> {
        let now = here.now.utc().with_timezone(&here.zone).naive_local();
        let time = TimeOfDay(now.time());
        let is_quiet = match self.from <= self.to {
            true => self.from <= time && time < self.to,
            false => self.from <= time || time < self.to,
        };
        let is_today = time < self.to;
        let day = now.date().checked_add_days(Days::new(u64::from(!is_today)))?;
        is_quiet.then(|| here.instant(&format!("{day}T{}", self.to))).flatten()
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}–{}", self.from, self.to)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%H:%M"))
    }
}

impl FromStr for TimeOfDay {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NaiveTime::parse_from_str(text, "%H:%M").map(Self)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map_err(|_| {
            let text: String = text.chars().take(40).collect();
            serde::de::Error::custom(format!("`{text}` is no time of day such as `22:00`"))
        })
    }
}
