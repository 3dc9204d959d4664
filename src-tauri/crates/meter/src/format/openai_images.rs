//! OpenAI-shaped images. Some models bill tokens, which are reported; others bill images,
//! which are counted here, with the size and quality of the answer or else of the request.

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT, openai_usage};
use crate::json::{Kind, Want, plain};
use crate::leaves::Leaves;
use crate::usage::{Basis, Count, Factor, UsageLine};

/// Reads images.
#[derive(Debug, Default)]
pub(super) struct Images {
    count: u64,
    /// Of the answer: `size`, `quality`, and what else a price depends on.
    attributes: Vec<(Box<str>, Box<str>)>,
    /// This event brings a finished image.
    is_image: bool,
    usage: Option<Leaves>,
    /// The model that drew vectors, with tokens of its own.
    vectors: Option<Leaves>,
}

impl Shape for Images {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["model" | "id" | "type" | "size" | "quality" | "output_format"], Kind::String) => {
                Want::Keep(NAME_LIMIT)
            }
            (["usage" | "svg_usage"], Kind::Object) => Want::Keep(USAGE_LIMIT),
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
            ["usage"] => self.usage = Some(Leaves::of(json)),
            ["svg_usage"] => self.vectors = Some(Leaves::of(json)),
            [key] => {
                self.attributes.retain(|(known, _)| **known != **key);
                self.attributes.push(((*key).into(), plain(json).into()));
            }
            _ => {}
        }
        if path == ["usage"] {
            answer.usage_raw = crate::receipt::RawUsage::new(json);
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        // Several images of one call each bring their own usage.
        if let Some(usage) = self.usage.take() {
            answer.usage = sum(&answer.usage, &usage);
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
        let Some(usage) = &self.vectors else { return };
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
