//! Rankings: billed in search units, which `meta.billed_units` tells, or in tokens.

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want};
use crate::usage::Factor;

/// Reads rankings.
#[derive(Debug, Default)]
pub(super) struct Rerank;

impl Shape for Rerank {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["id" | "model"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["usage" | "meta"], Kind::Object) => Want::Keep(USAGE_LIMIT),
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["id"] => name(&mut answer.id, json),
            ["model"] => name(&mut answer.model, json),
            _ => answer.snapshot(json),
        }
    }

    fn document(&mut self, _document: Document<'_>, answer: &mut Answer) {
        answer.complete();
    }

    fn guess(&self) -> Guess {
        Guess::Nothing
    }

    fn bill(&mut self, answer: &mut Answer, _call: Call<'_>) {
        let usage = std::mem::take(&mut answer.usage);
        let units = usage.first_count(&["billed_units.search_units", "search_units"]);
        answer.reported(Factor::RerankSearchUnits, units);
        let tokens = usage.first_count(&[
            "billed_units.input_tokens",
            "total_tokens",
            "prompt_tokens",
            "tokens.input_tokens",
        ]);
        if units.is_none() {
            answer.reported(Factor::InputText, tokens);
        }
        answer.reported_cost = openai_usage::cost(&usage);
        answer.usage = usage;
    }
}
