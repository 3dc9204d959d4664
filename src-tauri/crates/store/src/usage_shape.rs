//! The provider's usage object cut into its shape, which thousands of calls share, and its
//! numbers, which do not. Put together again it is the same text, byte for byte.

use crate::pack::{Unpack, UnpackError, put, put_text};

// Placeholders. JSON forbids raw control characters in strings and allows only tab, line
// feed and carriage return between tokens, so these can stand for nothing else.
const INTEGER: char = '\u{1}';
const DECIMAL: char = '\u{2}';
const VERBATIM: char = '\u{3}';

/// Longer shapes are not shared by anything and would only bloat the name table.
const LONGEST_SHAPE: usize = 2048;

/// Cuts JSON text into its shape and the bytes of its numbers. Absent: not worth cutting.
pub(crate) fn split(json: &str) -> Option<(String, Vec<u8>)> {
    let mut shape = String::with_capacity(json.len());
    let mut numbers = Vec::with_capacity(32);
    let mut rest = json;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        shape.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = if rest.starts_with('"') { string_len(rest)? } else { number_len(rest) };
        if rest.starts_with('"') {
            shape.push_str(&rest[..len]);
        } else {
            shape.push(put_number(&mut numbers, &rest[..len]));
        }
        rest = &rest[len..];
    }
    shape.push_str(rest);
    (shape.len() <= LONGEST_SHAPE).then_some((shape, numbers))
}

/// Puts the text together again.
pub(crate) fn join(shape: &str, input: &mut Unpack<'_>) -> Result<String, UnpackError> {
    let mut json = String::with_capacity(shape.len() + 32);
    for part in shape.chars() {
        match part {
            INTEGER => json += &input.take::<u64>()?.to_string(),
            DECIMAL => json += &take_decimal(input)?,
            VERBATIM => json += &input.text()?,
            other => json.push(other),
        }
    }
    Ok(json)
}

fn string_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn number_len(text: &str) -> usize {
    let part = |b: u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
    text.bytes().position(|b| !part(b)).unwrap_or(text.len())
}

fn put_number(out: &mut Vec<u8>, text: &str) -> char {
    if let Some(integer) = text.parse::<u64>().ok().filter(|n| n.to_string() == text) {
        put(out, integer);
        return INTEGER;
    }
    let start = out.len();
    if put_decimal(out, text).is_some()
        && take_decimal(&mut Unpack::new(&out[start..])).is_ok_and(|back| back == text)
    {
        return DECIMAL;
    }
    out.truncate(start);
    put_text(out, text);
    VERBATIM
}

/// `12.340` as 12340 and three decimals.
fn put_decimal(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let (whole, fraction) = text.split_once('.')?;
    let decimals = u8::try_from(fraction.len()).ok()?;
    let digits: u64 = format!("{whole}{fraction}").parse().ok()?;
    out.push(decimals);
    put(out, digits);
    Some(())
}

fn take_decimal(input: &mut Unpack<'_>) -> Result<String, UnpackError> {
    let decimals = usize::from(input.byte()?);
    let digits: u64 = input.take()?;
    let text = format!("{digits:0width$}", width = decimals + 1);
    let (whole, fraction) = text.split_at(text.len() - decimals);
    Ok(format!("{whole}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(json: &str) -> String {
        let (shape, numbers) = split(json).unwrap();
        let mut input = Unpack::new(&numbers);
        let joined = join(&shape, &mut input).unwrap();
        assert!(input.is_empty());
        joined
    }

    #[test]
    fn two_calls_share_a_shape_and_keep_their_numbers() {
        let a = split(r#"{"input_tokens": 12, "cost": 0.00120, "tier":"x9"}"#).unwrap();
        let b = split(r#"{"input_tokens": 90000, "cost": 17.5, "tier":"x9"}"#).unwrap();
        assert_eq!(a.0, b.0);
        assert_eq!(a.1.len(), 3);
    }

    #[test]
    fn odd_spellings_come_back_as_they_were() {
        for json in [
            "{}",
            "null",
            "17",
            "-0",
            "[1,-2, 3.0 ,0.10,1e5,1E-7,-1.5,007e1,18446744073709551616]",
            r#"{"a\"1":"1\\","b":[ ],"ünï":12.50,"c":0.000001}"#,
            "{\"a\":\n\t1 }",
        ] {
            assert_eq!(back(json), json);
        }
    }

    proptest! {
        #[test]
        fn any_text_splits_and_joins(text in "[-+.eE0-9 {}:,a\"\\\\]{0,60}") {
            if let Some((shape, numbers)) = split(&text) {
                prop_assert_eq!(join(&shape, &mut Unpack::new(&numbers)).unwrap(), text);
            }
        }
    }
}
