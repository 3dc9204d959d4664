//! The writing side of a ledger of years: how long opening takes, and what a receipt costs
//! the disk.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use meter::Timestamp;
use store::{Filter, Ledger, Questions, Recorder};

use crate::heavy_use::{self, HeavyUse};
use crate::machine;
use crate::table::Table;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Opens the ledger in `home`, waits until an update's work is done, records and reports.
///
/// # Errors
/// When the ledger cannot be opened, or the system does not say what was written.
pub fn run(home: &Path, receipts: u64, single: u64) -> anyhow::Result<()> {
    println!("{}\n", machine::description());
    let began = Instant::now();
    let ledger = Ledger::open(home)?;
    println!("opened for writing in {:.1?}", began.elapsed());
    while ledger.health().catching_up {
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("an update's work was done after {:.1?}\n", began.elapsed());
    let (recorder, questions) = (ledger.recorder(), Questions::open(home)?);
    let mut table = Table::new(["recorded", "receipts", "bytes written, each", "a receipt took"]);
    // After all there are: what comes late is seldom, and costs more.
    let newest = questions.requests(&Filter::default(), None, 1)?;
    let mut from = newest.first().map_or_else(heavy_use::now, |newest| newest.id.minted_at());
    let mut row = |name: &str, count: u64, most_waiting: u64| -> anyhow::Result<()> {
        let (before, began) = (written()?, Instant::now());
        record(&ledger, &recorder, (from, count), most_waiting);
        from = Timestamp::from_millis(from.millis() + DAY_MS);
        let taken = began.elapsed() / u32::try_from(count.max(1))?;
        let bytes = (written()? - before) / count.max(1);
        table.row([name.to_owned(), count.to_string(), bytes.to_string(), format!("{taken:.1?}")]);
        Ok(())
    };
    row("as fast as can be", receipts, 2_000)?;
    row("one after another", single, 0)?;
    println!("{table}");
    copy_while_recording(home, &ledger, &recorder)?;
    ledger.close(Duration::from_secs(60));
    Ok(())
}

/// Copies the ledger while receipts come in, and says what each of them noticed of it.
fn copy_while_recording(home: &Path, ledger: &Ledger, recorder: &Recorder) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(home)?;
    let questions = Questions::open(home)?;
    let (at, began) = (folder.path().to_owned(), Instant::now());
    let copying = std::thread::spawn(move || {
        let made = questions.back_up(&at, heavy_use::now());
        (made, began.elapsed())
    });
    let mut uses = HeavyUse::new(1_000_000, 1, heavy_use::now(), 8);
    let (mut took, mut most_waiting) = (Vec::new(), 0);
    while !copying.is_finished() {
        let Some(receipt) = uses.next(|at| recorder.mint(at)) else { break };
        let began = Instant::now();
        recorder.open(&receipt).finish(receipt);
        took.push(began.elapsed());
        most_waiting = most_waiting.max(ledger.health().waiting);
        std::thread::sleep(Duration::from_millis(2));
    }
    let (made, taken) = copying.join().map_err(|_| anyhow!("the copying thread panicked"))?;
    let bytes = made?.context("there is a ledger")?.bytes;
    took.sort_unstable();
    let rank = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!(
        "copied {} MB in {taken:.1?}; meanwhile {} receipts were handed in, in {:.1?} each (p99 {:.1?}, \
         longest {:.1?}), and at most {most_waiting} waited to be committed",
        bytes / 1_000_000,
        took.len(),
        rank(50),
        rank(99),
        rank(100),
    );
    Ok(())
}

/// Records receipts of a day that begins at `from`; so many may wait to be committed.
fn record(
    ledger: &Ledger,
    recorder: &Recorder,
    (from, count): (Timestamp, u64),
    most_waiting: u64,
) {
    let done = || ledger.health().recorded + ledger.health().lost;
    let already = done();
    let mut uses = HeavyUse::new(count, 1, Timestamp::from_millis(from.millis() + DAY_MS), 7);
    let mut sent = 0;
    while let Some(receipt) = uses.next(|at| recorder.mint(at)) {
        recorder.open(&receipt).finish(receipt);
        sent += 1;
        while sent - (done() - already) > most_waiting {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    while done() - already < sent {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes this process had written to a disk, as the system counts them.
fn written() -> anyhow::Result<u64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("the system does not count bytes written")?.parse()?)
}
