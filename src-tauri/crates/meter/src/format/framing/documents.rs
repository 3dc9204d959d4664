//! JSON documents one after the other: a plain body has one, newline-delimited JSON many.

use memchr::memchr;

use super::{Declared, Document, Parts};

/// Splits behind each document's last bracket.
#[derive(Debug)]
pub(in crate::format) struct Documents {
    next: Document<'static>,
}

impl Documents {
    pub(super) fn of(declared: Declared) -> Self {
        Self { next: if declared == Declared::Lines { Document::Item } else { Document::Whole } }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], parts: &mut impl Parts) {
        while !bytes.is_empty() {
            // After garbage, a new line is a new chance.
            if parts.is_broken() {
                let Some(at) = memchr(b'\n', bytes) else { return };
                parts.end(Document::Item);
                bytes = &bytes[at + 1..];
                continue;
            }
            let taken = parts.bytes(bytes);
            if parts.is_complete() {
                parts.end(self.next);
                self.next = Document::Item;
            }
            bytes = &bytes[taken..];
        }
    }
}
