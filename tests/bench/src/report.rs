//! The figures as a person reads them.

use crate::load::Load;
use crate::measure::{Figures, Nanos};
use crate::memory::{Memory, STREAMS, UPLOAD};
use crate::subject::Subject;
use crate::table::{Table, added, size, time};

/// One table: a row a measure, a column a subject. The first subject is the bare upstream,
/// and the last is compared with all in between.
pub(crate) struct Report {
    table: Table,
}

impl Report {
    pub(crate) fn new(subjects: &[Subject]) -> Self {
        let names = subjects.iter().map(|subject| subject.name.to_owned());
        let compared = match subjects {
            [_, between @ .., last] => between.iter().map(|one| (last.name, one.name)).collect(),
            _ => Vec::new(),
        };
        let compared = compared.into_iter().map(|(last, one)| format!("{last} : {one}"));
        let headings = [String::new()].into_iter().chain(names).chain(compared);
        Self { table: Table::new(headings) }
    }

    /// CPU time a call.
    pub(crate) fn cpu(&mut self, title: &str, load: Load, figures: &[Figures]) {
        let values: Vec<_> = figures.iter().map(|f| Some(median(&f.cpu))).collect();
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
        let rates: Vec<_> = figures.iter().map(|f| Some(median(&f.rate))).collect();
        self.row("  calls a second", &rates, |rate| rate.to_string());
    }

    pub(crate) fn memory(&mut self, memory: &[Memory]) {
        let streams = format!("  with {STREAMS} streams open, peak");
        let upload = format!("  while {} MiB go up, peak", UPLOAD / 1_048_576);
        type Of = fn(&Memory) -> Option<u64>;
        let rows: [(&str, Of); 4] = [
            ("resident memory, idle", |m| Some(m.idle)),
            (&streams, |m| Some(m.streaming)),
            (&upload, |m| m.uploading),
            ("  after all of it", |m| Some(m.after)),
        ];
        for (title, of) in rows {
            let values: Vec<_> = memory.iter().map(|m| of(m).map(|bytes| bytes as i64)).collect();
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
        let values: Vec<_> = others.iter().map(|other| Some(more(other))).collect();
        let bare = format!("({})", time(median(of(bare))));
        self.cells(vec![title.to_owned(), bare], &values, added);
    }

    fn row(&mut self, title: &str, values: &[Option<i64>], text: fn(i64) -> String) {
        let [bare, others @ ..] = values else { return };
        self.cells(vec![title.to_owned(), bare.map_or_else(none, text)], others, text);
    }

    /// Adds a row that begins with `cells`: everyone's value but the bare upstream's, and how
    /// the last one's compares.
    fn cells(&mut self, mut cells: Vec<String>, values: &[Option<i64>], text: fn(i64) -> String) {
        cells.extend(values.iter().map(|value| value.map_or_else(none, text)));
        if let [between @ .., last] = values {
            cells.extend(between.iter().map(|one| match (last, one) {
                (Some(last), Some(one)) => ratio(*last, *one),
                _ => none(),
            }));
        }
        self.table.row(cells);
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.table.fmt(f)
    }
}

/// Two digits that say something, also of what is far less.
fn ratio(value: i64, baseline: i64) -> String {
    if value < 0 || baseline <= 0 {
        return none();
    }
    let ratio = value as f64 / baseline as f64;
    match ratio {
        ..0.01 => format!("{ratio:.4}x"),
        ..0.1 => format!("{ratio:.3}x"),
        ..0.95 => format!("{ratio:.2}x"),
        _ => format!("{ratio:.1}x"),
    }
}

/// What was not measured, or means nothing.
fn none() -> String {
    "-".to_owned()
}

/// Zero where nothing was measured.
fn median(values: &[i64]) -> i64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
