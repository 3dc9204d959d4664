//! What is asked of every subject, byte for byte.

use std::time::Duration;

use crate::upstream::PACE;

/// One sort of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// A chat completion answered whole.
    Call,
    /// A stream that asks for its usage itself, sent as fast as it goes.
    Stream,
    /// The same without asking, so that usage assist has to.
    AssistedStream,
    /// A stream with a pause between chunks, as models make them.
    Paced(Duration),
}

/// About what a small call carries.
const PROMPT: &str = "You are given a paragraph and answer with its gist in one sentence. ";

impl Case {
    /// The request for a subject that is spoken to at `host` with `prefix` before the path and
    /// `headers`, whole lines, among the others.
    pub(crate) fn request(self, host: &str, prefix: &str, headers: &str) -> Vec<u8> {
        let stream = match self {
            Self::Call => "",
            Self::Stream | Self::Paced(_) => {
                r#","stream":true,"stream_options":{"include_usage":true}"#
            }
            Self::AssistedStream => r#","stream":true"#,
        };
        let pace = match self {
            Self::Paced(pause) => format!(" {PACE}{}", pause.as_micros()),
            Self::Call | Self::Stream | Self::AssistedStream => String::new(),
        };
        let prompt = PROMPT.repeat(12);
        let body = format!(
            r#"{{"model":"gpt-4o-mini","messages":[{{"role":"system","content":"You are terse.{pace}"}},{{"role":"user","content":"{prompt}"}}],"temperature":0.2{stream}}}"#
        );
        let mut request = head(host, prefix, headers, body.len());
        request.extend_from_slice(body.as_bytes());
        request
    }
}

/// The size of [`upload`]'s repeated piece.
pub(crate) const PIECE: usize = 64 * 1024;

/// A call whose prompt is `pieces` times [`PIECE`] bytes long: its head, the piece, its tail.
pub(crate) fn upload(host: &str, prefix: &str, pieces: usize) -> [Vec<u8>; 3] {
    let open = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":""#;
    let tail = r#""}]}"#;
    let mut start = head(host, prefix, "", open.len() + pieces * PIECE + tail.len());
    start.extend_from_slice(open.as_bytes());
    let piece = PROMPT.bytes().cycle().take(PIECE).collect();
    [start, piece, tail.as_bytes().to_vec()]
}

fn head(host: &str, prefix: &str, more: &str, length: usize) -> Vec<u8> {
    format!(
        "POST {prefix}/v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n\
         authorization: Bearer sk-bench\r\ncontent-type: application/json\r\n\
         accept: application/json\r\nuser-agent: OpenAI/Python 2.8.1\r\n\
         x-stainless-lang: python\r\nx-stainless-retry-count: 0\r\n{more}\
         content-length: {length}\r\n\r\n"
    )
    .into_bytes()
}
