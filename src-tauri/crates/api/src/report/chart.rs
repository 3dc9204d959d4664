//! Bars as an inline picture: one a bucket, its exact figure told by the bar. Whole numbers only;
//! nothing here is a figure that anybody reads.

use super::html::{Html, tag};

const WIDTH: i128 = 720;
const HEIGHT: i128 = 160;
/// Below the bars, for the first and the last label.
const FOOT: i128 = 20;
/// Above them, for what the highest stands for.
const HEAD: i128 = 18;

/// A single bar is no wall.
const WIDEST: i128 = 48;

/// One bar.
pub(super) struct Bar {
    /// Which bucket it is.
    pub(super) label: String,
    /// What it is as high as, in whatever unit; less than nothing is shown as nothing.
    pub(super) height: i128,
    /// Its figure.
    pub(super) says: String,
}

/// A picture with a name. `read` says a height as a figure.
pub(super) fn bars(name: &str, bars: &[Bar], read: &dyn Fn(i128) -> String) -> Html {
    let highest = bars.iter().map(|bar| bar.height).max().unwrap_or(0).max(0);
    let (whole, count) = (HEAD + HEIGHT + FOOT, i128::try_from(bars.len()).unwrap_or(1).max(1));
    let view = format!("0 0 {WIDTH} {whole}");
    let says = format!("{name}: {count} bars, the highest {}", read(highest));
    let mut picture = tag("svg", &[("viewBox", &view), ("role", "img"), ("aria-label", &says)])
        .with(tag("text", &[("x", "0"), ("y", "12")]).text_in(&read(highest)));
    // Thousandths, so that a thousand bars still stand apart.
    let at = |index: i128| thousandths(WIDTH * 1000 * index / count);
    let gap = if count > 180 { 0 } else { 1000 };
    let width = thousandths((WIDTH * 1000 / count - gap).clamp(500, WIDEST * 1000));
    for (bar, index) in bars.iter().zip(0..) {
        let height = match highest {
            0 => 0,
            _ => scaled(bar.height.max(0), highest),
        };
        let (x, y) = (at(index), thousandths((HEAD + HEIGHT) * 1000 - height));
        let height = thousandths(height);
        let says = format!("{}: {}", bar.label, bar.says);
        let place = [("x", &*x), ("y", &y), ("width", &width), ("height", &height)];
        picture = picture.with(tag("rect", &place).with(tag("title", &[]).text_in(&says)));
    }
    let line = (HEAD + HEIGHT).to_string();
    let (end, foot) = (WIDTH.to_string(), (whole - 5).to_string());
    picture = picture.with(tag("line", &[("x1", "0"), ("x2", &end), ("y1", &line), ("y2", &line)]));
    if let (Some(first), Some(last)) = (bars.first(), bars.last()) {
        let begin = tag("text", &[("x", "0"), ("y", &foot)]).text_in(&first.label);
        picture = picture.with(begin);
        if bars.len() > 1 {
            let place = [("x", &*end), ("y", &foot), ("text-anchor", "end")];
            picture = picture.with(tag("text", &place).text_in(&last.label));
        }
    }
    let caption = tag("figcaption", &[]).text_in(name);
    tag("figure", &[]).with(caption).with(picture)
}

/// In thousandths of the picture's unit; amounts are so fine that they may be divided first.
fn scaled(height: i128, highest: i128) -> i128 {
    let full = HEIGHT * 1000;
    match height.checked_mul(full) {
        Some(product) => product / highest,
        None => height / (highest / full).max(1),
    }
}

fn thousandths(number: i128) -> String {
    format!("{}.{:03}", number / 1000, number % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(height: i128) -> Bar {
        Bar { label: "2026-11-20".into(), height, says: "<b>".into() }
    }

    #[test]
    fn bars_are_as_high_as_their_figures() {
        let picture = bars("Cost", &[bar(50), bar(-1), bar(200)], &|height| height.to_string());
        let text = picture.text();
        for height in ["height=\"40.000\"", "height=\"0.000\"", "height=\"160.000\""] {
            assert!(text.contains(height), "{height} {text}");
        }
        assert!(text.contains("2026-11-20: &lt;b&gt;") && text.contains("the highest 200"));
        assert_eq!(scaled(1 << 120, 1 << 121), 80_000, "amounts beyond all bounds too");
    }

    #[test]
    fn nothing_and_a_single_bar_are_pictures_too() {
        for all in [vec![], vec![bar(0)]] {
            assert!(bars("Cost", &all, &|_| String::new()).text().contains("</svg>"));
        }
    }
}
