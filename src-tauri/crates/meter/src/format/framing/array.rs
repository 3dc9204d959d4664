//! A stream that is one JSON array: each object in it is a document.

use super::{Document, Parts};

/// Splits at the array's own commas.
#[derive(Debug, Default)]
pub(in crate::format) struct Array {
    inside: bool,
}

impl Array {
    pub(super) fn push(&mut self, mut bytes: &[u8], parts: &mut impl Parts) {
        while !bytes.is_empty() {
            if !self.inside {
                // Brackets and commas of the outer array, and scalars, which say nothing.
                let Some(at) = bytes.iter().position(|b| *b == b'{') else { return };
                bytes = &bytes[at..];
                self.inside = true;
            }
            let taken = parts.bytes(bytes);
            if parts.is_broken() {
                return;
            }
            if parts.is_complete() {
                parts.end(Document::Item);
                self.inside = false;
            }
            bytes = &bytes[taken..];
        }
    }
}
