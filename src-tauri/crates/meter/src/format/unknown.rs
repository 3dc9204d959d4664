//! Answers whose format is not known.

use super::answer::{Answer, Call, name};
use super::framing::Document;
use super::{Guess, NAME_LIMIT, Shape};
use crate::json::{Kind, Want};

/// An answer whose format is not known: nothing but errors and ids is read.
pub(super) struct Unknown;

impl Shape for Unknown {
    fn want(&mut self, path: &[&str], kind: Kind) -> Want {
        match (path, kind) {
            (["id" | "model"], Kind::String) => Want::Keep(NAME_LIMIT),
            _ => Want::Skip,
        }
    }

    fn kept(&mut self, path: &[&str], json: &str, answer: &mut Answer) {
        match path {
            ["id"] => name(&mut answer.id, json),
            ["model"] => name(&mut answer.model, json),
            _ => {}
        }
    }

    fn document(&mut self, document: Document<'_>, answer: &mut Answer) {
        if document == Document::Whole {
            answer.complete();
        }
    }

    fn marks_its_end(&self) -> bool {
        false
    }

    fn guess(&self) -> Guess {
        Guess::Nothing
    }

    fn bill(&mut self, _answer: &mut Answer, _call: Call<'_>) {}
}
