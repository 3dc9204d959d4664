//! Undoes content codings on a copy of the bytes that pass: incremental, with output after every
//! flush of the sender's, bounded in memory and in how much it may blow up. What went by is never
//! altered by what happens here.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

/// Codings undone one inside the other; more than that is nobody's honest answer.
const MOST_CODINGS: usize = 3;
/// Compressed bytes fed at a time: bounds what one step can blow up to.
const STEP: usize = 4 * 1024;
/// Decoded bytes allowed per byte that came in, once past the first [`FREE`].
const MOST_RATIO: u64 = 200;
/// Decoded bytes allowed whatever came in.
const FREE: u64 = 1024 * 1024;
/// The largest zstd window accepted, as a power of two: what RFC 8878 §3.1.1.1.2 recommends.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The bytes are not what their `content-encoding` says, or blow up beyond all measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not in the coding its `content-encoding` names")]
pub(crate) struct Undecodable;

/// Decodes one body as its bytes arrive.
pub(crate) struct Decoder {
    /// Outermost coding first.
    stages: Vec<Stage>,
    came_in: u64,
    came_out: u64,
    most_out: u64,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({} codings)", self.stages.len())
    }
}

impl Decoder {
    /// For a body with these `content-encoding` values, in order. `None`: a coding we do not know.
    /// `most_out` bounds the decoded bytes altogether.
    pub(crate) fn new<'a>(codings: impl Iterator<Item = &'a str>, most_out: u64) -> Option<Self> {
        let names = codings.flat_map(|value| value.split(',')).map(str::trim);
        let mut stages = Vec::new();
        for name in names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"))
        {
            stages.push(Stage::new(name)?);
        }
        // Listed in the order of application, so undone from the end.
        stages.reverse();
        let fits = stages.len() <= MOST_CODINGS;
        fits.then_some(Self { stages, came_in: 0, came_out: 0, most_out })
    }

    /// Shows the next bytes; `sink` gets what they decode to, in pieces.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Undecodable> {
        if self.stages.is_empty() {
            sink(bytes);
            return Ok(());
        }
        for step in bytes.chunks(STEP) {
            self.came_in += step.len() as u64;
            let allowed = FREE.saturating_add(self.came_in.saturating_mul(MOST_RATIO));
            let allowed = allowed.min(self.most_out);
            let mut produced = 0;
            run(&mut self.stages, step, &mut |out| {
                produced += out.len() as u64;
                if self.came_out + produced > allowed {
                    return Err(Undecodable);
                }
                sink(out);
                Ok(())
            })?;
            self.came_out += produced;
        }
        Ok(())
    }
}

/// Runs bytes through the stages, outermost first.
fn run(
    stages: &mut [Stage],
    bytes: &[u8],
    sink: &mut dyn FnMut(&[u8]) -> Result<(), Undecodable>,
) -> Result<(), Undecodable> {
    match stages.split_first_mut() {
        None => sink(bytes),
        Some((stage, inner)) => stage.push(bytes, &mut |out| run(inner, out, sink)),
    }
}

/// One coding.
enum Stage {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Raw(Box<DeflateDecoder<Vec<u8>>>),
    /// `deflate` means zlib, but some send it raw: the first two bytes tell.
    Deflate(Vec<u8>),
    Brotli(Box<brotli::DecompressorWriter<Vec<u8>>>),
    Zstd(Box<ZstdDecoder<'static>>),
}

impl Stage {
    fn new(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))),
            "deflate" => Some(Self::Deflate(Vec::new())),
            "br" => Some(Self::Brotli(Box::new(brotli::DecompressorWriter::new(Vec::new(), STEP)))),
            "zstd" => {
                let mut decoder = ZstdDecoder::new().ok()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
                Some(Self::Zstd(Box::new(decoder)))
            }
            _ => None,
        }
    }

    fn push(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Undecodable>,
    ) -> Result<(), Undecodable> {
        match self {
            Self::Gzip(decoder) => {
                written(&mut **decoder, bytes)?;
                emptied(decoder.get_mut(), sink)
            }
            Self::Zlib(decoder) => {
                written(&mut **decoder, bytes)?;
                emptied(decoder.get_mut(), sink)
            }
            Self::Raw(decoder) => {
                written(&mut **decoder, bytes)?;
                emptied(decoder.get_mut(), sink)
            }
            Self::Brotli(decoder) => {
                written(&mut **decoder, bytes)?;
                emptied(decoder.get_mut(), sink)
            }
            Self::Zstd(decoder) => unzstd(decoder, bytes, sink),
            Self::Deflate(first) => {
                first.extend_from_slice(bytes);
                let [low, high, ..] = first[..] else { return Ok(()) };
                let is_zlib = low & 0x0f == 8 && u16::from_be_bytes([low, high]) % 31 == 0;
                let first = std::mem::take(first);
                *self = match is_zlib {
                    true => Self::Zlib(Box::new(ZlibDecoder::new(Vec::new()))),
                    false => Self::Raw(Box::new(DeflateDecoder::new(Vec::new()))),
                };
                self.push(&first, sink)
            }
        }
    }
}

/// Writes a step and everything it decodes to.
fn written(decoder: &mut dyn Write, bytes: &[u8]) -> Result<(), Undecodable> {
    let mut all = || -> io::Result<()> {
        decoder.write_all(bytes)?;
        decoder.flush()
    };
    all().map_err(|_| Undecodable)
}

/// Hands on what was decoded and keeps a small buffer for the next step.
fn emptied(
    out: &mut Vec<u8>,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), Undecodable>,
) -> Result<(), Undecodable> {
    let result = if out.is_empty() { Ok(()) } else { sink(out) };
    out.clear();
    out.shrink_to(16 * STEP);
    result
}

fn unzstd(
    decoder: &mut ZstdDecoder<'static>,
    bytes: &[u8],
    sink: &mut dyn FnMut(&[u8]) -> Result<(), Undecodable>,
) -> Result<(), Undecodable> {
    let mut out = [0; 4 * STEP];
    let mut input = InBuffer::around(bytes);
    loop {
        let mut output = OutBuffer::around(&mut out[..]);
        decoder.run(&mut input, &mut output).map_err(|_| Undecodable)?;
        let produced = output.pos();
        if produced > 0 {
            sink(&out[..produced])?;
        }
        // A full buffer may have left something inside.
        if input.pos() == bytes.len() && produced < out.len() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const NO_CAP: u64 = u64::MAX;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn brotli(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(text).unwrap();
        out
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(text, 3).unwrap()
    }

    /// Decodes in pieces of this size.
    fn decoded(coding: &str, bytes: &[u8], piece: usize) -> Result<Vec<u8>, Undecodable> {
        let mut decoder = Decoder::new([coding].into_iter(), NO_CAP).expect("a known coding");
        let mut out = Vec::new();
        for part in bytes.chunks(piece) {
            decoder.push(part, &mut |bytes| out.extend_from_slice(bytes))?;
        }
        Ok(out)
    }

    #[test]
    fn every_coding_is_undone_however_it_is_split() {
        let text: Vec<u8> = (0..40_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(&text).unwrap();
        let (front, back) = text.split_at(1_000);
        for (coding, bytes) in [
            ("gzip", gzip(&text)),
            ("GZIP", [gzip(front), gzip(back)].concat()),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
            ("br", brotli(&text)),
            ("zstd", zstd(&text)),
            ("zstd", [zstd(front), zstd(back)].concat()),
            ("gzip, br", brotli(&gzip(&text))),
            ("identity", text.clone()),
        ] {
            for piece in [1, 7, 1 << 20] {
                assert!(
                    decoded(coding, &bytes, piece).as_deref() == Ok(&text),
                    "{coding} by {piece}"
                );
            }
        }
    }

    #[test]
    fn a_flush_of_the_sender_comes_out_at_once() {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(b"data: 1\n\n").unwrap();
        gz.flush().unwrap();
        assert_eq!(decoded("gzip", gz.get_ref(), 3).as_deref(), Ok(&b"data: 1\n\n"[..]));
        let mut zs = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        zs.write_all(b"data: 1\n\n").unwrap();
        zs.flush().unwrap();
        assert_eq!(decoded("zstd", zs.get_ref(), 3).as_deref(), Ok(&b"data: 1\n\n"[..]));
        let mut sent = Vec::new();
        let mut br = brotli::CompressorWriter::new(&mut sent, 4096, 5, 20);
        br.write_all(b"data: 1\n\n").unwrap();
        br.flush().unwrap();
        assert_eq!(decoded("br", br.get_ref(), 3).as_deref(), Ok(&b"data: 1\n\n"[..]));
    }

    #[test]
    fn what_is_not_in_its_coding_is_told() {
        for coding in ["gzip", "br", "zstd"] {
            let garbage = vec![b'x'; 10_000];
            assert_eq!(decoded(coding, &garbage, 100), Err(Undecodable), "{coding}");
        }
        assert!(Decoder::new(["compress"].into_iter(), NO_CAP).is_none());
        assert!(Decoder::new(["gzip, gzip, gzip, gzip"].into_iter(), NO_CAP).is_none());
    }

    #[test]
    fn a_bomb_is_left_alone_early() {
        let zeros = vec![0; 64 << 20];
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&zeros).unwrap();
        for (coding, bomb) in [("gzip", gzip.finish().unwrap()), ("zstd", zstd(&zeros))] {
            let mut decoder = Decoder::new([coding].into_iter(), NO_CAP).unwrap();
            let mut out = 0;
            let told = decoder.push(&bomb, &mut |bytes| out += bytes.len());
            assert_eq!(told, Err(Undecodable), "{coding}");
            assert!(out as u64 <= FREE + MOST_RATIO * bomb.len() as u64, "{coding} gave {out}");
        }
    }
}
