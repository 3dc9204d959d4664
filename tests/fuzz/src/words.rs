//! Small texts from outside: counts, amounts, instants, ids, paths, factors.

use meter::provider::{Providers, percent_decode};
use meter::usage::{Count, Factor};
use meter::{Money, ReceiptId, Timestamp};

/// Reads the text as each of them; what can be read must survive being written.
pub fn check(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    if let Some(count) = Count::parse(text) {
        assert_eq!(Count::parse(&count.to_string()), Some(count), "a count");
    }
    if let Ok(money) = text.parse::<Money>() {
        assert_eq!(money.to_string().parse(), Ok(money), "an amount");
    }
    if let Some(at) = Timestamp::parse(text) {
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at), "an instant");
    }
    if let Ok(id) = text.parse::<ReceiptId>() {
        assert_eq!(id.to_string().parse(), Ok(id), "an id");
    }
    if let Ok(factor) = text.parse::<Factor>() {
        assert_eq!(factor.name().parse(), Ok(factor), "a factor");
    }
    let decoded = percent_decode(text);
    assert!(decoded.len() <= 3 * text.len());
    for provider in Providers::built_in().iter() {
        provider.route("POST", text);
        provider.owns_host(text);
    }
}
