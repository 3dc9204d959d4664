//! Sends an answer as the play demands: paced, encoded, cut, stalled or spoilt.

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::answer::Answer;
use crate::play::{Coding, Misfortune, Play};
use crate::seen::{End, Record, hexadecimal};

/// The longest a stalled answer waits for its peer to leave.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether the connection can carry another request.
pub(crate) enum After {
    Keep,
    Close,
}

/// Sends the answer and notes how that ended.
pub(crate) fn perform(
    stream: &TcpStream,
    answer: &Answer,
    play: &Play,
    number: u64,
    record: &Record,
) -> io::Result<After> {
    let mut sent = Sha256::new();
    let result = send(stream, answer, play, &mut sent);
    let end = match &result {
        Ok((end, _)) => *end,
        Err(_) => End::PeerLeft,
    };
    record.ended(number, end, hexadecimal(sent));
    result.map(|(_, after)| after)
}

/// Says something that no HTTP client can take for an answer.
pub(crate) fn refuse_to_speak_http(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"\x00\x01SSH-2.0-what?\r\n\r\n\xff\xfe")
}

fn send(
    mut stream: &TcpStream,
    answer: &Answer,
    play: &Play,
    sent: &mut Sha256,
) -> io::Result<(End, After)> {
    if play.early {
        stream.write_all(&[head(answer, play).as_slice(), &answer.frames.concat()].concat())?;
        stream.shutdown(Shutdown::Write)?;
        return Ok((End::Complete, After::Close));
    }
    if !pause(stream, play.ttfb)? {
        return Ok((End::PeerLeft, After::Close));
    }
    if !answer.streamed && play.coding.is_none() && play.misfortune.is_none() {
        let body = answer.frames.concat();
        sent.update(&body);
        let whole = [head(answer, play).as_slice(), &body].concat();
        write(stream, &whole, play)?;
        let after = if play.two_lengths { After::Close } else { After::Keep };
        return Ok((End::Complete, after));
    }
    stream.write_all(&head(answer, play))?;
    let mut encoder = Encoder::new(play.coding);
    let mut at = 0;
    while let Some(frame) = answer.frames.get(at) {
        if let Some((_, misfortune)) = play.misfortune.filter(|(after, _)| *after == at) {
            if let Some(end) = strike(stream, misfortune)? {
                return Ok((end, After::Close));
            }
            if misfortune == Misfortune::Cease {
                break;
            }
        }
        if at > 0 && !pause(stream, play.delay)? {
            return Ok((End::PeerLeft, After::Close));
        }
        let encoded = encoder.encode(frame)?;
        write(stream, &chunk(&encoded), play)?;
        sent.update(&encoded);
        at += usize::from(!(play.endless && at == answer.repeats));
    }
    let rest = encoder.finish()?;
    sent.update(&rest);
    stream.write_all(&chunk(&rest))?;
    stream.write_all(b"0\r\n\r\n")?;
    Ok((End::Complete, After::Keep))
}

fn quarters(text: &str) -> Option<[&str; 4]> {
    text.split('/').collect::<Vec<_>>().try_into().ok()
}

fn head(answer: &Answer, play: &Play) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some([what, limit, remaining, reset]) = play.limit.as_deref().and_then(quarters) {
        for (part, value) in [("limit", limit), ("remaining", remaining), ("reset", reset)] {
            head.push_str(&format!("x-ratelimit-{part}-{what}: {value}\r\n"));
        }
    }
    if let Some(coding) = play.coding {
        head.push_str(&format!("content-encoding: {}\r\n", coding.token()));
    }
    let length: usize = answer.frames.iter().map(Vec::len).sum();
    if play.two_lengths {
        head.push_str(&format!("content-length: {length}\r\ncontent-length: {}\r\n", length + 7));
    } else if answer.streamed || play.coding.is_some() || play.misfortune.is_some() {
        head.push_str("transfer-encoding: chunked\r\n");
    } else {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        529 => "Overloaded",
        _ => "Some Reason",
    }
}

/// Brings the misfortune about. `None`: the body still gets a proper end.
fn strike(mut stream: &TcpStream, what: Misfortune) -> io::Result<Option<End>> {
    match what {
        Misfortune::Stall => {
            let waited = pause(stream, PATIENCE)?;
            Ok(Some(if waited { End::Broken } else { End::PeerLeft }))
        }
        Misfortune::Reset => {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
            Ok(Some(End::Broken))
        }
        Misfortune::Close => Ok(Some(End::Broken)),
        Misfortune::BadChunk => {
            stream.write_all(b"zz\r\nnot a chunk\r\n")?;
            Ok(Some(End::Broken))
        }
        Misfortune::Fail | Misfortune::Cease => Ok(None),
    }
}

/// Waits so long, or until the peer leaves: then false.
fn pause(stream: &TcpStream, time: Duration) -> io::Result<bool> {
    if time.is_zero() {
        return Ok(true);
    }
    stream.set_read_timeout(Some(time))?;
    let peeked = stream.peek(&mut [0]);
    stream.set_read_timeout(None)?;
    match peeked {
        Ok(0) => Ok(false),
        Ok(_) => {
            thread::sleep(time);
            Ok(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(true)
        }
        Err(_) => Ok(false),
    }
}

fn write(mut stream: &TcpStream, bytes: &[u8], play: &Play) -> io::Result<()> {
    let size = if play.byte_by_byte { 1 } else { bytes.len().max(1) };
    bytes.chunks(size).try_for_each(|piece| stream.write_all(piece))
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

enum Encoder {
    Plain,
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd,
}

impl Encoder {
    fn new(coding: Option<Coding>) -> Self {
        match coding {
            None | Some(Coding::FakeGzip) => Self::Plain,
            Some(Coding::Gzip) => {
                Self::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::fast())))
            }
            Some(Coding::Brotli) => {
                Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, 3, 20)))
            }
            Some(Coding::Zstd) => Self::Zstd,
        }
    }

    /// The bytes that a reader needs to see this frame whole.
    fn encode(&mut self, frame: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(frame.to_vec()),
            Self::Zstd => Ok(ruzstd::encoding::compress_to_vec(
                frame,
                ruzstd::encoding::CompressionLevel::Fastest,
            )),
            Self::Gzip(gzip) => {
                gzip.write_all(frame)?;
                gzip.flush()?;
                Ok(std::mem::take(gzip.get_mut()))
            }
            Self::Brotli(brotli) => {
                brotli.write_all(frame)?;
                brotli.flush()?;
                Ok(std::mem::take(brotli.get_mut()))
            }
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain | Self::Zstd => Ok(Vec::new()),
            Self::Gzip(gzip) => gzip.finish(),
            Self::Brotli(brotli) => Ok(brotli.into_inner()),
        }
    }
}
