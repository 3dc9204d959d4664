//! Reads a Python module's data as text: calls with keyword arguments, lists, strings. Nothing
//! is ever executed.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// What a data literal consists of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Call {
        name: String,
        plain: Vec<Node>,
        named: BTreeMap<String, Node>,
    },
    List(Vec<Node>),
    Dict(Vec<(Node, Node)>),
    Text(String),
    /// A number or a bare name such as `None`.
    Word(String),
}

impl Node {
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Call { named, .. } => {
                named.get(key).filter(|node| **node != Self::Word("None".into()))
            }
            _ => None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Call { name, .. } => name,
            _ => "",
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            Self::Call { name, plain, .. } if name == "Decimal" => plain.first()?.text(),
            _ => None,
        }
    }
}

/// Reads the value that is assigned to `variable`.
pub(crate) fn assigned(source: &str, variable: &str) -> Result<Node> {
    let start = source.find(&format!("\n{variable}")).context("no such variable")?;
    let equals = source[start..].find(" = ").context("no assignment")? + start + 3;
    Reader { bytes: source.as_bytes(), at: equals }.node()
}

struct Reader<'s> {
    bytes: &'s [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> u8 {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                _ => return *byte,
            }
        }
        0
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == byte;
        self.at += usize::from(there);
        there
    }

    fn node(&mut self) -> Result<Node> {
        match self.peek() {
            b'[' => self.list(b']').map(Node::List),
            b'(' => self.joined(),
            b'{' => self.dict(),
            b'\'' | b'"' => self.joined_from(String::new()),
            _ => self.word_or_call(),
        }
    }

    fn list(&mut self, end: u8) -> Result<Vec<Node>> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.take(end) {
            items.push(self.node()?);
            self.take(b',');
        }
        Ok(items)
    }

    /// Text in parentheses, in several pieces.
    fn joined(&mut self) -> Result<Node> {
        self.at += 1;
        let node = self.joined_from(String::new())?;
        if self.take(b')') { Ok(node) } else { bail!("a bracket is open at {}", self.at) }
    }

    fn joined_from(&mut self, mut text: String) -> Result<Node> {
        while matches!(self.peek(), b'\'' | b'"') {
            text.push_str(&self.string()?);
        }
        Ok(Node::Text(text))
    }

    fn dict(&mut self) -> Result<Node> {
        self.at += 1;
        let mut pairs = Vec::new();
        while !self.take(b'}') {
            let key = self.node()?;
            if !self.take(b':') {
                bail!("no colon at {}", self.at);
            }
            pairs.push((key, self.node()?));
            self.take(b',');
        }
        Ok(Node::Dict(pairs))
    }

    fn string(&mut self) -> Result<String> {
        let quote = self.peek();
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match *self.bytes.get(self.at).context("a text has no end")? {
                b'\\' => {
                    self.at += 1;
                    bytes.push(match self.bytes.get(self.at) {
                        Some(b'n') => b'\n',
                        Some(b't') => b'\t',
                        Some(other @ (b'\\' | b'\'' | b'"')) => *other,
                        _ => bail!("unknown escape at {}", self.at),
                    });
                }
                byte if byte == quote => break,
                byte => bytes.push(byte),
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(String::from_utf8(bytes)?)
    }

    fn word_or_call(&mut self) -> Result<Node> {
        let start = self.at;
        let of_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'+');
        while self.bytes.get(self.at).is_some_and(of_word) {
            self.at += 1;
        }
        let word = String::from_utf8(self.bytes[start..self.at].to_vec())?;
        if word.is_empty() {
            bail!("nothing to read at {start}");
        }
        if self.peek() != b'(' {
            return Ok(Node::Word(word));
        }
        self.at += 1;
        let (mut plain, mut named) = (Vec::new(), BTreeMap::new());
        while !self.take(b')') {
            let value = self.node()?;
            match value {
                Node::Word(key) if self.take(b'=') => {
                    named.insert(key, self.node()?);
                }
                value => plain.push(value),
            }
            self.take(b',');
        }
        Ok(Node::Call { name: word, plain, named })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_read_as_data() {
        let source = "x = 1\nthings: list[T] = [\n T(id='a\\'b', price=Decimal('0.3'), none=None,\n \
                      many=['p' 'q', \"r\"], when={'k': 'v'}, day=datetime.date(2026, 1, 2)),\n]\n";
        let node = assigned(source, "things").unwrap();
        let thing = &node.items()[0];
        assert_eq!(thing.name(), "T");
        assert_eq!(thing.get("id").unwrap().text(), Some("a'b"));
        assert_eq!(thing.get("price").unwrap().text(), Some("0.3"));
        assert_eq!(thing.get("none"), None);
        assert_eq!(thing.get("many").unwrap().items()[0].text(), Some("pq"));
        assert!(assigned("\nbroken = [T(", "broken").is_err());
    }
}
