//! What the stand-in shall do with one request, as the request itself says: in the header
//! `x-standin: chunks=200;delay=5`, or in a model name such as `standin+chunks=200+delay=5`.

use std::time::Duration;

use serde_json::Value;

use crate::http::Head;

/// How the body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// One gzip member, flushed after every frame.
    Gzip,
    /// Flushed after every frame.
    Brotli,
    /// One zstd frame for every frame.
    Zstd,
    /// Says gzip and is not.
    FakeGzip,
}

/// What happens after so many frames instead of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfortune {
    /// `stall`: nothing more, until the peer leaves.
    Stall,
    /// `reset`: the connection is reset.
    Reset,
    /// `close`: the connection is closed without the body's end.
    Close,
    /// `badchunk`: a chunk size that is none.
    BadChunk,
    /// `fail`: the format's error event, then a proper end.
    Fail,
    /// `cease`: a proper end of the body without the format's own end.
    Cease,
}

/// The part played for one request. The default is a short, friendly, complete answer.
#[derive(Clone, Debug)]
pub struct Play {
    /// `chunks`: how many pieces of text.
    pub chunks: usize,
    /// `say`: the text of the first piece.
    pub say: String,
    /// `status`: answers with this status and the format's error body.
    pub status: Option<u16>,
    /// `ttfb`: before the head.
    pub ttfb: Duration,
    /// `delay`: before each frame but the first.
    pub delay: Duration,
    /// What goes wrong, and after how many frames.
    pub misfortune: Option<(usize, Misfortune)>,
    /// `coding`: `gzip`, `br`, `zstd`, `fakegzip`.
    pub coding: Option<Coding>,
    /// `big`: MiB of text in one single event.
    pub big_mib: usize,
    /// `endless`: repeats the text until the peer leaves.
    pub endless: bool,
    /// `garbage`: answers with what is not HTTP.
    pub garbage: bool,
    /// `lengths`: two `content-length`s that differ.
    pub two_lengths: bool,
    /// `latin`: text that is not UTF-8.
    pub latin: bool,
    /// `tool`: calls the first tool it is offered.
    pub tool: bool,
    /// `early`: answers before the request's body is read, then closes.
    pub early: bool,
    /// `nousage`: keeps the usage to itself.
    pub no_usage: bool,
    /// `bytes`: every byte in a write of its own.
    pub byte_by_byte: bool,
    /// `parrot`: an error repeats the credential, or at 422 the request's own text.
    pub parrot: bool,
    /// `unasked`: tells the usage of an OpenAI-shaped stream although nobody asked.
    pub unasked_usage: bool,
    /// `limit=WHAT/LIMIT/REMAINING/RESET`: tells of such a limit in OpenAI's headers.
    pub limit: Option<String>,
}

impl Default for Play {
    fn default() -> Self {
        Self {
            chunks: 5,
            say: "Hello".to_owned(),
            status: None,
            ttfb: Duration::ZERO,
            delay: Duration::ZERO,
            misfortune: None,
            coding: None,
            big_mib: 0,
            endless: false,
            garbage: false,
            two_lengths: false,
            latin: false,
            tool: false,
            early: false,
            no_usage: false,
            byte_by_byte: false,
            parrot: false,
            unasked_usage: false,
            limit: None,
        }
    }
}

impl Play {
    /// As the header says, if there is one.
    pub fn of_head(head: &Head) -> Option<Self> {
        head.get("x-standin").map(|words| Self::parse(words.split(';')))
    }

    /// As the header, the path or the body's model says.
    pub fn of(head: &Head, body: &[u8]) -> Self {
        if let Some(play) = Self::of_head(head) {
            return play;
        }
        let in_path = head.path().split("models/").nth(1).and_then(|m| m.split(':').next());
        if let Some(model) = in_path {
            return Self::of_model(&model.replace("%2B", "+").replace("%3D", "="));
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        Self::of_model(body["model"].as_str().unwrap_or_default())
    }

    fn of_model(model: &str) -> Self {
        match model.split_once('+') {
            Some((_, words)) => Self::parse(words.split('+')),
            None => Self::default(),
        }
    }

    /// Reads the words. A wrong one is a wrong test, so it panics.
    fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut play = Self::default();
        for word in words.map(str::trim).filter(|w| !w.is_empty()) {
            let (name, value) = word.split_once('=').unwrap_or((word, "0"));
            let number = || value.parse::<usize>().expect("a number in x-standin");
            let millis = || Duration::from_millis(number() as u64);
            match name {
                "chunks" => play.chunks = number(),
                "say" => value.clone_into(&mut play.say),
                "status" => play.status = value.parse().ok(),
                "ttfb" => play.ttfb = millis(),
                "delay" => play.delay = millis(),
                "coding" => play.coding = Some(Coding::named(value)),
                "big" => play.big_mib = number(),
                "endless" => play.endless = true,
                "garbage" => play.garbage = true,
                "lengths" => play.two_lengths = true,
                "latin" => play.latin = true,
                "tool" => play.tool = true,
                "early" => play.early = true,
                "nousage" => play.no_usage = true,
                "bytes" => play.byte_by_byte = true,
                "parrot" => play.parrot = true,
                "limit" => play.limit = Some(value.to_owned()),
                "unasked" => play.unasked_usage = true,
                other => play.misfortune = Some((number(), Misfortune::named(other))),
            }
        }
        play
    }
}

impl Coding {
    fn named(word: &str) -> Self {
        match word {
            "gzip" => Self::Gzip,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            "fakegzip" => Self::FakeGzip,
            _ => panic!("x-standin knows no coding `{word}`"),
        }
    }

    /// The word in `content-encoding`.
    pub fn token(self) -> &'static str {
        match self {
            Self::Gzip | Self::FakeGzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

impl Misfortune {
    fn named(word: &str) -> Self {
        match word {
            "stall" => Self::Stall,
            "reset" => Self::Reset,
            "close" => Self::Close,
            "badchunk" => Self::BadChunk,
            "fail" => Self::Fail,
            "cease" => Self::Cease,
            _ => panic!("x-standin knows no `{word}`"),
        }
    }
}
