//! Where a call stands in somebody's trace: <https://www.w3.org/TR/trace-context-1/> (2026-11-21).

use std::fmt;
use std::str::FromStr;

use crate::receipt::ReceiptId;

/// What a `traceparent` header says: the span that a call was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// Of the whole trace; never zero.
    pub trace_id: u128,
    /// Of the caller's span; never zero.
    pub span_id: u64,
    /// Whether the caller keeps this trace, and expects others to.
    pub is_sampled: bool,
}

/// The text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a trace context such as `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`")]
pub struct ParseTraceParentError;

impl FromStr for TraceParent {
    type Err = ParseTraceParentError;

    /// Reads this version and, as far as they begin alike, later ones.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text.trim()).ok_or(ParseTraceParentError)
    }
}

fn read(text: &str) -> Option<TraceParent> {
    let mut parts = text.split('-');
    let version = hex(parts.next()?, 2)?;
    let (trace_id, span_id) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?);
    let flags = hex(parts.next()?, 2)?;
    let is_known = version == 0 && parts.next().is_none() || (1..0xff).contains(&version);
    (is_known && trace_id != 0 && span_id != 0).then_some(TraceParent {
        trace_id,
        span_id: u64::try_from(span_id).ok()?,
        is_sampled: flags & 1 == 1,
    })
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = text.len() == digits && text.bytes().all(is_hex);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

impl TraceParent {
    /// The trace id as headers and receipts write it.
    pub fn trace_id_text(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }
}

impl ReceiptId {
    /// The span of the call itself. Ids of calls differ, so those of their spans do.
    pub const fn span_id(self) -> u64 {
        // The top bit keeps it from being zero.
        self.random() | 1 << 63
    }

    /// The span of the call's try with this number, counted from nought.
    pub const fn attempt_span_id(self, attempt: u64) -> u64 {
        // A step that is odd and large: tries of calls minted together stay apart.
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        self.random().wrapping_add(step.wrapping_mul(attempt + 1)) & !(1 << 63) | 1 << 62
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn a_context_is_read_as_the_standard_writes_it() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent: TraceParent = text.parse().unwrap();
        assert_eq!(parent.trace_id_text(), "0af7651916cd43dd8448eb211c80319c");
        assert!(parent.is_sampled);
        assert_eq!(parent.to_string(), text);
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more";
        assert!(!later.parse::<TraceParent>().unwrap().is_sampled);
        for wrong in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(wrong.parse::<TraceParent>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_two_spans_of_a_call_share_an_id(random: u64) {
            let id = ReceiptId::new(Timestamp::from_millis(1), 0, random);
            let mut all: Vec<u64> = (0..16).map(|n| id.attempt_span_id(n)).collect();
            all.push(id.span_id());
            prop_assert!(!all.contains(&0));
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), 17);
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,80}") {
            let _ = text.parse::<TraceParent>();
        }
    }
}
