//! Where answers go: standard output, coloured and fitted only if it is a terminal.
//! Text from outside is made harmless here before anyone's terminal reads it.

use std::io::{self, BufWriter, StdoutLock, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

/// Headings and totals.
pub(crate) const STRONG: Style = Style::new().bold();
/// What is there for those who look for it.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// Fine.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Worth a look.
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default();
/// Went wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// As it comes.
pub(crate) const PLAIN: Style = Style::new();

/// Standard output. Colours are taken out where it is no terminal or `NO_COLOR` is set.
pub(crate) struct Screen {
    out: BufWriter<AutoStream<StdoutLock<'static>>>,
    /// Columns of the terminal; nothing when the output goes elsewhere.
    pub(crate) width: Option<usize>,
}

impl Screen {
    /// Takes hold of standard output.
    pub(crate) fn take() -> Self {
        let width = terminal_size::terminal_size_of(io::stdout())
            .map(|(terminal_size::Width(columns), _)| usize::from(columns).max(40));
        Self { out: BufWriter::new(anstream::stdout().lock()), width }
    }

    /// One value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Outside text without anything a terminal would obey: control characters, and the marks
/// that turn the direction of what follows.
pub(crate) fn harmless(outside: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    outside.chars().map(|c| if obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// `text` in `style`.
pub(crate) fn painted(style: Style, text: &str) -> String {
    if style.is_plain() { text.to_owned() } else { format!("{style}{text}{style:#}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_cannot_drive_the_terminal() {
        assert_eq!(harmless("gpt\x1b[2J\n\u{202e}x"), "gpt\u{fffd}[2J\u{fffd}\u{fffd}x");
        assert_eq!(harmless("modèle-Ω 模型"), "modèle-Ω 模型");
    }
}
