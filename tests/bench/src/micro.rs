//! What reading, rating and recording cost by themselves, and a whole call: CPU time, and, counted
//! by valgrind, instructions and allocations, which are the same on a busy machine.

use std::time::Duration;

use anyhow::ensure;
use meter::price::Book;

use crate::case::Case;
use crate::kept::{self, Kept};
use crate::process::Cpu;
use crate::streams::SHAPES;
use crate::subject::Subject;
use crate::table::{Table, thousands, time};
use crate::upstream::CHUNKS;
use crate::valgrind::{Counts, counts, whole_path};
use crate::works::{Work, others, streams};

/// How long each work is repeated to learn its time.
const ENOUGH: Duration = Duration::from_millis(300);
/// What the compiled-in price book may add to the program.
const BOOK_LIMIT: usize = 600_000;

/// Allocations that a call may take, from its first byte to its receipt in the ledger.
const CALL_ALLOCATIONS: u64 = 250;
/// And each chunk of a stream besides, in hundredths.
const CHUNK_ALLOCATIONS: u64 = 50;

/// What one work came to, each time it is done.
struct Cost {
    name: String,
    nanos: i64,
    counts: Option<Counts>,
}

/// Whether what is counted is kept for the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It is compared with what was kept.
    No,
    /// It takes the place of that.
    Yes,
}

/// Prints the tables; counting with valgrind is left out where it is not installed.
pub fn run(keep: Keep) -> anyhow::Result<()> {
    let before = Kept::read();
    let works = streams().into_iter().chain(others()).enumerate();
    let costs: Vec<Cost> = works.map(|(at, work)| cost(at, work)).collect::<anyhow::Result<_>>()?;
    let (of_streams, of_others) = costs.split_at(2 * SHAPES.len());
    println!("{}", table_of_streams(of_streams));
    println!("{}", table_of_others(of_others, &before));
    let book = Book::built_in_size();
    println!(
        "price book in the program: {} bytes (at most {})\n",
        thousands(book as u64),
        thousands(BOOK_LIMIT as u64)
    );
    if costs.iter().any(|cost| cost.counts.is_none()) {
        println!("nothing was counted: valgrind is not installed");
        return Ok(());
    }
    let calls = calls()?;
    println!("{}", table_of_calls(&calls, &before));
    if keep == Keep::Yes {
        let of_works = costs.into_iter().filter_map(|cost| Some((cost.name, cost.counts?)));
        kept::write(&of_works.chain(calls.iter().cloned()).collect::<Vec<_>>())?;
    }
    within_budget(&calls)
}

/// A call and a stream through Tollgate itself.
fn calls() -> anyhow::Result<[(String, Counts); 2]> {
    let upstream = Subject::upstream()?;
    let counted = |name: &str, case| anyhow::Ok((name.to_owned(), whole_path(&upstream, case)?));
    Ok([
        counted("a call, with its receipt", Case::Call)?,
        counted(&format!("a stream of {CHUNKS} chunks, with its receipt"), Case::Stream)?,
    ])
}

fn within_budget([(_, call), (_, stream)]: &[(String, Counts); 2]) -> anyhow::Result<()> {
    let of_stream = CALL_ALLOCATIONS + u64::from(CHUNKS) * CHUNK_ALLOCATIONS / 100;
    println!("allocations: at most {CALL_ALLOCATIONS} a call, {of_stream} a stream");
    let fits = call.allocations <= CALL_ALLOCATIONS && stream.allocations <= of_stream;
    ensure!(fits, "a call allocates more than it may");
    Ok(())
}

/// A row a format, with what a megabyte costs next to that of the cheapest.
fn table_of_streams(costs: &[Cost]) -> Table {
    let chunks = format!("{CHUNKS} chunks: CPU");
    let headings = [
        "stream of",
        "1 MB: instructions",
        "CPU",
        "x cheapest",
        &chunks,
        "instructions",
        "allocations",
    ];
    let mut table = Table::new(headings);
    // Instructions, if they were counted: CPU time depends on what else the machine does.
    let weight = |cost: &Cost| cost.counts.map_or(cost.nanos as f64, |c| c.instructions as f64);
    let pairs = || costs.chunks_exact(2);
    let cheapest = pairs().map(|pair| weight(&pair[1])).fold(f64::INFINITY, f64::min);
    for (shape, pair) in SHAPES.iter().zip(pairs()) {
        let (stream, megabyte) = (&pair[0], &pair[1]);
        table.row([
            shape.name.to_owned(),
            told(megabyte.counts, |counts| counts.instructions),
            time(megabyte.nanos),
            format!("{:.2}", weight(megabyte) / cheapest),
            time(stream.nanos),
            told(stream.counts, |counts| counts.instructions),
            told(stream.counts, |counts| counts.allocations),
        ]);
    }
    table
}

fn table_of_others(costs: &[Cost], before: &Kept) -> Table {
    let mut table = Table::new(["", "CPU", "instructions", "change", "allocations"]);
    for cost in costs {
        let change = cost.counts.map(|counts| before.change(&cost.name, counts));
        table.row([
            cost.name.clone(),
            time(cost.nanos),
            told(cost.counts, |counts| counts.instructions),
            change.unwrap_or_default(),
            told(cost.counts, |counts| counts.allocations),
        ]);
    }
    table
}

fn table_of_calls(calls: &[(String, Counts)], before: &Kept) -> Table {
    let mut table = Table::new(["through Tollgate", "instructions", "change", "allocations"]);
    for (name, counts) in calls {
        table.row([
            name.clone(),
            thousands(counts.instructions),
            before.change(name, *counts),
            thousands(counts.allocations),
        ]);
    }
    table
}

fn cost(at: usize, mut work: Work) -> anyhow::Result<Cost> {
    let nanos = i64::try_from(cpu_time(&mut work.once).as_nanos())?;
    let share = |counts: Counts| Counts {
        instructions: counts.instructions / work.of,
        allocations: counts.allocations / work.of,
    };
    let counts = counts(at)?.map(share);
    Ok(Cost { name: work.name, nanos: nanos / work.of.cast_signed(), counts })
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
    let mut work = streams().into_iter().chain(others()).nth(at).expect("a work of this number");
    for _ in 0..times {
        (work.once)();
    }
}

fn told(counts: Option<Counts>, which: fn(Counts) -> u64) -> String {
    counts.map_or_else(|| "?".into(), |counts| thousands(which(counts)))
}
