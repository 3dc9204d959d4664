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
    let whole = decode(codings, std::iter::once(body));
    let pieces = decode(codings, pieces::hostile(body));
    // What came out before the decoder gave up depends on the pieces; a good body's does not.
    if whole.is_ok() || pieces.is_ok() {
        assert_eq!(whole, pieces, "in pieces");
    }
    let held = most_held(codings, body);
    assert!(held <= MOST_HELD, "{held} bytes were held");
}

/// Length and sum of what came out; a megabyte of zeros need not be kept to be compared.
fn decode<'b>(codings: &str, pieces: impl Iterator<Item = &'b [u8]>) -> Result<(u64, u64), ()> {
    let mut decoder = Decoder::new(std::iter::once(codings), MOST_OUT).ok_or(())?;
    let (mut length, mut sum) = (0, 0_u64);
    for piece in pieces {
        let mut sink = |out: &[u8]| {
            length += out.len() as u64;
            let fold = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
            sum = out.iter().fold(sum, fold);
        };
        decoder.push(piece, &mut sink).map_err(|_| ())?;
    }
    Ok((length, sum))
}

/// All that came out, of a whole body.
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
