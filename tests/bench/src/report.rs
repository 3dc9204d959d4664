//! The figures as a person reads them.

use crate::load::Load;
use crate::measure::{Figures, Nanos};
use crate::memory::{Memory, STREAMS, UPLOAD};
use crate::subject::Subject;
use crate::table::{Table, added, size, time};

/// One table: a row a measure, a column a subject. The first subject is the bare upstream,
/// the second the baseline, and the last is compared with it.
pub(crate) struct Report {
    table: Table,
    subjects: usize,
}

impl Report {
    pub(crate) fn new(subjects: &[Subject]) -> Self {
        let names = subjects.iter().map(|subject| subject.name.to_owned());
        let compared = compared(subjects.len()).map(|_| {
            let [.., last] = subjects else { return String::new() };
            format!("{} : {}", last.name, subjects[1].name)
        });
        let headings = [String::new()].into_iter().chain(names).chain(compared);
        Self { table: Table::new(headings), subjects: subjects.len() }
    }

    /// CPU time a call.
    pub(crate) fn cpu(&mut self, title: &str, load: Load, figures: &[Figures]) {
        let values: Vec<Nanos> = figures.iter().map(|f| median(&f.cpu)).collect();
        self.row(&format!("{title}, {} at a time: CPU each", load.at_once), &values, time);
    }

    /// What is added to the whole call.
    pub(crate) fn whole(&mut self, figures: &[Figures]) {
        self.added("  added until the end, p50", figures, |f| &f.whole.p50);
        self.added("  added until the end, p99", figures, |f| &f.whole.p99);
    }

    /// What is added to the first byte.
    pub(crate) fn first_byte(&mut self, figures: &[Figures]) {
        self.added("  added to the first byte, p50", figures, |f| &f.first_byte.p50);
        self.added("  added to the first byte, p99", figures, |f| &f.first_byte.p99);
    }

    /// What is added to each chunk.
    pub(crate) fn chunk(&mut self, figures: &[Figures]) {
        self.added("  added to a chunk, p50", figures, |f| &f.chunk.p50);
        self.added("  added to a chunk, p99", figures, |f| &f.chunk.p99);
    }

    /// How many calls a second went through.
    pub(crate) fn rate(&mut self, figures: &[Figures]) {
        let rates: Vec<i64> = figures.iter().map(|f| median(&f.rate)).collect();
        self.row("  calls a second", &rates, |rate| rate.to_string());
    }

    pub(crate) fn memory(&mut self, memory: &[Memory]) {
        let streams = format!("  with {STREAMS} streams open, peak");
        let upload = format!("  while {} MiB go up, peak", UPLOAD / 1_048_576);
        type Of = fn(&Memory) -> u64;
        let rows: [(&str, Of); 4] = [
            ("resident memory, idle", |m| m.idle),
            (&streams, |m| m.streaming),
            (&upload, |m| m.uploading),
            ("  after all of it", |m| m.after),
        ];
        for (title, of) in rows {
            let values: Vec<i64> = memory.iter().map(|m| of(m) as i64).collect();
            self.row(title, &values, |bytes| size(bytes as u64));
        }
    }

    /// The bare upstream's own value, and what the others add to it in the same round.
    fn added(&mut self, title: &str, figures: &[Figures], of: fn(&Figures) -> &Vec<Nanos>) {
        let [bare, others @ ..] = figures else { return };
        let more = |other: &Figures| {
            let pairs = of(other).iter().zip(of(bare));
            median(&pairs.map(|(other, bare)| other - bare).collect::<Vec<_>>())
        };
        let values = others.iter().map(more);
        let mut cells = vec![title.to_owned(), format!("({})", time(median(of(bare))))];
        let values: Vec<Nanos> = values.collect();
        cells.extend(values.iter().copied().map(added));
        cells.extend(compared(self.subjects).map(|last| ratio(values[last - 1], values[0])));
        self.table.row(cells);
    }

    fn row(&mut self, title: &str, values: &[i64], text: fn(i64) -> String) {
        let mut cells = vec![title.to_owned()];
        cells.extend(values.iter().copied().map(text));
        cells.extend(compared(self.subjects).map(|last| ratio(values[last], values[1])));
        self.table.row(cells);
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.table.fmt(f)
    }
}

/// Which subject is compared with the baseline, if there are both.
fn compared(subjects: usize) -> Option<usize> {
    (subjects > 2).then(|| subjects - 1)
}

fn ratio(value: i64, baseline: i64) -> String {
    match baseline {
        1.. => format!("{:.1}x", value as f64 / baseline as f64),
        _ => "-".to_owned(),
    }
}

/// Zero where nothing was measured.
fn median(values: &[i64]) -> i64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
