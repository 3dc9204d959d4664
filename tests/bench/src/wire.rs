//! One keep-alive connection of the load generator: blocking, plain HTTP/1.1, and as little
//! work a call as possible, so that what is measured is the other side.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// A connection that is used for one call after the other.
pub(crate) struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
    head: Vec<u8>,
}

/// How long a call took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// Until the first byte of the answer's body.
    pub(crate) first_byte: Duration,
    /// Until its last.
    pub(crate) whole: Duration,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address)
            .with_context(|| format!("cannot connect to `{address}`"))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { socket, buffer: vec![0; 64 * 1024], head: Vec::with_capacity(1024) })
    }

    /// Sends `request` and shows each piece of the answer's body to `body` as it arrives.
    /// Any status but 200 is an error.
    pub(crate) fn call(
        &mut self,
        request: &[u8],
        body: &mut dyn FnMut(&[u8]),
    ) -> anyhow::Result<Took> {
        let began = Instant::now();
        self.socket.write_all(request).context("the request could not be sent")?;
        self.answer(began, body)
    }

    /// Sends `head`, then `piece` as many times as told, then `tail`.
    pub(crate) fn upload(
        &mut self,
        [head, piece, tail]: [&[u8]; 3],
        times: usize,
    ) -> anyhow::Result<Took> {
        let began = Instant::now();
        self.socket.write_all(head)?;
        for _ in 0..times {
            self.socket.write_all(piece).context("the upload broke off")?;
        }
        self.socket.write_all(tail)?;
        self.answer(began, &mut |_| {})
    }

    fn answer(&mut self, began: Instant, body: &mut dyn FnMut(&[u8])) -> anyhow::Result<Took> {
        self.head.clear();
        let mut framing = None;
        let mut first_byte = None;
        loop {
            let count = self.socket.read(&mut self.buffer).context("the answer broke off")?;
            ensure!(count > 0, "the connection was closed in the middle of a call");
            let now = began.elapsed();
            let mut fresh = &self.buffer[..count];
            let framing = match &mut framing {
                Some(framing) => framing,
                None => {
                    let Some(taken) = take_head(&mut self.head, fresh) else { continue };
                    fresh = &fresh[taken..];
                    framing.insert(Framing::of(&self.head)?)
                }
            };
            if !fresh.is_empty() {
                first_byte.get_or_insert(now);
            }
            if framing.push(fresh, body)? {
                let whole = began.elapsed();
                return Ok(Took { first_byte: first_byte.unwrap_or(whole), whole });
            }
        }
    }
}

/// Adds to the head; says how many of the bytes belong to it once it is complete.
fn take_head(head: &mut Vec<u8>, fresh: &[u8]) -> Option<usize> {
    let before = head.len();
    head.extend_from_slice(fresh);
    let end = memchr::memmem::find(head, b"\r\n\r\n")? + 4;
    head.truncate(end);
    Some(end - before)
}

/// How the body's end is told.
enum Framing {
    Length(usize),
    Chunked(Chunk),
}

/// Where in a chunked body we are.
enum Chunk {
    Size(usize),
    Data(usize),
    AfterData,
    /// The last chunk has been announced; so many bytes of the closing line are seen.
    Closing(usize),
}

impl Framing {
    fn of(head: &[u8]) -> anyhow::Result<Self> {
        let head = std::str::from_utf8(head).context("the head is not text")?.to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap_or_default();
        ensure!(status == "200", "the answer's status is `{status}`:\n{head}");
        let header = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        match (header("content-length"), header("transfer-encoding")) {
            (Some(length), _) => Ok(Self::Length(length.parse()?)),
            (None, Some("chunked")) => Ok(Self::Chunked(Chunk::Size(0))),
            (None, _) => bail!("the answer has no length"),
        }
    }

    /// True when the body is complete.
    fn push(&mut self, mut fresh: &[u8], body: &mut dyn FnMut(&[u8])) -> anyhow::Result<bool> {
        let chunk = match self {
            Self::Length(left) => {
                ensure!(fresh.len() <= *left, "more came than was announced");
                body(fresh);
                *left -= fresh.len();
                return Ok(*left == 0);
            }
            Self::Chunked(chunk) => chunk,
        };
        while let Some((first, rest)) = fresh.split_first() {
            match chunk {
                Chunk::Data(left) => {
                    let (data, more) = fresh.split_at(fresh.len().min(*left));
                    body(data);
                    *left -= data.len();
                    fresh = more;
                    if *left == 0 {
                        *chunk = Chunk::AfterData;
                    }
                    continue;
                }
                Chunk::Size(size) => match (first, (*first as char).to_digit(16)) {
                    (_, Some(digit)) => *size = *size * 16 + digit as usize,
                    (b'\r', _) => {}
                    (b'\n', _) if *size == 0 => *chunk = Chunk::Closing(0),
                    (b'\n', _) => *chunk = Chunk::Data(*size),
                    (other, None) => bail!("byte `{other}` in a chunk's size"),
                },
                Chunk::AfterData if *first == b'\n' => *chunk = Chunk::Size(0),
                Chunk::AfterData => {}
                Chunk::Closing(seen) => *seen += 1,
            }
            fresh = rest;
        }
        Ok(matches!(chunk, Chunk::Closing(2)))
    }
}
