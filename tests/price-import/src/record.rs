//! What is written: the shape of `prices/*.json`, one model a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;

/// Rates by factor.
pub(crate) type Row = BTreeMap<String, Decimal>;

/// Rates and what they become beyond thresholds, in tokens (strictly greater).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) base: Row,
    pub(crate) above: BTreeMap<u64, Row>,
}

/// A version as it stands in the book.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Version {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    pub(crate) rates: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) above: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) windows: Vec<serde_json::Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) at_least: BTreeMap<String, u64>,
}

/// A model as it stands in the book.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) aliases: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) multiply: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) free: bool,
    /// `single` is not written: most are.
    #[serde(default, skip_serializing_if = "is_single")]
    pub(crate) confidence: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) sources: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
    pub(crate) versions: Vec<Version>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tiers: BTreeMap<String, Vec<Version>>,
}

fn is_single(confidence: &str) -> bool {
    matches!(confidence, "" | "single")
}

impl Version {
    pub(crate) fn of(rows: &Rows) -> Self {
        let text = |row: &Row| row.iter().map(|(f, r)| (f.clone(), r.to_string())).collect();
        let above = rows.above.iter().map(|(start, row)| (threshold(*start), text(row)));
        Self { rates: text(&rows.base), above: above.collect(), ..Self::default() }
    }
}

/// A library that knows only "more than" writes "at least 200,000" as "more than 199,999".
fn threshold(start: u64) -> String {
    if start % 1000 == 999 { format!(">={}", start + 1) } else { format!(">{start}") }
}

/// The file's text: the head's fields, then one model a line.
pub(crate) fn file(
    provider: &str,
    head: &serde_json::Map<String, serde_json::Value>,
    models: &[Model],
) -> anyhow::Result<String> {
    let mut text = format!("{{\n\"provider\": {},\n", serde_json::to_string(provider)?);
    for (key, value) in head {
        text += &format!("{}: {},\n", serde_json::to_string(key)?, serde_json::to_string(value)?);
    }
    let lines: Vec<String> = models.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(text + "\"models\": [\n" + &lines.join(",\n") + "\n]}\n")
}
