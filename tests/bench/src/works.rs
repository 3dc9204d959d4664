//! What is measured by itself: reading answers and requests, rating, recording.

use std::hint::black_box;
use std::time::Duration;

use meter::Timestamp;
use meter::format::assist::{Strip, ask};
use meter::format::{End, Reader};
use meter::price::{Book, Query, Valuation, rate};
use meter::provider::{Provider, Providers};
use meter::receipt::{Kind, Receipt, Status};
use meter::request::{Asked, RequestScanner};
use meter::usage::{Factor, UsageLine};
use store::Ledger;

use crate::streams::{SHAPES, Shape};
use crate::upstream::CHUNKS;

const MEGABYTE: usize = 1_000_000;
/// Receipts that share the cost of opening a ledger.
const RECORDED: i64 = 500;
/// 2026-11-20.
const STARTED: i64 = 1_795_132_800_000;

/// Something that can be done over and over.
pub(crate) struct Work {
    pub(crate) name: String,
    pub(crate) once: Box<dyn FnMut()>,
    /// How many of what the name says are done at once.
    pub(crate) of: u64,
}

fn work(name: String, once: impl FnMut() + 'static) -> Work {
    Work { name, once: Box::new(once), of: 1 }
}

/// What is done with streams: of each shape one of so many chunks, then a megabyte.
pub(crate) fn streams() -> Vec<Work> {
    let both = |shape: &'static Shape| {
        let (by_chunk, by_length) = (shape.pieces(CHUNKS as usize), shape.of_length(MEGABYTE));
        let name = shape.name;
        [
            work(format!("{name}: {CHUNKS} chunks"), move || read(shape, &by_chunk)),
            work(format!("{name}: 1 MB"), move || read(shape, &by_length)),
        ]
    };
    SHAPES.iter().flat_map(both).collect()
}

/// Everything else.
pub(crate) fn others() -> Vec<Work> {
    requests().into_iter().chain([stripping(), rating(), recording()]).collect()
}

fn read(shape: &Shape, pieces: &[Vec<u8>]) {
    let provider = Providers::built_in().get("openai").expect("it is built in");
    let mut reader = Reader::new(Some(shape.format), provider);
    reader.head(200, &|name| (name == "content-type").then_some(shape.content_type));
    for piece in pieces {
        black_box(reader.push(piece));
    }
    let reading = black_box(reader.finish(End::Complete, &Asked::default()));
    assert!(!reading.lines.is_empty(), "{} was not understood", shape.name);
}

fn requests() -> [Work; 3] {
    let prompt = "Say in one sentence what the paragraph is about. ";
    let body = |times: usize| {
        format!(
            r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"{}"}}],"stream":true}}"#,
            prompt.repeat(times)
        )
        .into_bytes()
    };
    let (small, large) = (body(20), body(MEGABYTE / prompt.len()));
    let assisted = small.clone();
    [
        work(format!("request: {} bytes", small.len()), move || scan(&small)),
        work("request: 1 MB".into(), move || scan(&large)),
        work(format!("usage assist: ask in {} bytes", assisted.len()), move || {
            assert!(black_box(ask(&assisted)).is_some());
        }),
    ]
}

fn scan(body: &[u8]) {
    let route = Provider::declared("any", "http://any.test").route("POST", "/v1/chat/completions");
    let mut scanner = RequestScanner::new(&route, Some("application/json"));
    for piece in body.chunks(16 * 1024) {
        scanner.push(piece);
    }
    scanner.finish();
    assert!(black_box(scanner.asked()).stream);
}

fn stripping() -> Work {
    let pieces = SHAPES[0].pieces(CHUNKS as usize);
    work(format!("usage assist: strip {CHUNKS} chunks"), move || {
        let mut strip = Strip::default();
        for piece in &pieces {
            black_box(strip.push(piece));
        }
        black_box(strip.finish());
    })
}

fn rating() -> Work {
    work("rate a receipt of 3 lines".into(), || {
        assert!(black_box(rated()).cost.is_some());
    })
}

fn rated() -> Valuation {
    let lines = [
        UsageLine::reported(Factor::InputText, 100),
        UsageLine::reported(Factor::InputCacheRead, 20),
        UsageLine::reported(Factor::OutputText, 200),
    ];
    let query = Query {
        provider: "openai",
        host: Some("api.openai.com"),
        model_requested: Some("gpt-4o-mini"),
        model_served: Some("gpt-4o-mini-2024-07-18"),
        kind: Kind::Chat,
        at: Timestamp::from_millis(STARTED),
        took_ms: None,
        service_tier: Some("default"),
        region: None,
        local: false,
        reported_cost: None,
        lines: &lines,
    };
    rate(Book::built_in(), &query)
}

/// Into a ledger of its own, from opening it to closing it, shared by so many.
fn recording() -> Work {
    let lines = rated().lines;
    let record = move || {
        let home = tempfile::tempdir().expect("a folder can be made");
        let ledger = Ledger::open(home.path()).expect("an empty folder takes a ledger");
        let recorder = ledger.recorder();
        for number in 0..RECORDED {
            let at = Timestamp::from_millis(STARTED + number * 100);
            let mut receipt = Receipt::begun(recorder.mint(at), at, "openai", "https://any.test");
            let ticket = recorder.open(&receipt);
            receipt.status = Status::Succeeded;
            receipt.lines.clone_from(&lines);
            ticket.finish(receipt);
        }
        ledger.close(Duration::from_secs(60));
    };
    let name = format!("record a receipt of 3 lines, one of {RECORDED}");
    Work { of: RECORDED as u64, ..work(name, record) }
}
