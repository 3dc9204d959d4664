//! HTTP/1.1 heads and bodies read off a blocking socket, piece by piece, for the server
//! and the client of the tests alike. Strict where a test must notice a fault.

use std::io::{self, BufRead, Read};

/// The first line and the headers of a message, in the order and case they came in.
#[derive(Clone, Debug)]
pub struct Head {
    /// The first line: `POST /v1/… HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub start: String,
    /// Name and value.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header with this name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// A request's method.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// A request's target as sent.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    /// A response's status.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
    }
}

/// Reads one head. `None` at a clean end of the connection.
pub fn read_head(input: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut raw = Vec::new();
    loop {
        let before = raw.len();
        if input.read_until(b'\n', &mut raw)? == 0 {
            return if raw.is_empty() { Ok(None) } else { Err(broken("a head breaks off")) };
        }
        if &raw[before..] == b"\r\n" {
            break;
        }
        if raw.len() > 1 << 20 {
            return Err(broken("a head beyond 1 MiB"));
        }
    }
    let text = String::from_utf8_lossy(&raw);
    let mut lines = text.split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Ok(Some(Head { start, headers }))
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// With the connection.
    ToEnd,
}

impl Framing {
    /// A request's.
    pub fn of_request(head: &Head) -> Self {
        match Self::stated(head) {
            Self::ToEnd => Self::Length(0),
            stated => stated,
        }
    }

    /// A response's to a request with this method.
    pub fn of_response(head: &Head, method: &str) -> Self {
        let bodiless = method == "HEAD" || matches!(head.status(), 100..=199 | 204 | 304);
        if bodiless { Self::Length(0) } else { Self::stated(head) }
    }

    fn stated(head: &Head) -> Self {
        if head.get("transfer-encoding").is_some_and(|t| t.eq_ignore_ascii_case("chunked")) {
            return Self::Chunked;
        }
        match head.get("content-length").and_then(|n| n.parse().ok()) {
            Some(length) => Self::Length(length),
            None => Self::ToEnd,
        }
    }
}

/// A body being read. An early end of the connection is an error unless that is the framing.
#[derive(Debug)]
pub struct Body<R> {
    input: R,
    framing: Framing,
    left_in_piece: u64,
    ended: bool,
}

impl<R: BufRead> Body<R> {
    /// What follows the head.
    pub fn new(input: R, framing: Framing) -> Self {
        let left_in_piece = match framing {
            Framing::Length(length) => length,
            Framing::Chunked | Framing::ToEnd => 0,
        };
        Self { input, framing, left_in_piece, ended: framing == Framing::Length(0) }
    }

    /// The connection behind it.
    pub fn into_inner(self) -> R {
        self.input
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        self.left_in_piece =
            u64::from_str_radix(size, 16).map_err(|_| broken("not a chunk size"))?;
        if self.left_in_piece == 0 {
            self.ended = true;
            self.end_of_line()?;
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> io::Result<()> {
        let mut line = String::new();
        self.input.read_line(&mut line)?;
        if line == "\r\n" { Ok(()) } else { Err(broken("no line end after a chunk")) }
    }

    fn read_piece(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let want = into.len().min(usize::try_from(self.left_in_piece).unwrap_or(usize::MAX));
        let got = self.input.read(&mut into[..want])?;
        if got == 0 {
            return Err(broken("a body breaks off"));
        }
        self.left_in_piece -= got as u64;
        if self.left_in_piece == 0 {
            match self.framing {
                Framing::Chunked => self.end_of_line()?,
                Framing::Length(_) | Framing::ToEnd => self.ended = true,
            }
        }
        Ok(got)
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ended || into.is_empty() {
            return Ok(0);
        }
        match self.framing {
            Framing::ToEnd => self.input.read(into),
            Framing::Length(_) => self.read_piece(into),
            Framing::Chunked => {
                if self.left_in_piece == 0 {
                    self.next_chunk()?;
                }
                if self.ended { Ok(0) } else { self.read_piece(into) }
            }
        }
    }
}

/// Something that is not as HTTP demands.
pub(crate) fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}
