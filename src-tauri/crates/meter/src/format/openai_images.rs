//! OpenAI-shaped images. Some models bill tokens, which are reported; others bill images,
//! which are counted here, with the size and quality of the answer or else of the request.

use serde_json::value::RawValue;

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::members::Members;
use super::reread::Recorded;
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want, plain};
use crate::leaves::Leaves;
use crate::receipt::RawUsage;
use crate::usage::{Basis, Count, Factor, UsageLine};

/// Usage of another model, beside that of the call.
const VECTORS: &str = "svg_usage";

/// Usage objects kept; a call makes a handful of images.
const MOST: usize = 16;

/// Reads images.
#[derive(Debug, Default)]
pub(super) struct Images {
    count: u64,
    /// Of the answer: `size`, `quality`, and what else a price depends on.
    attributes: Vec<(Box<str>, Box<str>)>,
    /// This event brings a finished image.
    is_image: bool,
    usage: Option<Box<str>>,
    /// The usage objects so far, one of each finished image.
    told: Vec<Box<str>>,
    /// The model that drew vectors, with tokens of its own.
    vectors: Option<Box<str>>,
}

impl Shape for Images {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["model" | "id" | "type" | "size" | "quality" | "output_format"], Kind::String) => {
                Want::Keep(NAME_LIMIT)
            }
            (["usage" | VECTORS], Kind::Object) => Want::Keep(USAGE_LIMIT),
            (["data"], Kind::Array) => Want::Walk,
            (["data", _], Kind::Object) => {
                self.count += 1;
                Want::Skip
            }
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["model"] => name(&mut answer.model, json),
            ["id"] => name(&mut answer.id, json),
            ["type"] => self.is_image = json.ends_with(".completed\""),
            ["usage"] => self.usage = Some(json.into()),
            [VECTORS] => self.vectors = Some(json.into()),
            [key] => {
                self.attributes.retain(|(known, _)| **known != **key);
                self.attributes.push(((*key).into(), plain(json).into()));
            }
            _ => {}
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        // Several images of one call each bring their own usage.
        if let Some(usage) = self.usage.take() {
            answer.usage = sum(&answer.usage, &Leaves::of(&usage));
            if self.told.len() <= MOST {
                self.told.push(usage);
            }
            answer.set_raw(raw(&self.told));
        }
        let is_image = std::mem::take(&mut self.is_image);
        self.count += u64::from(is_image);
        answer.seen.content |= is_image || self.count > 0;
        if is_image || document == Document::Whole {
            answer.complete();
        }
    }

    fn guess(&self) -> Guess {
        Guess::Nothing
    }

    fn recall(&mut self, recorded: &Recorded<'_>, answer: &mut Answer) {
        let told = recorded.usage.as_str();
        let several: Vec<&RawValue> = serde_json::from_str(told).unwrap_or_default();
        if several.is_empty() {
            answer.usage = Leaves::of(told);
            self.vectors = Members::of(told).get(VECTORS).map(Into::into);
        }
        for usage in several {
            answer.usage = sum(&answer.usage, &Leaves::of(usage.get()));
        }
    }

    fn bill(&mut self, answer: &mut Answer, call: Call<'_>) {
        openai_usage::bill(answer, call);
        let is_split =
            answer.usage.all().any(|(path, _)| path.starts_with("output_tokens_details."));
        for line in answer.lines.iter_mut().filter(|_| !is_split) {
            if line.factor == Factor::OutputText {
                line.factor = Factor::OutputImage;
            }
        }
        if self.count > 0 {
            let mut attributes = self.attributes.clone();
            let of_request = call.asked.attributes.iter();
            attributes.extend(of_request.filter(|(key, _)| !has(&self.attributes, key)).cloned());
            answer.lines.push(UsageLine {
                basis: Basis::Derived,
                attributes,
                ..UsageLine::reported(Factor::ImagesGenerated, self.count)
            });
        }
        self.vectors(answer);
    }
}

impl Images {
    fn vectors(&self, answer: &mut Answer) {
        let Some(told) = &self.vectors else { return };
        answer.keep_beside(VECTORS, told);
        let usage = Leaves::of(told);
        let reasoning = usage.count("reasoning_tokens").filter(|count| !count.is_zero());
        let output = usage.count("output_tokens");
        let text = output.map(|all| all.less(reasoning.unwrap_or_default()).unwrap_or_default());
        for (factor, count) in [
            (Factor::InputText, usage.count("input_tokens")),
            (Factor::OutputText, text),
            (Factor::OutputReasoning, reasoning),
        ] {
            let model = usage.text("model").map(Into::into);
            let line = count.map(|count| UsageLine::reported(factor, count));
            answer.lines.extend(line.map(|line| UsageLine { model, ..line }));
        }
    }
}

fn has(attributes: &[(Box<str>, Box<str>)], key: &str) -> bool {
    attributes.iter().any(|(known, _)| **known == *key)
}

/// One object as it is, several as a list.
fn raw(told: &[Box<str>]) -> Option<RawUsage> {
    match told {
        [one] => RawUsage::new(one),
        many if many.len() > MOST => None,
        several => RawUsage::new(&format!("[{}]", several.join(","))),
    }
}

/// Field by field.
fn sum(one: &Leaves, other: &Leaves) -> Leaves {
    let mut sum = one.clone();
    for (path, value) in other.all() {
        match (one.count(path), Count::parse(value)) {
            (Some(before), Some(more)) => sum.set(path, &before.plus(more).to_string()),
            _ => sum.set(path, value),
        }
    }
    sum
}
