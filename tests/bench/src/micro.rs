//! What reading, rating and recording cost by themselves: CPU time, and, counted by valgrind,
//! instructions and allocations, which are the same on a busy machine.

use std::time::Duration;

use meter::price::Book;

use crate::process::Cpu;
use crate::streams::SHAPES;
use crate::table::{Table, time};
use crate::upstream::CHUNKS;
use crate::valgrind::{Counts, counts};
use crate::works::{Work, others, streams};

/// How long each work is repeated to learn its time.
const ENOUGH: Duration = Duration::from_millis(300);
/// What the compiled-in price book may add to the program.
const BOOK_LIMIT: usize = 600_000;

/// What one work came to, each time it is done.
struct Cost {
    nanos: i64,
    counts: Option<Counts>,
}

/// Prints the tables; counting with valgrind is left out where it is not installed.
pub fn run() -> anyhow::Result<()> {
    let first_other = streams().len();
    let costs = streams().into_iter().enumerate().map(|(at, work)| cost(at, work));
    let costs: Vec<Cost> = costs.collect::<anyhow::Result<_>>()?;
    println!("{}", table_of_streams(&costs));
    let headings = ["", "CPU", "instructions", "allocations"];
    let mut table = Table::new(headings);
    for (at, work) in others().into_iter().enumerate() {
        let name = work.name.clone();
        let cost = cost(first_other + at, work)?;
        table.row([
            name,
            time(cost.nanos),
            told(cost.counts, |c| c.instructions),
            told(cost.counts, |c| c.allocations),
        ]);
    }
    println!("{table}");
    let book = Book::built_in_size();
    println!(
        "price book in the program: {} bytes (at most {})",
        thousands(book as u64),
        thousands(BOOK_LIMIT as u64)
    );
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

fn cost(at: usize, mut work: Work) -> anyhow::Result<Cost> {
    let nanos = i64::try_from(cpu_time(&mut work.once).as_nanos())?;
    let share = |counts: Counts| Counts {
        instructions: counts.instructions / work.of,
        allocations: counts.allocations / work.of,
    };
    Ok(Cost { nanos: nanos / work.of.cast_signed(), counts: counts(at)?.map(share) })
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
