//! What a receipt is called by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// A UUIDv7. Ids that one ledger mints differ in their first 64 bits (48 bits of
/// milliseconds, 12 bits of counter), so the ledger can use those as its row number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptId(u128);

impl ReceiptId {
    /// Builds an id from the instant, a counter of 12 bits and 62 random bits.
    pub const fn new(at: Timestamp, counter: u16, random: u64) -> Self {
        let ms = (at.millis() as u128) & 0xffff_ffff_ffff;
        let counter = (counter as u128) & 0xfff;
        let random = (random as u128) & 0x3fff_ffff_ffff_ffff;
        Self(ms << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | random)
    }

    /// The instant and counter as one number of 60 bits that orders like the id itself.
    pub const fn ordinal(self) -> i64 {
        let ms = (self.0 >> 80) as i64;
        let counter = (self.0 >> 64) as i64 & 0xfff;
        ms << 12 | counter
    }

    /// The 62 random bits: with [`Self::ordinal`] the whole id.
    pub const fn random(self) -> u64 {
        self.0 as u64 & 0x3fff_ffff_ffff_ffff
    }

    /// Puts an id together again from [`Self::ordinal`] and [`Self::random`].
    pub const fn from_parts(ordinal: i64, random: u64) -> Self {
        Self::new(Timestamp::from_millis(ordinal >> 12), ordinal as u16 & 0xfff, random)
    }

    /// The id as a number.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The instant it was minted at.
    pub const fn minted_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 80) as i64)
    }
}

impl fmt::Display for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = [(96, 0xffff_ffff), (80, 0xffff), (64, 0xffff), (48, 0xffff)]
            .map(|(s, m)| self.0 >> s & m);
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{:012x}", self.0 & 0xffff_ffff_ffff)
    }
}

impl fmt::Debug for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ReceiptId {
    type Err = ParseReceiptIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let dashes = |at: usize| matches!(at, 8 | 13 | 18 | 23);
        if text.len() != 36 || !text.bytes().enumerate().all(|(i, b)| dashes(i) == (b == b'-')) {
            return Err(ParseReceiptIdError);
        }
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseReceiptIdError);
        }
        let id = Self(u128::from_str_radix(&hex, 16).map_err(|_| ParseReceiptIdError)?);
        if Self::from_parts(id.ordinal(), id.random()) == id {
            Ok(id)
        } else {
            Err(ParseReceiptIdError)
        }
    }
}

/// The text is not a UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a receipt id such as `019aa0b2-7c1e-7a00-8f3e-5b2c1d0e9f8a`")]
pub struct ParseReceiptIdError;

impl Serialize for ReceiptId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() { out.collect_str(self) } else { out.serialize_u128(self.0) }
    }
}

impl<'de> Deserialize<'de> for ReceiptId {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if !input.is_human_readable() {
            return u128::deserialize(input).map(Self);
        }
        String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}
