//! Elements of a page, escaped by construction: there is no way to put outside text in but as
//! text or as the value of an attribute.

use std::fmt::Write as _;

/// A piece of a page, whole elements only.
#[derive(Clone, Debug)]
pub(super) struct Html {
    name: &'static str,
    attributes: String,
    inside: String,
}

/// Elements that never have anything inside.
const EMPTY: [&str; 3] = ["meta", "rect", "line"];

/// An element with these attributes and nothing inside yet.
pub(super) fn tag(name: &'static str, attributes: &[(&'static str, &str)]) -> Html {
    let mut written = String::new();
    for (name, value) in attributes {
        // Writing into a text cannot fail.
        let _ = write!(written, " {name}=\"{}\"", escaped(value));
    }
    Html { name, attributes: written, inside: String::new() }
}

impl Html {
    /// With another element at its end.
    pub(super) fn with(mut self, child: Html) -> Self {
        self.inside.push_str(&child.text());
        self
    }

    /// With this text at its end.
    pub(super) fn text_in(mut self, text: &str) -> Self {
        self.inside.push_str(&escaped(text));
        self
    }

    /// With a text of our own, as it stands: the style, in which nothing is escaped.
    pub(super) fn own_text(mut self, text: &'static str) -> Self {
        self.inside.push_str(text);
        self
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        let Self { name, attributes, inside } = self;
        match EMPTY.contains(name) && inside.is_empty() {
            true => format!("<{name}{attributes}/>"),
            false => format!("<{name}{attributes}>{inside}</{name}>\n"),
        }
    }
}

/// The whole page.
pub(super) fn document(root: &Html) -> String {
    format!("<!doctype html>\n{}", root.text())
}

/// Text as text: nothing of it ends an element or an attribute, hides, or turns what follows.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push(' '),
            c if c.is_control() || is_turning(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Marks that turn the direction of what follows, or break its line.
fn is_turning(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_is_never_an_element_or_an_attribute() {
        let hostile = "</script><img src=x onerror=alert(1)>\" autofocus='\u{202e}\0";
        let text = tag("td", &[("title", hostile)]).text_in(hostile).text();
        assert_eq!(text.matches('<').count(), 2, "{text}");
        assert_eq!(text.matches('"').count(), 2, "{text}");
        assert!(!text.contains(['\'', '\0', '\u{202e}']), "{text}");
    }
}
