//! A stand-in for every provider: an HTTP server that plays documented wire shapes and
//! every misfortune a network has, and remembers what it received. Threads and blocking
//! sockets only, so that each byte leaves exactly when a test says so.
//!
//! What it does is chosen by the request, see [`play::Play`]. It knows nothing of Tollgate.

pub mod answer;
pub mod client;
pub mod http;
pub mod play;
pub mod seen;
pub mod status;

mod anthropic;
mod gemini;
mod ollama;
mod openai;
mod perform;
mod responses;

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::answer::{Answer, Ask};
use crate::http::{Body, Framing, read_head};
use crate::perform::{After, perform, refuse_to_speak_http};
use crate::play::Play;
use crate::seen::{End, Record, Seen, read_upload};
use crate::status::{Script, Status};

/// A running stand-in. Dropping it closes the port; connections end with their requests.
#[derive(Debug)]
pub struct Standin {
    address: SocketAddr,
    record: Arc<Record>,
    script: Arc<Script>,
    closing: Arc<AtomicBool>,
}

impl Standin {
    /// Listens on any free port of the loopback interface.
    pub fn start() -> io::Result<Self> {
        Self::start_on(0)
    }

    /// Listens on this port of the loopback interface.
    pub fn start_on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let address = listener.local_addr()?;
        let record = Arc::new(Record::default());
        let closing = Arc::new(AtomicBool::new(false));
        let script = Arc::new(Script::default());
        let (for_accept, ends) = (Arc::clone(&record), Arc::clone(&closing));
        let says = Arc::clone(&script);
        thread::spawn(move || accept(&listener, &for_accept, &says, &ends));
        Ok(Self { address, record, script, closing })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The origin, to be used as a provider's base URL.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on `GET path` is answered so; or another method, if `path` begins with it.
    pub fn says(&self, path: &str, status: Status) {
        self.script.write(path, status);
    }

    /// Everything received so far, in the order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.record.all()
    }

    /// Waits until what was received satisfies the question, and returns it; at most ten seconds.
    pub fn wait_for(&self, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        self.record.wait_for(enough)
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

fn accept(
    listener: &TcpListener,
    record: &Arc<Record>,
    script: &Arc<Script>,
    closing: &AtomicBool,
) {
    for stream in listener.incoming() {
        if closing.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let (record, script) = (Arc::clone(record), Arc::clone(script));
        thread::spawn(move || {
            // A peer that breaks off is what many tests are about.
            drop(converse(stream, &record, &script));
        });
    }
}

fn converse(stream: TcpStream, record: &Record, script: &Script) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream.try_clone()?);
    while let Some(head) = read_head(&mut input)? {
        let number = record.arrived(&head);
        if let Some(play) = Play::of_head(&head).filter(|play| play.early) {
            let ask = Ask::new(number, &head, &[], play);
            perform(&stream, &Answer::to(&ask), &ask.play, number, record)?;
            return Ok(());
        }
        if head.get("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue")) {
            io::Write::write_all(&mut &stream, b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = Body::new(&mut input, Framing::of_request(&head));
        let upload = read_upload(&mut body)?;
        let play = Play::of(&head, &upload.start);
        if let Some(control) = record.control(&head) {
            perform(&stream, &control, &play, number, record)?;
            continue;
        }
        record.received(number, upload.clone());
        if let Some(status) = script.of(&head) {
            let played = status.play(&stream);
            let end = if played.is_ok() { End::Complete } else { End::PeerLeft };
            record.ended(number, end, String::new());
            return played;
        }
        let ask = Ask::new(number, &head, &upload.start, play);
        if ask.play.garbage {
            return refuse_to_speak_http(&stream);
        }
        let answer = Answer::to(&ask);
        record.said(number, answer.said.clone());
        match perform(&stream, &answer, &ask.play, number, record)? {
            After::Keep => {}
            After::Close => return Ok(()),
        }
    }
    Ok(())
}
