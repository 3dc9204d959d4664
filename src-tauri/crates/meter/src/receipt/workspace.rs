//! Names of workspaces: what stands on receipts, in addresses and in lists.

/// The workspace of a call that names none.
pub const DEFAULT_WORKSPACE: &str = "personal";

/// The workspace of the built-in demonstration.
pub const DEMO_WORKSPACE: &str = "demo";

/// Longest name, in bytes.
const LIMIT: usize = 64;

/// A workspace's name as it is kept: any script, printable and bounded. `None`: it is no name.
pub fn workspace_name(text: &str) -> Option<Box<str>> {
    let text = text.trim();
    let fits = (1..=LIMIT).contains(&text.len()) && !matches!(text, "." | "..");
    (fits && !text.chars().any(is_invisible)).then(|| text.into())
}

/// Characters that show nothing, break lines or turn the text around them: with those, two names
/// can look the same, or a list like another one.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_any_script_and_shows_what_it_is() {
        for name in ["client-a", "my lab", "Größe", "<b>a & b</b>", "مختبر", "研究室", "a/b"]
        {
            assert_eq!(workspace_name(&format!(" {name} ")).as_deref(), Some(name));
        }
        let (long, fits) = ("x".repeat(65), "x".repeat(64));
        assert!(workspace_name(&fits).is_some());
        for none in ["", "  ", ".", "..", "a\nb", "a\u{202e}b", "a\u{200b}b", "\u{1b}[31m", &long] {
            assert_eq!(workspace_name(none), None, "{none:?}");
        }
    }
}
