//! What was decided by people: which sources make which book, and who is right where they
//! contradict each other. Read from `decisions/<book>.json`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::doubt::Doubt;
use crate::record::{Model, Version};

/// One book's decisions.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decisions {
    /// The base library's providers.
    #[serde(default)]
    pub(crate) genai: Vec<String>,
    /// Only its models that start so; empty is all.
    #[serde(default)]
    pub(crate) only: Vec<String>,
    /// None of its models that start so.
    #[serde(default)]
    pub(crate) never: Vec<String>,
    #[serde(default)]
    pub(crate) litellm: Witness,
    /// The factor of a cache write whose lifetime the libraries do not name.
    pub(crate) cache_write: String,
    /// Models that cost nothing: those whose id contains one of these and that have no rates.
    #[serde(default)]
    pub(crate) free: Vec<String>,
    /// Who is right where nothing else is said.
    pub(crate) right: Option<Right>,
    /// Ids seen on the wire, looked up by the base library's rules.
    #[serde(default)]
    pub(crate) ids: Vec<String>,
    /// Copied to the top of the book.
    #[serde(default)]
    pub(crate) head: serde_json::Map<String, serde_json::Value>,
    /// By model id.
    #[serde(default)]
    pub(crate) models: BTreeMap<String, Decision>,
    /// Past rates that the sources contradict each other about, by id.
    #[serde(default)]
    pub(crate) doubts: BTreeMap<String, Vec<Doubt>>,
    /// Models written by hand.
    #[serde(default)]
    pub(crate) extra: Vec<Model>,
}

/// What is taken from the second witness besides its vote.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Witness {
    #[serde(default)]
    pub(crate) providers: Vec<String>,
    /// What stands before our ids in its keys; `""` where nothing does.
    #[serde(default)]
    pub(crate) prefixes: Vec<String>,
    /// Tiers that are taken where the base does not have them for a model.
    #[serde(default)]
    pub(crate) tiers: Vec<String>,
    /// Multiplier name to the field that says a model is subject to it (`field` or `field.key`).
    #[serde(default)]
    pub(crate) multipliers: BTreeMap<String, String>,
    /// Models that only this witness has: those that start so.
    #[serde(default)]
    pub(crate) models: Vec<String>,
    /// Models to which it adds nothing: those whose id contains one of these.
    #[serde(default)]
    pub(crate) adds_nothing_to: Vec<String>,
    /// Never compared nor taken: it says nothing or something else about these factors.
    #[serde(default)]
    pub(crate) ignore: Vec<String>,
}

/// What was decided about one model.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// Who is right where the two differ.
    pub(crate) right: Option<Right>,
    /// Since when a dispute or the witness's rates hold, where earlier prices are not in doubt.
    pub(crate) since: Option<String>,
    #[serde(default)]
    pub(crate) note: String,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) multiply: Vec<String>,
    /// Not in the book at all.
    #[serde(default)]
    pub(crate) drop: bool,
    #[serde(default)]
    pub(crate) free: bool,
    /// Instead of the libraries' versions.
    pub(crate) versions: Option<Vec<Version>>,
    /// Instead of the libraries' versions of these tiers.
    #[serde(default)]
    pub(crate) tiers: BTreeMap<String, Vec<Version>>,
    /// On top of every version's rates.
    #[serde(default)]
    pub(crate) rates: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) at_least: BTreeMap<String, u64>,
}

/// Who is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Right {
    Genai,
    Litellm,
    /// Nobody knows: the range is written.
    Disputed,
}
