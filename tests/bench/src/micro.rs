//! What reading and rating cost by themselves: CPU time, and instructions under valgrind,
//! which are the same on a busy machine.

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use meter::Timestamp;
use meter::format::assist::{Strip, ask};
use meter::format::{End, Reader};
use meter::price::{Book, Query, rate};
use meter::provider::{Provider, Providers};
use meter::receipt::Kind;
use meter::request::{Asked, RequestScanner};
use meter::usage::{Factor, UsageLine};

use crate::process::Cpu;
use crate::streams::{SHAPES, Shape};
use crate::table::{Table, time};
use crate::upstream::CHUNKS;

const MEGABYTE: usize = 1_000_000;
/// How long each work is repeated to learn its time.
const ENOUGH: Duration = Duration::from_millis(300);
/// Repetitions under valgrind; the first is taken off, so that set-up does not count.
const REPEATS: u64 = 5;

/// Something that can be done over and over.
struct Work {
    name: String,
    once: Box<dyn FnMut()>,
}

fn work(name: String, once: impl FnMut() + 'static) -> Work {
    Work { name, once: Box::new(once) }
}

/// All of them; streams twice, by the megabyte and by the stream of so many chunks.
fn works() -> Vec<Work> {
    let streams = SHAPES.iter().flat_map(|shape| {
        let by_chunk = shape.pieces(CHUNKS as usize);
        let by_length = shape.of_length(MEGABYTE);
        let name = shape.name;
        [
            work(format!("{name}: {CHUNKS} chunks"), move || read(shape, &by_chunk)),
            work(format!("{name}: 1 MB"), move || read(shape, &by_length)),
        ]
    });
    streams.chain(requests()).chain([stripping(), rating()]).collect()
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
    let reported = |factor: Factor, count: u64| UsageLine::reported(factor, count);
    let lines = [
        reported(Factor::InputText, 100),
        reported(Factor::InputCacheRead, 20),
        reported(Factor::OutputText, 200),
    ];
    work("rate a receipt of 3 lines".into(), move || {
        let query = Query {
            provider: "openai",
            host: Some("api.openai.com"),
            model_requested: Some("gpt-4o-mini"),
            model_served: Some("gpt-4o-mini-2024-07-18"),
            kind: Kind::Chat,
            at: Timestamp::from_millis(1_795_132_800_000),
            took_ms: None,
            service_tier: Some("default"),
            region: None,
            local: false,
            reported_cost: None,
            lines: &lines,
        };
        assert!(black_box(rate(Book::built_in(), &query)).cost.is_some());
    })
}

/// Prints a row for each; with valgrind also its instructions.
pub fn run(counts_instructions: bool) -> anyhow::Result<()> {
    let headings = ["", "CPU time", if counts_instructions { "instructions" } else { "" }];
    let mut table = Table::new(headings);
    for (at, mut work) in works().into_iter().enumerate() {
        let nanos = i64::try_from(cpu_time(&mut work.once).as_nanos())?;
        let instructions =
            if counts_instructions { thousands(instructions(at)?) } else { String::new() };
        table.row([work.name, time(nanos), instructions]);
    }
    println!("{table}");
    Ok(())
}

/// Of one repetition.
fn cpu_time(once: &mut dyn FnMut()) -> Duration {
    let me = [std::process::id()];
    once();
    let before = Cpu::of(&me);
    let mut times = 0;
    loop {
        // Reading the books costs a little, so not after each.
        for _ in 0..16 {
            once();
        }
        times += 16;
        let used = Cpu::of(&me).since(&before);
        if used > ENOUGH {
            return used / times;
        }
    }
}

/// Does work number `at` so many times: what runs under valgrind.
pub fn repeat(at: usize, times: u64) {
    let mut work = works().swap_remove(at);
    for _ in 0..times {
        (work.once)();
    }
}

/// Of one repetition.
fn instructions(at: usize) -> anyhow::Result<u64> {
    let (one, all) = (count(at, 1)?, count(at, REPEATS)?);
    Ok(all.saturating_sub(one) / (REPEATS - 1))
}

fn count(at: usize, times: u64) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["repeat", &at.to_string(), &times.to_string()])
        .output()
        .context("valgrind cannot be run\nInstall it: `sudo apt-get install valgrind`")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind failed:\n{said}");
    let line = said.lines().find_map(|line| line.split("Collected : ").nth(1));
    line.and_then(|number| number.trim().parse().ok()).context("valgrind collected nothing")
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits"))
        .collect();
    groups.join(",")
}
