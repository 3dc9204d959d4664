//! A client that shows bytes as they come and changes nothing: for assertions about bytes.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::http::{Body, Framing, Head, broken, read_head};

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Call {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A connection that is kept between calls.
#[derive(Debug)]
pub struct Connection {
    input: BufReader<TcpStream>,
    address: SocketAddr,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Reply {
    /// Status line and headers.
    pub head: Head,
    body: Body<BufReader<TcpStream>>,
    address: SocketAddr,
}

impl Call {
    /// A GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target, Vec::new())
    }

    /// A POST of JSON.
    pub fn post(target: &str, body: &serde_json::Value) -> Self {
        Self::new("POST", target, body.to_string().into_bytes())
            .header("content-type", "application/json")
    }

    /// Any method, any bytes.
    pub fn new(method: &str, target: &str, body: impl Into<Vec<u8>>) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, headers: Vec::new(), body: body.into() }
    }

    /// With this header; a `host` replaces the right one, a `content-length` or
    /// `transfer-encoding` stands for the body's real length.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Shows a key of a provider.
    #[must_use]
    pub fn bearer(self, secret: &str) -> Self {
        self.header("authorization", &format!("Bearer {secret}"))
    }

    /// Tells the stand-in what to play.
    #[must_use]
    pub fn play(self, words: &str) -> Self {
        self.header("x-standin", words)
    }

    /// Sends it over a connection of its own and reads the answer's head.
    pub fn send(&self, to: SocketAddr) -> io::Result<Reply> {
        self.send_over(Connection::to(to)?)
    }

    /// Sends it over this connection and reads the answer's head.
    pub fn send_over(&self, mut over: Connection) -> io::Result<Reply> {
        over.input.get_mut().write_all(&self.bytes(over.address))?;
        over.reply(&self.method)
    }

    /// Head and body as they go out.
    pub fn bytes(&self, to: SocketAddr) -> Vec<u8> {
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !has("host") {
            head.push_str(&format!("host: {to}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let bodiless = self.body.is_empty() && self.method == "GET";
        if !(bodiless || has("content-length") || has("transfer-encoding")) {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

impl Connection {
    /// A new one.
    pub fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { input: BufReader::with_capacity(64 << 10, stream), address })
    }

    /// The socket, to write to by hand.
    pub fn stream(&self) -> &TcpStream {
        self.input.get_ref()
    }

    /// Reads the next answer's head, `100 Continue` passed over.
    pub fn reply(mut self, method: &str) -> io::Result<Reply> {
        loop {
            let head = read_head(&mut self.input)?.ok_or_else(|| broken("no answer"))?;
            if head.status() == 100 {
                continue;
            }
            let framing = Framing::of_response(&head, method);
            return Ok(Reply { head, body: Body::new(self.input, framing), address: self.address });
        }
    }
}

impl Reply {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    /// Whatever came next: never empty; `None` at the proper end.
    pub fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = vec![0; 64 << 10];
        let got = self.body.read(&mut piece)?;
        piece.truncate(got);
        Ok((got > 0).then_some(piece))
    }

    /// Reads on until these bytes came by.
    pub fn read_past(&mut self, mark: &str) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while !all.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            all.extend(self.next_piece()?.ok_or_else(|| broken("ended before the mark"))?);
        }
        Ok(all)
    }

    /// The rest of the body.
    pub fn body(mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        self.body.read_to_end(&mut all)?;
        Ok(all)
    }

    /// What came of the body before it ended or broke off, and whether it broke off.
    pub fn remains(mut self) -> (Vec<u8>, Option<io::Error>) {
        let mut all = Vec::new();
        let end = self.body.read_to_end(&mut all).err();
        (all, end)
    }

    /// The body as JSON.
    pub fn json(self) -> io::Result<serde_json::Value> {
        serde_json::from_slice(&self.body()?).map_err(io::Error::from)
    }

    /// Reads the body and gives the connection back: body, connection.
    pub fn into_parts(mut self) -> io::Result<(Vec<u8>, Connection)> {
        let mut all = Vec::new();
        self.body.read_to_end(&mut all)?;
        Ok((all, Connection { input: self.body.into_inner(), address: self.address }))
    }
}
