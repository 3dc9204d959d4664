//! Documents read by OCR, billed by the page.

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::{Guess, NAME_LIMIT, Shape, USAGE_LIMIT};
use crate::json::{Kind, Want};
use crate::usage::Factor;

/// Reads what was read.
#[derive(Debug, Default)]
pub(super) struct Ocr;

impl Shape for Ocr {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["id" | "model"], Kind::String) => Want::Keep(NAME_LIMIT),
            (["usage_info"], Kind::Object) => Want::Keep(USAGE_LIMIT),
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
        let pages = answer.usage.count("pages_processed");
        answer.reported(Factor::OcrPages, pages);
    }
}
