//! What a self-hosted server says of itself, where a test wrote that down: the truth, lies, or
//! nothing for as long as anybody waits.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

use crate::http::Head;

/// What a path answers.
#[derive(Clone, Debug)]
pub enum Status {
    /// This.
    Says(u16, String),
    /// That it is somewhere else.
    Elsewhere(String),
    /// Nothing; the connection stays open.
    Nothing,
    /// A body that does not end.
    Endless,
}

/// What is written down, by path.
#[derive(Debug, Default)]
pub(crate) struct Script {
    by_path: Mutex<BTreeMap<String, Status>>,
}

impl Script {
    pub(crate) fn write(&self, path: &str, status: Status) {
        let mut script = self.by_path.lock().unwrap_or_else(PoisonError::into_inner);
        script.insert(path.to_owned(), status);
    }

    pub(crate) fn of(&self, head: &Head) -> Option<Status> {
        let script = self.by_path.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = format!("{} {}", head.method(), head.path());
        let plain = (head.method() == "GET").then_some(head.path());
        plain.into_iter().chain([&*whole]).find_map(|path| script.get(path)).cloned()
    }
}

impl Status {
    /// Answers, and ends the connection.
    pub(crate) fn play(&self, mut stream: &TcpStream) -> io::Result<()> {
        match self {
            Self::Says(status, body) => {
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                )
            }
            Self::Elsewhere(url) => write!(
                stream,
                "HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            ),
            Self::Nothing => stream.read(&mut [0]).map(drop),
            Self::Endless => {
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n")?;
                loop {
                    stream.write_all(&[b' '; 64 << 10])?;
                }
            }
        }
    }
}
