//! The bare upstream: the least a server can do to answer like a provider. It is the floor
//! that both proxies stand on, so it must be cheap and the same every time.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

/// Content chunks of every stream.
pub(crate) const CHUNKS: u32 = 200;
/// What every answer says it used.
pub(crate) const PROMPT_TOKENS: u64 = 120;
/// See [`PROMPT_TOKENS`].
pub(crate) const OUTPUT_TOKENS: u64 = 200;
/// Asks for a pause of so many microseconds between chunks; each chunk then carries the
/// instant it was made. It stands in the prompt, for not every gateway passes on headers.
pub(crate) const PACE: &str = "pace in microseconds: ";
/// What precedes that instant, in nanoseconds since 1970, always 19 digits.
pub(crate) const STAMP: &str = "made at ";

/// As much of a request body as is looked at.
const LOOK: usize = 16 * 1024;

/// What a whole answer says.
pub(crate) fn whole_text() -> String {
    "A gateway lets a request through and keeps the receipt. ".repeat(8)
}

/// What the chunks of a stream without pauses say together.
pub(crate) fn streamed_text() -> String {
    (0..CHUNKS).map(word).collect()
}

fn word(at: u32) -> String {
    format!(" word{at}")
}

type Body = BoxBody<Bytes, Infallible>;

/// Serves until it is killed. Prints its port on a line of its own.
pub fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
        println!("{}", listener.local_addr()?.port());
        std::io::stdout().flush()?;
        let answers = Arc::new(Answers::new());
        loop {
            let (socket, _) = listener.accept().await?;
            tokio::spawn(connection(socket, Arc::clone(&answers)));
        }
    })
}

async fn connection(socket: TcpStream, answers: Arc<Answers>) {
    let answer = service_fn(move |request| {
        let answers = Arc::clone(&answers);
        async move { Ok::<_, Infallible>(answers.to(request).await) }
    });
    // A client that goes away is its own affair.
    let _ = socket.set_nodelay(true);
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), answer)
        .await;
}

/// Everything it ever says, made once.
struct Answers {
    whole: Bytes,
    chunks: Vec<Bytes>,
    usage: Bytes,
    done: Bytes,
}

impl Answers {
    fn new() -> Self {
        let words = whole_text();
        let usage = format!(
            r#""usage":{{"prompt_tokens":{PROMPT_TOKENS},"completion_tokens":{OUTPUT_TOKENS},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#,
            PROMPT_TOKENS + OUTPUT_TOKENS
        );
        let whole = format!(
            r#"{{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1790000000,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{words}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],{usage},"service_tier":"default","system_fingerprint":"fp_06737a9306"}}"#
        );
        let last = event(&format!(r#"[],{usage}"#));
        Self {
            whole: whole.into(),
            chunks: (0..CHUNKS).map(|at| content(&word(at))).collect(),
            usage: last,
            done: Bytes::from_static(b"data: [DONE]\n\n"),
        }
    }

    async fn to(&self, request: Request<Incoming>) -> Response<Body> {
        let asked = look_at(request.into_body()).await;
        let says = |what: &str| memchr::memmem::find(&asked, what.as_bytes()).is_some();
        // Some gateways write the body anew, and with spaces.
        if !says(r#""stream":true"#) && !says(r#""stream": true"#) {
            return answer("application/json", Full::new(self.whole.clone()).boxed());
        }
        let stop = event(r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#);
        let wants_usage = says(r#""include_usage":true"#) || says(r#""include_usage": true"#);
        let usage = wants_usage.then(|| self.usage.clone());
        let end: Vec<Bytes> =
            [Some(stop), usage, Some(self.done.clone())].into_iter().flatten().collect();
        let body = match pace(&asked) {
            Some(pace) => paced(Duration::from_micros(pace), end),
            None => {
                let all: Vec<Bytes> = self.chunks.iter().cloned().chain(end).collect();
                let frames = stream::iter(all).map(|chunk| Ok(Frame::data(chunk)));
                BodyExt::boxed(StreamBody::new(frames))
            }
        };
        answer("text/event-stream; charset=utf-8", body)
    }
}

fn answer(content_type: &'static str, body: Body) -> Response<Body> {
    Response::builder()
        .header("content-type", content_type)
        .header("openai-processing-ms", "312")
        .header("x-ratelimit-remaining-requests", "9999")
        .header("x-request-id", "req_5f2c8a90b1d34e7f86c1")
        .body(body)
        .expect("the headers are constants")
}

/// The pause that the prompt asks for, in microseconds.
fn pace(asked: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(asked, PACE.as_bytes())? + PACE.len();
    let digits = asked[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&asked[at..at + digits]).ok()?.parse().ok()
}

/// Reads the body to its end and returns its beginning.
async fn look_at(mut body: Incoming) -> Vec<u8> {
    let mut seen = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        let room = LOOK.saturating_sub(seen.len()).min(data.len());
        seen.extend_from_slice(&data[..room]);
    }
    seen
}

fn paced(pace: Duration, end: Vec<Bytes>) -> Body {
    let began = Instant::now();
    let chunks = stream::iter(0..CHUNKS).then(move |at| async move {
        sleep_until(began + pace * at).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        content(&format!("{STAMP}{:019}", now.as_nanos()))
    });
    let frames = chunks.chain(stream::iter(end)).map(|chunk| Ok(Frame::data(chunk)));
    BodyExt::boxed(StreamBody::new(frames))
}

fn content(text: &str) -> Bytes {
    event(&format!(
        r#"[{{"index":0,"delta":{{"content":"{text}"}},"logprobs":null,"finish_reason":null}}]"#
    ))
}

fn event(choices: &str) -> Bytes {
    format!(
        r#"data: {{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_06737a9306","choices":{choices}}}"#
    )
    .into_bytes()
    .into_iter()
    .chain(*b"\n\n")
    .collect()
}
