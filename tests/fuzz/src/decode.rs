//! The decoders of content codings. The gateway keeps them to itself, so its file is read here.

#[path = "../../../src-tauri/crates/gateway/src/decode.rs"]
mod decoder;

use decoder::Decoder;

use crate::{heap, pieces};

/// Decoded bytes allowed altogether.
const MOST_OUT: u64 = 64 * 1024 * 1024;
/// Three codings at once: windows of 8 MiB (zstd) and 16 MiB (brotli) and what one step makes.
const MOST_HELD: usize = 96 * 1024 * 1024;

/// Combinations seen in the wild, and worse ones.
const CODINGS: [&str; 8] =
    ["gzip", "deflate", "br", "zstd", "gzip, br", "zstd,gzip", "deflate, zstd, br", "identity"];

/// Decodes the rest of `input` as its first byte says.
pub fn check(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else { return };
    let codings = CODINGS[usize::from(*kind) % CODINGS.len()];
    let whole = decoded(codings, std::iter::once(body));
    let pieces = decoded(codings, pieces::hostile(body));
    match (whole, pieces) {
        // Brotli's decoder keeps the last of a body that is not over; how much depends on the
        // pieces.
        (Some(whole), Some(pieces)) if codings.contains("br") => {
            let is_alike = whole.starts_with(&pieces) || pieces.starts_with(&whole);
            assert!(is_alike, "in pieces {} and {} bytes", whole.len(), pieces.len());
        }
        _ if codings.contains("br") => {}
        // What came out before the decoder gave up depends on the pieces; a good body's does not.
        (whole, pieces) => assert!(whole == pieces, "in pieces"),
    }
    let held = most_held(codings, body);
    assert!(held <= MOST_HELD, "{held} bytes were held");
}

/// All that came out. `None`: it gave up.
pub(crate) fn decoded<'b>(
    codings: &str,
    pieces: impl Iterator<Item = &'b [u8]>,
) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(std::iter::once(codings), MOST_OUT)?;
    let mut all = Vec::new();
    for piece in pieces {
        decoder.push(piece, &mut |out: &[u8]| all.extend_from_slice(out)).ok()?;
    }
    Some(all)
}

fn most_held(codings: &str, body: &[u8]) -> usize {
    let mut decoder = None;
    let mut rest = body.chunks(4096);
    heap::most_held(|| {
        let new = || Decoder::new(std::iter::once(codings), MOST_OUT);
        let Some(decoder) = decoder.get_or_insert_with(new) else { return false };
        rest.next().is_some_and(|piece| decoder.push(piece, &mut |_| {}).is_ok())
    })
}
