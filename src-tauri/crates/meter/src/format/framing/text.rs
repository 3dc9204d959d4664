//! A body that is no JSON: an error page, a sentence, or something binary.

use super::Parts;

/// Bytes kept of it; tags are taken out later.
const LIMIT: usize = 2048;

/// Keeps the first part.
#[derive(Debug, Default)]
pub(in crate::format) struct Text {
    kept: Vec<u8>,
}

impl Text {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = LIMIT - self.kept.len();
        self.kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    pub(super) fn finish(&self, parts: &mut impl Parts) {
        parts.text(&String::from_utf8_lossy(&self.kept));
    }
}
