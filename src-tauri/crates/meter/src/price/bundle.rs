//! A price book from outside: one file, signed and numbered. It knows nothing of where the
//! file comes from; `succession` says whether its book may stand in the place of another.
//!
//! The file is two lines and a JSON object: `tollgate-prices 1`, the ed25519 signature in hex
//! over that line and the object, and the object as it was signed, byte for byte.

mod succession;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::book::{Book, Edition};
use super::file::BookError;
use crate::time::Timestamp;

/// The most bytes a bundle may have; a book of today has a seventh of it.
pub const LARGEST_BUNDLE: usize = 4 << 20;

/// The first line. Its number is of the envelope; what is inside has a `schema`.
const FIRST_LINE: &str = "tollgate-prices 1\n";
/// The shape of price files that this program reads.
const SCHEMA: u32 = 1;

/// Why a bundle does not come into force.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// More than [`LARGEST_BUNDLE`] bytes.
    #[error("it is larger than {} MiB", LARGEST_BUNDLE >> 20)]
    TooLarge,
    /// Not the two lines and the object.
    #[error("this is no price bundle, or only a part of one")]
    NoBundle,
    /// Signed by somebody else, or changed since.
    #[error("its signature is not valid for the public key `{0}`")]
    Forged(PublicKey),
    /// For a program that reads other price files.
    #[error("it is written for another version of Tollgate (schema {0}, this one reads {SCHEMA})")]
    OtherSchema(u32),
    /// The object says something that has no meaning.
    #[error("it cannot be read: {0}")]
    Unreadable(Box<str>),
    /// One of its price files is wrong.
    #[error(transparent)]
    Book(#[from] BookError),
    /// An older number than was in force already.
    #[error("it is number {found}, older than number {last} that was in force already")]
    Older {
        /// Its number.
        found: u64,
        /// The newest that was in force.
        last: u64,
    },
    /// The same number with other contents.
    #[error("it is another number {0} than the one in force")]
    SameNumber(u64),
    /// Made before the prices in force.
    #[error("it is of `{found}`, and the prices in force are of `{in_force}`")]
    Outdated {
        /// When it was made.
        found: Timestamp,
        /// When the prices in force were made.
        in_force: Timestamp,
    },
    /// Made at an instant that has not come.
    #[error("it is of `{0}`, which has not come yet")]
    FromTheFuture(Timestamp),
    /// It tells the past otherwise, and does not say that it corrects it.
    #[error("it changes what `{model}` of `{provider}` cost at `{at}` and does not say why")]
    PastChanged {
        /// Whose price.
        provider: Box<str>,
        /// The model, or `*` for what holds for all of them.
        model: Box<str>,
        /// The first instant at which it differs.
        at: Box<str>,
    },
    /// A rate moves more than four times, and it does not say why.
    #[error(
        "it changes `{factor}` of `{model}` of `{provider}` from {before} to {after} and does not say why"
    )]
    Leap {
        /// Whose price.
        provider: Box<str>,
        /// The model.
        model: Box<str>,
        /// What is counted.
        factor: Box<str>,
        /// The rate until now.
        before: Box<str>,
        /// The rate from then on.
        after: Box<str>,
    },
    /// A cost that is known by heart comes out otherwise.
    #[error("by it, a known cost of `{model}` would be {found} instead of {known}")]
    Golden {
        /// The model.
        model: Box<str>,
        /// What it must be.
        known: Box<str>,
        /// What it would be.
        found: Box<str>,
    },
}

/// What a bundle's signature is checked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// The text is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 64 hexadecimal digits")]
pub struct BadPublicKey;

impl FromStr for PublicKey {
    type Err = BadPublicKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex(text.as_bytes()).map(Self).ok_or(BadPublicKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A signed price book, and which issue it is.
#[derive(Debug)]
pub struct Bundle {
    edition: Edition,
    sequence: u64,
    hash: Box<str>,
    files: BTreeMap<Box<str>, Box<str>>,
    corrections: Reasons,
    leaps: Reasons,
}

/// Why something changed, by provider and model; `*` for what holds for all models.
type Reasons = BTreeMap<Box<str>, BTreeMap<Box<str>, Box<str>>>;

/// What says whether the rest can be read.
#[derive(Deserialize)]
struct Head {
    schema: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents<'t> {
    #[expect(dead_code, reason = "read as `Head`")]
    schema: u32,
    sequence: u64,
    made_at: Timestamp,
    /// Price files by provider, as `prices/README.md` describes them.
    #[serde(borrow)]
    files: BTreeMap<Box<str>, &'t RawValue>,
    /// Models whose past prices were wrong.
    #[serde(default)]
    corrections: Reasons,
    /// Models whose rates really move more than four times.
    #[serde(default)]
    leaps: Reasons,
}

/// What is signed, so that whoever makes a bundle signs what is checked here: a bundle is the
/// first line, the signature of this in hex, a line end, and `contents`.
pub fn bundle_message(contents: &str) -> (&'static str, Vec<u8>) {
    (FIRST_LINE, [FIRST_LINE.as_bytes(), contents.as_bytes()].concat())
}

impl Bundle {
    /// Opens what was fetched, if `key` signed it.
    ///
    /// # Errors
    /// Says why this is no bundle of theirs, or none that can be read.
    pub fn open(bytes: &[u8], key: &PublicKey) -> Result<Self, BundleError> {
        if bytes.len() > LARGEST_BUNDLE {
            return Err(BundleError::TooLarge);
        }
        let (signature, contents) = torn_open(bytes).ok_or(BundleError::NoBundle)?;
        let signed = [FIRST_LINE.as_bytes(), contents].concat();
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(&signed, &signature)
            .map_err(|_| BundleError::Forged(*key))?;
        let contents = std::str::from_utf8(contents).map_err(|_| BundleError::NoBundle)?;
        Self::read(contents)
    }

    /// Reads the object inside, whoever wrote it: for those who make bundles.
    ///
    /// # Errors
    /// Says why it cannot be read. Whether its price files can is for [`Bundle::succeed`].
    pub fn read(contents: &str) -> Result<Self, BundleError> {
        let unreadable =
            |error: serde_json::Error| BundleError::Unreadable(error.to_string().into());
        let head: Head = serde_json::from_str(contents).map_err(unreadable)?;
        if head.schema != SCHEMA {
            return Err(BundleError::OtherSchema(head.schema));
        }
        let all: Contents<'_> = serde_json::from_str(contents).map_err(unreadable)?;
        let files: BTreeMap<Box<str>, Box<str>> =
            all.files.into_iter().map(|(id, raw)| (id, raw.get().into())).collect();
        Ok(Self {
            edition: Edition { made_at: all.made_at, sequence: Some(all.sequence) },
            sequence: all.sequence,
            hash: hash(&files),
            files,
            corrections: all.corrections,
            leaps: all.leaps,
        })
    }

    /// Which issue it is.
    pub fn edition(&self) -> Edition {
        self.edition
    }

    /// Its number; later ones have higher numbers.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What identifies its book on receipts, before the user's own prices.
    pub fn book_hash(&self) -> &str {
        &self.hash
    }

    /// The book of a bundle that once came into force. Its files are read when they are needed.
    pub fn book(&self) -> Book {
        let files = self.files.iter().map(|(id, text)| (&**id, Cow::Owned(String::from(&**text))));
        Book::closed(&self.hash, files).of_edition(self.edition)
    }
}

/// Signature and object.
fn torn_open(bytes: &[u8]) -> Option<([u8; 64], &[u8])> {
    let rest = bytes.strip_prefix(FIRST_LINE.as_bytes())?;
    let (signature, rest) = rest.split_at_checked(128)?;
    Some((hex(signature)?, rest.strip_prefix(b"\n")?))
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::try_from(digit(&pair[0])? << 4 | digit(&pair[1])?).ok()?;
    }
    Some(bytes)
}

/// The same hash as the build script's: the same prices are the same book, whichever way
/// they came.
fn hash(files: &BTreeMap<Box<str>, Box<str>>) -> Box<str> {
    let mut hash = Sha256::new();
    for (name, text) in files {
        hash.update(name.as_bytes());
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    hex.into()
}

#[cfg(test)]
mod tests;
