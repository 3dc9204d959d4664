//! The load generator: so many connections, each with one call after the other.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use memchr::memmem;

use crate::case::Case;
use crate::subject::Subject;
use crate::upstream::STAMP;
use crate::wire::{Connection, Took};

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) case: Case,
    /// Connections, each with one call in flight.
    pub(crate) at_once: usize,
    /// Calls on each.
    pub(crate) each: usize,
}

impl Load {
    pub(crate) fn calls(self) -> usize {
        self.at_once * self.each
    }
}

/// What the client saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) took: Vec<Took>,
    /// From the making of a chunk to its arrival; of paced streams only.
    pub(crate) chunks: Vec<Duration>,
    /// From the first call's start to the last one's end.
    pub(crate) elapsed: Duration,
}

/// Asks and waits for all answers.
pub(crate) fn run(subject: &Subject, load: Load) -> anyhow::Result<Seen> {
    let request = subject.request(load.case);
    let gate = Barrier::new(load.at_once + 1);
    let began = thread::scope(|scope| -> anyhow::Result<(Instant, Vec<Seen>)> {
        let one = || {
            thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn_scoped(scope, || connection(subject, &request, load, &gate))
                .context("too many threads")
        };
        let threads: Vec<_> = (0..load.at_once).map(|_| one()).collect::<anyhow::Result<_>>()?;
        gate.wait();
        let began = Instant::now();
        let join = |thread: thread::ScopedJoinHandle<'_, anyhow::Result<Seen>>| {
            thread.join().expect("the connection's thread does not panic")
        };
        let all = threads.into_iter().map(join).collect::<anyhow::Result<_>>()?;
        Ok((began, all))
    });
    let (began, all) = began.with_context(|| format!("{} under {load:?}", subject.name))?;
    let mut seen = Seen { elapsed: began.elapsed(), ..Seen::default() };
    for one in all {
        seen.took.extend(one.took);
        seen.chunks.extend(one.chunks);
    }
    Ok(seen)
}

fn connection(
    subject: &Subject,
    request: &[u8],
    load: Load,
    gate: &Barrier,
) -> anyhow::Result<Seen> {
    let connection = Connection::open(subject.address);
    gate.wait();
    let mut connection = connection?;
    let mut seen = Seen::default();
    seen.took.reserve(load.each);
    let stamp = memmem::Finder::new(STAMP);
    for _ in 0..load.each {
        let took = match load.case {
            Case::Paced(_) => connection.call(request, &mut |bytes| {
                seen.chunks.extend(ages(&stamp, bytes));
            }),
            Case::Call | Case::Stream | Case::AssistedStream => {
                connection.call(request, &mut |_| {})
            }
        };
        seen.took.push(took?);
    }
    Ok(seen)
}

/// How long ago each chunk was made. A stamp cut in two counts for nothing.
fn ages(stamp: &memmem::Finder<'_>, bytes: &[u8]) -> Vec<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let made = |at: usize| {
        let digits = bytes.get(at + STAMP.len()..)?.get(..19)?;
        let nanos: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(now.saturating_sub(Duration::from_nanos(nanos)))
    };
    stamp.find_iter(bytes).filter_map(made).collect()
}
