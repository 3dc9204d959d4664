//! Which cells add up to a period: the coarsest that can, others added or taken away.

use std::ops::Range;

use crate::rollup::Span;
use crate::seal::{Rows, Sealed};
use crate::tally::Sign;

/// A part of a range and what answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) range: Range<i64>,
    /// Taken away where a coarser piece counted too much.
    pub(crate) sign: Sign,
    pub(crate) of: Of,
}

impl Piece {
    /// Whether another is the same but for its sign.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        (&self.range, self.of) == (&other.range, other.of)
    }
}

/// What answers for a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Sealed cells, of which the piece is a whole number.
    Sealed(Rows),
    /// Quarters that are not sealed, of which the piece is a whole number.
    Live,
    /// Days that a tag's values are summed up of, of which the piece is a whole number.
    DaysOfTags,
    /// Receipts one by one.
    Receipts,
}

/// Cells that may answer, and for which time in milliseconds they do.
pub(crate) struct Layer {
    of: Of,
    span: Span,
    known: Range<i64>,
}

/// The cells of these sorts, coarsest first, as far as they are sealed.
pub(crate) fn layers(sealed: &Sealed, rows: &[Rows]) -> Vec<Layer> {
    let layer = |rows: &Rows| {
        let known = i64::MIN..rows.span().start_ms(sealed.until(*rows));
        Layer { of: Of::Sealed(*rows), span: rows.span(), known }
    };
    let live = Span::Quarter.start_ms(sealed.until(Rows::Quarters))..i64::MAX;
    let live = Layer { of: Of::Live, span: Span::Quarter, known: live };
    rows.iter().map(layer).chain([live]).collect()
}

/// The days that tags are summed up of, which nothing but receipts is finer than.
pub(crate) fn layer_of_tags(known: Range<i64>) -> Layer {
    let known = Span::Day.start_ms(known.start)..Span::Day.start_ms(known.end);
    Layer { of: Of::DaysOfTags, span: Span::Day, known }
}

/// Cuts a range into whole cells, as coarse as can be, and ragged ends. A cell that lies in
/// the range for the most part is taken whole, and the rest of it away again.
pub(crate) fn pieces(range: Range<i64>, layers: &[Layer]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    cut(range, Sign::Plus, layers, &mut pieces);
    pieces
}

fn cut(range: Range<i64>, sign: Sign, layers: &[Layer], pieces: &mut Vec<Piece>) {
    if range.is_empty() {
        return;
    }
    let Some((Layer { of, span, known }, finer)) = layers.split_first() else {
        return pieces.push(Piece { range, sign, of: Of::Receipts });
    };
    let within = range.start.max(known.start)..range.end.min(known.end);
    if within.is_empty() {
        return cut(range, sign, finer, pieces);
    }
    cut(range.start..within.start, sign, finer, pieces);
    let (first, last) = (span.cell_of(within.start), span.cell_of(within.end - 1));
    let mut taken = first..last + 1;
    for cell in if first == last { vec![first] } else { vec![first, last] } {
        let whole = span.start_ms(cell)..span.start_ms(cell + 1);
        let covered = within.start.max(whole.start)..within.end.min(whole.end);
        if 2 * (covered.end - covered.start) > whole.end - whole.start {
            cut(whole.start..covered.start, sign.opposite(), finer, pieces);
            cut(covered.end..whole.end, sign.opposite(), finer, pieces);
            continue;
        }
        cut(covered, sign, finer, pieces);
        match cell == first {
            true => taken.start += 1,
            false => taken.end -= 1,
        }
    }
    if !taken.is_empty() {
        let range = span.start_ms(taken.start)..span.start_ms(taken.end);
        pieces.push(Piece { range, sign, of: *of });
    }
    cut(within.end..range.end, sign, finer, pieces);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_come_to_the_range_and_fit_their_cells(
            from in 0..9_000_000_000_i64, len in 0..9_000_000_000_i64, until: [u32; 4],
        ) {
            let until = |at: usize, most: u32, span: Span| span.start_ms(i64::from(until[at] % most));
            let quarters = until(0, 20_000, Span::Quarter);
            let layers = [
                Layer { of: Of::Sealed(Rows::MonthsOfRoads), span: Span::Month, known: i64::MIN..until(3, 8, Span::Month) },
                Layer { of: Of::Sealed(Rows::WeeksOfRoads), span: Span::Week, known: i64::MIN..until(1, 30, Span::Week) },
                Layer { of: Of::Sealed(Rows::Days), span: Span::Day, known: i64::MIN..until(2, 210, Span::Day) },
                Layer { of: Of::Sealed(Rows::Quarters), span: Span::Quarter, known: i64::MIN..quarters },
                Layer { of: Of::Live, span: Span::Quarter, known: quarters..i64::MAX },
            ];
            // How often each instant counts changes at the ends of pieces only.
            let mut changes = BTreeMap::<i64, i64>::new();
            for piece in pieces(from..from + len, &layers) {
                let count = match piece.sign { Sign::Plus => 1, Sign::Minus => -1 };
                *changes.entry(piece.range.start).or_default() += count;
                *changes.entry(piece.range.end).or_default() -= count;
                if let Some(layer) = layers.iter().find(|layer| layer.of == piece.of) {
                    for end in [piece.range.start, piece.range.end] {
                        prop_assert_eq!(layer.span.start_ms(layer.span.cell_of(end)), end);
                    }
                    prop_assert!(layer.known.start <= piece.range.start && piece.range.end <= layer.known.end);
                } else {
                    prop_assert!(piece.range.end - piece.range.start <= 15 * 60 * 1000 / 2);
                }
            }
            changes.retain(|_, change| *change != 0);
            let expected = if len == 0 { BTreeMap::new() } else { [(from, 1), (from + len, -1)].into() };
            prop_assert_eq!(changes, expected);
        }
    }
}
