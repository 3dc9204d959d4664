//! Makes new inputs of old ones. Knows what JSON, event streams and numbers look like.

use fastrand::Rng;

/// Longest input that is made; longer ones are [`pumped`].
pub const LONGEST: usize = 64 * 1024;

/// Pieces that mean something to somebody.
const WORDS: [&[u8]; 48] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"\\u0000",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e309",
    b"18446744073709551616",
    b"1e-400",
    b"0.5",
    b"\"7\"",
    b"\n",
    b"\n\n",
    b"\r",
    b"\r\n",
    b"\r\n\r\n",
    b"data:",
    b"data: ",
    b"event: error\n",
    b"id: 1\n",
    b": comment\n",
    b"data: [DONE]\n\n",
    b"[DONE]",
    b"retry: 1",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\x00",
    b"\xf0\x9f\x98",
    b"\"usage\":{",
    b"\"usage\":null,",
    b"\"error\":{\"message\":\"no\"}",
    b"\"model\":\"m\",",
    b"\"stream\":true,",
    b"--XyZ",
    b"--XyZ--",
    b"Content-Disposition: form-data; name=\"model\"",
    b" ",
    b"\t",
    b"%",
];

/// A new input made of `seed`, perhaps with parts of `other`. The first `fixed` bytes, which
/// say how the rest is to be read, change rarely.
pub fn mutated(random: &mut Rng, seed: &[u8], other: &[u8], fixed: usize) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..1 << random.usize(0..5) {
        let from = if random.u8(..) == 0 { 0 } else { fixed.min(bytes.len()) };
        once(random, &mut bytes, other, from);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn once(random: &mut Rng, bytes: &mut Vec<u8>, other: &[u8], from: usize) {
    let (start, end) = range(random, bytes.len(), from);
    match random.u8(0..10) {
        0 if start < bytes.len() => bytes[start] ^= 1 << random.u8(0..8),
        1 if start < bytes.len() => bytes[start] = random.u8(..),
        2 => drop(bytes.drain(start..end)),
        3 => {
            let copy = bytes[start..end].to_vec();
            let at = random.usize(from..=bytes.len());
            insert(bytes, at, &copy);
        }
        4 | 5 => insert(bytes, start, WORDS[random.usize(..WORDS.len())]),
        6 => {
            let word = WORDS[random.usize(..WORDS.len())];
            bytes.splice(start..end, word.iter().copied());
        }
        7 => {
            let (start_of_other, end_of_other) = range(random, other.len(), 0);
            insert(bytes, start, &other[start_of_other..end_of_other]);
        }
        8 => digits(random, bytes, start),
        _ => bytes.truncate(random.usize(from..=bytes.len())),
    }
}

/// A range, mostly a short one.
fn range(random: &mut Rng, length: usize, from: usize) -> (usize, usize) {
    let start = random.usize(from.min(length)..=length);
    let most = if random.u8(0..4) == 0 { length } else { length.min(start + 40) };
    (start, random.usize(start..=most.max(start)))
}

fn insert(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if bytes.len() + new.len() <= LONGEST {
        bytes.splice(at..at, new.iter().copied());
    }
}

/// Changes the next number.
fn digits(random: &mut Rng, bytes: &mut [u8], from: usize) {
    let Some(at) = bytes[from..].iter().position(u8::is_ascii_digit) else { return };
    for byte in bytes[from + at..].iter_mut().take_while(|byte| byte.is_ascii_digit()) {
        *byte = random.u8(b'0'..=b'9');
    }
}

/// `seed` with one part of it repeated until it is `length` long.
pub fn pumped(random: &mut Rng, seed: &[u8], fixed: usize) -> impl Fn(usize) -> Vec<u8> + use<> {
    let (start, end) = range(random, seed.len(), fixed);
    let (head, part, tail) =
        (seed[..start].to_vec(), seed[start..end].to_vec(), seed[end..].to_vec());
    move |length| {
        let mut bytes = head.clone();
        while !part.is_empty() && bytes.len() + part.len() + tail.len() <= length {
            bytes.extend_from_slice(&part);
        }
        bytes.extend_from_slice(&tail);
        bytes
    }
}
