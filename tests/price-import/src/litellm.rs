//! The second witness: the JSON price map inside the `litellm` wheel. Today's list only, per
//! token; nothing of the library is installed or run.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::value::RawValue;

use crate::decimal::Decimal;
use crate::record::{Row, Rows};

/// The map, by the library's own keys.
pub(crate) struct Map(BTreeMap<String, Entry>);

/// One entry: field to raw JSON, so that numbers stay text.
pub(crate) struct Entry(BTreeMap<String, Box<RawValue>>);

/// Which of our factors each of the library's token fields is. `{w}` is the plain cache write.
const TOKENS: &[(&str, &str)] = &[
    ("input_cost_per_token", "input.text"),
    ("output_cost_per_token", "output.text"),
    ("cache_read_input_token_cost", "input.cache_read"),
    ("cache_creation_input_token_cost", "{w}"),
    ("cache_creation_input_token_cost_above_1hr", "input.cache_write_1h"),
    ("cache_creation_input_token_cost_above_12hr", "input.cache_write_12h"),
    ("input_cost_per_audio_token", "input.audio"),
    ("output_cost_per_audio_token", "output.audio"),
    ("cache_read_input_audio_token_cost", "input.cache_read.audio"),
    ("output_cost_per_reasoning_token", "output.reasoning"),
    ("input_cost_per_image_token", "input.image"),
    ("output_cost_per_image_token", "output.image"),
    ("cache_read_input_image_token_cost", "input.cache_read.image"),
    ("input_cost_per_video_token", "input.video"),
    ("output_cost_per_video_token", "output.video"),
];

/// Our tiers and the endings of the library's fields.
pub(crate) const TIERS: &[(&str, &str)] = &[
    ("batch", "_batches"),
    ("flex", "_flex"),
    ("priority", "_priority"),
    ("ultrafast", "_ultrafast"),
];

const THRESHOLDS: &[u64] = &[32, 100, 128, 200, 256, 272, 512];

impl Map {
    pub(crate) fn read(text: &str) -> Result<Self> {
        let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text)?;
        let entry = |(key, raw): (String, Box<RawValue>)| {
            let fields = serde_json::from_str(raw.get()).with_context(|| key.clone())?;
            Ok((key, Entry(fields)))
        };
        Ok(Self(raw.into_iter().map(entry).collect::<Result<_>>()?))
    }

    /// The entries of some of the library's providers, by id without one of the prefixes.
    pub(crate) fn of<'m>(
        &'m self,
        providers: &'m [String],
        prefixes: &'m [String],
    ) -> impl Iterator<Item = (String, &'m Entry)> {
        self.0.iter().filter_map(move |(key, entry)| {
            let provider = entry.text("litellm_provider")?;
            if !providers.contains(&provider) {
                return None;
            }
            let rest = prefixes.iter().find_map(|prefix| key.strip_prefix(&**prefix));
            Some((rest?.to_lowercase(), entry))
        })
    }
}

impl Entry {
    pub(crate) fn text(&self, field: &str) -> Option<String> {
        serde_json::from_str(self.0.get(field)?.get()).ok()
    }

    fn number(&self, field: &str) -> Option<Decimal> {
        let number = self.0.get(field)?.get().trim_matches('"').parse::<Decimal>().ok()?;
        number.without_dust_per_token()
    }

    /// A nested number such as `provider_specific_entry.us`.
    pub(crate) fn inner(&self, field: &str, key: &str) -> Option<String> {
        let inner: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(self.0.get(field)?.get()).ok()?;
        Some(inner.get(key)?.get().to_owned())
    }

    pub(crate) fn raw(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(|raw| raw.get())
    }

    /// Token rates per million of one tier (`""` is standard), with their thresholds.
    pub(crate) fn tokens(&self, tier: &str, cache_write: &str) -> Rows {
        let mut rows = Rows::default();
        for (field, factor) in TOKENS {
            let factor = if *factor == "{w}" { cache_write } else { factor };
            if let Some(rate) = self.number(&format!("{field}{tier}")) {
                rows.base.insert(factor.into(), rate.shifted(6));
            }
            for thousands in THRESHOLDS {
                let field = format!("{field}_above_{thousands}k_tokens{tier}");
                if let Some(rate) = self.number(&field) {
                    let row: &mut Row = rows.above.entry(thousands * 1000).or_default();
                    row.insert(factor.into(), rate.shifted(6));
                }
            }
        }
        if tier.is_empty() {
            self.steps(&mut rows);
        }
        // Zero writes mean that writing is not billed apart, which is no rate.
        rows.base.retain(|factor, rate| !factor.contains("write") || *rate != Decimal::ZERO);
        rows
    }

    /// The library's other way to write thresholds: a list of ranges with their rates.
    fn steps(&self, rows: &mut Rows) {
        let steps: Vec<Self> = self.raw("tiered_pricing").map_or_else(Vec::new, |raw| {
            let raw: Vec<BTreeMap<String, Box<RawValue>>> =
                serde_json::from_str(raw).unwrap_or_default();
            raw.into_iter().map(Self).collect()
        });
        for step in &steps {
            let range: Vec<u64> = step.raw("range").map_or_else(Vec::new, |raw| {
                let ends: Vec<f64> = serde_json::from_str(raw).unwrap_or_default();
                ends.into_iter().map(|end| end as u64).collect()
            });
            let Some(start) = range.first() else { continue };
            for (field, factor) in &TOKENS[..3] {
                let Some(rate) = step.number(field) else { continue };
                let row = if *start == 0 {
                    &mut rows.base
                } else {
                    rows.above.entry(*start).or_default()
                };
                row.insert((*factor).into(), rate.shifted(6));
            }
        }
    }

    /// What is not counted in tokens: rate text by factor.
    pub(crate) fn others(&self) -> BTreeMap<String, String> {
        let mut rates = BTreeMap::new();
        let mode = self.text("mode").unwrap_or_default();
        let mut put = |factor: &str, field: &str, places: i32, per: &str| {
            if let Some(rate) = self.number(field).filter(|rate| *rate != Decimal::ZERO) {
                rates.insert(factor.to_owned(), format!("{}{per}", rate.shifted(places)));
            }
        };
        match &*mode {
            "image_generation" | "image_edit" => {
                put("images.generated", "output_cost_per_image", 0, "");
            }
            "audio_transcription" => {
                put("audio.input_seconds", "output_cost_per_second", 0, "");
                put("audio.input_seconds", "input_cost_per_second", 0, "");
            }
            "audio_speech" => put("tts.characters", "input_cost_per_character", 6, ""),
            "rerank" => put("rerank.search_units", "input_cost_per_query", 3, ""),
            "ocr" => put("ocr.pages", "ocr_cost_per_page", 3, ""),
            "video_generation" => {
                put("video.seconds", "output_cost_per_second", 0, "");
                for size in ["480p", "720p", "1080p", "4k"] {
                    let factor = format!("video.seconds[resolution={size}]");
                    put(&factor, &format!("output_cost_per_second_{size}"), 0, "");
                }
            }
            _ => {}
        }
        if let Some(search) = self.search() {
            rates.insert("tool.web_search".into(), search.shifted(3).to_string());
        }
        rates
    }

    /// The fee of a web search where it does not depend on anything.
    fn search(&self) -> Option<Decimal> {
        let all = ["low", "medium", "high"].map(|size| {
            let fee =
                self.inner("search_context_cost_per_query", &format!("search_context_size_{size}"));
            fee?.parse::<Decimal>().ok()
        });
        all[0].filter(|_| all[0] == all[1] && all[1] == all[2])
    }
}
