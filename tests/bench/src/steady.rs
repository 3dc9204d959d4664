//! Short calls without a pause, for minutes: how many a second, how much memory, how far receipts
//! fall behind, and whether each is there afterwards with its tokens and its cost.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::case::Case;
use crate::process::{Cpu, peak, resident};
use crate::subject::Subject;
use crate::tollgate;
use crate::wire::Connection;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    /// For how long.
    pub time: Duration,
    /// Connections, each with one call in flight.
    pub at_once: usize,
    /// All connections together make no more calls a second than this.
    pub most_a_second: Option<u64>,
}

/// The worst that was seen while it went on.
#[derive(Debug, Default)]
struct Worst {
    resident: u64,
    waiting: u64,
    spilled: u64,
    wal: u64,
}

impl Steady {
    /// Runs Tollgate in front of the bare upstream and prints what came of it.
    ///
    /// # Errors
    /// When a call fails, or a receipt is missing or wrong.
    pub fn run(self) -> anyhow::Result<()> {
        let upstream = Subject::upstream()?;
        let subject = tollgate::start(&upstream)?;
        let processes = subject.processes();
        let (idle, used) = (resident(&processes), Cpu::of(&processes));
        let calls = AtomicU64::new(0);
        let began = Instant::now();
        let (took, worst) = thread::scope(|scope| -> anyhow::Result<_> {
            let one = |_| scope.spawn(|| self.connection(&subject, began, &calls));
            let clients: Vec<_> = (0..self.at_once).map(one).collect();
            let worst = self.look_on(&subject, &processes, began, &calls)?;
            let mut took = Vec::new();
            for client in clients {
                took.extend(client.join().expect("clients do not panic")?);
            }
            Ok((took, worst))
        })?;
        let elapsed = began.elapsed();
        let made = took.len() as u64;
        let ledger = subject.ledger.as_ref().context("Tollgate has a ledger")?;
        let behind = Instant::now();
        ledger.wait_for(made).with_context(|| format!("{:?}", health(&subject)))?;
        let behind = behind.elapsed();
        let cpu = Cpu::of(&processes).since(&used);
        let a_call = cpu.as_nanos() as u64 / made.max(1) / 1000;
        let health = health(&subject)?;
        say(&format!(
            "{made} calls in {:.1} s over {} connections: {} a second, {a_call} µs of CPU each",
            elapsed.as_secs_f64(),
            self.at_once,
            made * 1000 / elapsed.as_millis().max(1) as u64
        ));
        say(&latencies(took));
        say(&format!(
            "resident: {} MiB idle, {} at most, {} now; kernel's peak {}",
            idle >> 20,
            worst.resident >> 20,
            resident(&processes) >> 20,
            peak(&processes) >> 20
        ));
        say(&format!(
            "receipts: at most {} waited, {} spilled, log of {} MiB; all in the ledger {behind:.1?} after the last call; {health}",
            worst.waiting,
            worst.spilled,
            worst.wal >> 20
        ));
        let receipts = ledger.receipts()?;
        say(&format!("{receipts:?}, {} bytes each", ledger.size() / made.max(1)));
        ensure!(
            (receipts.count, receipts.exact, receipts.priced) == (made, made, made),
            "not every call has its whole receipt"
        );
        Ok(())
    }

    /// Calls until the time is over; how long each took, in microseconds.
    fn connection(
        self,
        subject: &Subject,
        began: Instant,
        calls: &AtomicU64,
    ) -> anyhow::Result<Vec<u32>> {
        let request = subject.request(Case::Call);
        let mut connection = Connection::open(subject.address)?;
        let pause = self
            .most_a_second
            .map(|most| Duration::from_secs(1) * self.at_once as u32 / most as u32);
        let (mut took, mut next) = (Vec::new(), began);
        while began.elapsed() < self.time {
            if let Some(pause) = pause {
                next += pause;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            let call = connection.call(&request, &mut |_| {})?;
            took.push(u32::try_from(call.whole.as_micros()).unwrap_or(u32::MAX));
            calls.fetch_add(1, Ordering::Relaxed);
        }
        Ok(took)
    }

    /// Looks every second how it goes, and says so every tenth.
    fn look_on(
        self,
        subject: &Subject,
        processes: &[u32],
        began: Instant,
        calls: &AtomicU64,
    ) -> anyhow::Result<Worst> {
        let mut worst = Worst::default();
        for second in 1.. {
            let next = began + Duration::from_secs(second);
            if next > began + self.time {
                break;
            }
            thread::sleep(next.saturating_duration_since(Instant::now()));
            let (health, now) = (health(subject)?, resident(processes));
            let of = |name: &str| health[name].as_u64().unwrap_or_default();
            let wal = subject.ledger.as_ref().map_or(0, tollgate::Ledger::log_size);
            worst.resident = worst.resident.max(now);
            worst.waiting = worst.waiting.max(of("waiting"));
            worst.spilled = worst.spilled.max(of("spilled"));
            worst.wal = worst.wal.max(wal);
            if second.is_multiple_of(10) {
                let (calls, now) = (calls.load(Ordering::Relaxed), now >> 20);
                say(&format!(
                    "{second} s: {calls} calls, {now} MiB, {} wait, {} lost",
                    of("waiting"),
                    of("lost")
                ));
            }
        }
        Ok(worst)
    }
}

fn latencies(mut took: Vec<u32>) -> String {
    took.sort_unstable();
    let of =
        |share: usize| took.get((took.len() * share / 10_000).min(took.len().saturating_sub(1)));
    let [median, most, rare] = [5_000, 9_900, 9_990].map(|share| of(share).copied().unwrap_or(0));
    let last = took.last().copied().unwrap_or(0);
    format!("a call took {median} µs in the median, p99 {most}, p99.9 {rare}, at most {last}")
}

/// What `/healthz` says, over a connection of its own.
fn health(subject: &Subject) -> anyhow::Result<Value> {
    let mut socket = TcpStream::connect(subject.address)?;
    write!(
        socket,
        "GET /healthz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        subject.address
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let body = answer.split("\r\n\r\n").nth(1).context("no body")?;
    let json = body.find('{').zip(body.rfind('}')).map(|(from, to)| &body[from..=to]);
    Ok(serde_json::from_str(json.context("no JSON")?)?)
}

fn say(line: &str) {
    // Whoever listens no longer has heard enough.
    let _ = writeln!(std::io::stdout(), "{line}");
}
