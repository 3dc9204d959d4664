//! Aligned tables that fit the terminal: wide texts are cut, then the least important
//! columns are left out.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::screen::{FAINT, PLAIN, Screen, harmless, painted};

/// How a column's cells stand under each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Whole numbers.
    Right,
    /// Money: decimal points under each other.
    Point,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    align: Align,
    /// It may be cut down to this width.
    least: Option<usize>,
    /// It is never narrower than this, so that rows that come later fit too.
    room: usize,
    /// Columns with a higher rank are left out first; 0 always stays.
    rank: u8,
}

impl Column {
    pub(crate) const fn new(title: &'static str, align: Align, rank: u8) -> Self {
        Self { title, align, least: None, room: 0, rank }
    }

    /// The same, never narrower than `room`.
    pub(crate) const fn at_least(self, room: usize) -> Self {
        Self { room, ..self }
    }

    /// The same, allowed to be cut to `least` columns.
    pub(crate) const fn cut(self, least: usize) -> Self {
        Self { least: Some(least), ..self }
    }
}

/// What stands in one place.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text as it comes. Whatever it holds, it cannot drive the terminal.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: harmless(text.as_ref()), style: PLAIN }
    }

    /// A text or, where there is none, a faint dash.
    pub(crate) fn optional(text: Option<&str>) -> Self {
        text.map_or_else(|| Self::new("–").style(FAINT), Self::new)
    }

    /// The same in a style.
    pub(crate) fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    fn width(&self) -> usize {
        self.text.width()
    }

    /// Columns from the decimal point on; nothing for what has none to align.
    fn tail(&self) -> Option<usize> {
        self.text.find('.').map(|at| self.text[at..].width())
    }
}

/// Which columns are shown and how wide each of them is.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    columns: Vec<(usize, Column, usize, usize)>,
}

const GAP: usize = 2;

impl Layout {
    /// Fits `columns` with `rows` into `width` (nothing: as wide as it gets).
    pub(crate) fn fit(columns: &[Column], rows: &[Vec<Cell>], width: Option<usize>) -> Self {
        let mut chosen: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cells = || rows.iter().filter_map(|row| row.get(at));
                let tail = match column.align {
                    Align::Point => cells().filter_map(Cell::tail).max().unwrap_or(0),
                    Align::Left | Align::Right => 0,
                };
                let wide = |cell: &Cell| match column.align {
                    Align::Point => cell.width() + cell.tail().map_or(0, |own| tail - own),
                    Align::Left | Align::Right => cell.width(),
                };
                let widest = cells().map(wide).max().unwrap_or(0);
                let widest = widest.max(column.title.width()).max(column.room);
                (at, *column, widest, tail)
            })
            .collect();
        let Some(width) = width else { return Self { columns: chosen } };
        loop {
            let total = |c: &[(usize, Column, usize, usize)]| {
                c.iter().map(|c| c.2 + GAP).sum::<usize>().saturating_sub(GAP)
            };
            let over = total(&chosen).saturating_sub(width);
            if over == 0 {
                break;
            }
            if cut_widest(&mut chosen, over) {
                continue;
            }
            let last = chosen.iter().enumerate().max_by_key(|(at, c)| (c.1.rank, *at));
            match last.map(|(at, c)| (at, c.1.rank)) {
                Some((at, rank)) if rank > 0 => drop(chosen.remove(at)),
                _ => break,
            }
            // The room that became free goes back to the columns that were cut.
            for column in &mut chosen {
                let cells = rows.iter().filter_map(|row| row.get(column.0));
                let widest = cells.map(Cell::width).max().unwrap_or(0);
                column.2 = column.2.max(widest);
            }
        }
        Self { columns: chosen }
    }

    /// Writes the titles.
    pub(crate) fn header(&self, out: &mut impl Write) -> io::Result<()> {
        let titles = self.columns.iter().map(|(_, column, width, _)| {
            let align = if column.align == Align::Point { Align::Right } else { column.align };
            (Cell::new(column.title).style(FAINT), align, *width, 0)
        });
        write_cells(out, titles)
    }

    /// Writes one row of cells, in the order of the columns given to [`Self::fit`].
    pub(crate) fn row(&self, out: &mut impl Write, row: &[Cell]) -> io::Result<()> {
        let cells = self.columns.iter().filter_map(|(at, column, width, tail)| {
            row.get(*at).map(|cell| (cell.clone(), column.align, *width, *tail))
        });
        write_cells(out, cells)
    }
}

/// Cuts the widest column that may be cut by up to `over`; says whether one could.
fn cut_widest(columns: &mut [(usize, Column, usize, usize)], over: usize) -> bool {
    let room = |c: &(usize, Column, usize, usize)| c.1.least.map_or(0, |l| c.2.saturating_sub(l));
    let Some(widest) = columns.iter_mut().filter(|c| room(c) > 0).max_by_key(|c| c.2) else {
        return false;
    };
    widest.2 -= room(widest).min(over.div_ceil(2).max(1));
    true
}

fn write_cells(
    out: &mut impl Write,
    cells: impl Iterator<Item = (Cell, Align, usize, usize)>,
) -> io::Result<()> {
    let mut line = String::new();
    let mut pending = 0;
    for (at, (cell, align, width, tail)) in cells.enumerate() {
        if at != 0 {
            pending += GAP;
        }
        // Half a word is still a hint, half a number is a lie.
        let text = if align == Align::Left { cut(&cell.text, width) } else { cell.text.clone() };
        let behind_point = cell.tail().map_or(0, |own| tail.saturating_sub(own));
        let spare = width.saturating_sub(text.width());
        let (before, after) = match align {
            Align::Left => (0, spare),
            Align::Right => (spare, 0),
            Align::Point => (spare.saturating_sub(behind_point), behind_point.min(spare)),
        };
        if text.is_empty() {
            pending += width;
            continue;
        }
        // Spaces at the end of a line are never written.
        line.push_str(&" ".repeat(pending + before));
        line.push_str(&painted(cell.style, &text));
        pending = after;
    }
    writeln!(out, "{line}")
}

/// The text, or as much of it as fits with an ellipsis.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// Writes a whole table.
pub(crate) fn print(screen: &mut Screen, columns: &[Column], rows: &[Vec<Cell>]) -> io::Result<()> {
    let layout = Layout::fit(columns, rows, screen.width);
    layout.header(screen)?;
    rows.iter().try_for_each(|row| layout.row(screen, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        Column::new("model", Align::Left, 0).cut(8),
        Column::new("tokens", Align::Right, 1),
        Column::new("cost", Align::Point, 0),
        Column::new("client", Align::Left, 2).cut(4),
    ];

    fn drawn(width: Option<usize>) -> String {
        let row = |a: &str, b: &str, c: &str, d: &str| [a, b, c, d].map(Cell::new).to_vec();
        let rows = [
            row("a-model-with-a-long-name", "40,708", "$3.20", "claude-cli/2.1"),
            row("short", "12", "$0.000033", "curl"),
            row("模型", "7", "unknown", ""),
        ];
        let layout = Layout::fit(COLUMNS, &rows, width);
        let mut out = Vec::new();
        layout.header(&mut out).unwrap();
        rows.iter().for_each(|row| layout.row(&mut out, row).unwrap());
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn columns_are_aligned_and_money_at_its_point() {
        let want = "\
model                     tokens       cost  client
a-model-with-a-long-name  40,708  $3.20      claude-cli/2.1
short                         12  $0.000033  curl
模型                           7    unknown
";
        let got = drawn(None);
        assert_eq!(got, want, "\n{got}");
    }

    #[test]
    fn a_narrow_terminal_cuts_texts_then_leaves_columns_out() {
        for width in [70, 60, 50, 40] {
            assert!(drawn(Some(width)).lines().all(|l| l.width() <= width), "{width}");
        }
        assert!(drawn(Some(55)).contains('…') && drawn(Some(55)).contains("client"));
        let narrow = drawn(Some(30));
        assert!(!narrow.contains("client") && narrow.contains("$0.000033"), "\n{narrow}");
    }
}
