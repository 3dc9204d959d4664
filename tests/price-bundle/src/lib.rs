//! Makes and signs price bundles: what a publisher of prices does, and what the tests play.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use meter::Timestamp;
use meter::price::bundle_message;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A private key: whoever has it can say what anything costs.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// The key of 32 secret bytes.
    ///
    /// # Panics
    /// Never: any 32 bytes are a seed.
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed"))
    }

    /// Reads what [`secret_text`] wrote.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let mut seed = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            bail!("a private key is 64 hexadecimal digits");
        }
        for (at, byte) in seed.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16)
                .context("a private key is 64 hexadecimal digits")?;
        }
        Ok(Self::new(&seed))
    }

    /// What users write into their configuration.
    pub fn public_key(&self) -> String {
        hex(self.0.public_key().as_ref())
    }

    /// A bundle of these contents.
    pub fn sign(&self, contents: &str) -> Vec<u8> {
        let (first_line, message) = bundle_message(contents);
        let signature = hex(self.0.sign(&message).as_ref());
        format!("{first_line}{signature}\n{contents}").into_bytes()
    }
}

/// A private key as text.
pub fn secret_text(seed: &[u8; 32]) -> String {
    hex(seed)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The price files of a folder, by provider: as they are written, or to be changed.
///
/// # Errors
/// When the folder or a file cannot be read, or one is no JSON.
pub fn price_files<T: DeserializeOwned>(folder: &Path) -> Result<BTreeMap<String, T>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.extension().is_none_or(|ending| ending != "json") || stem.starts_with('_') {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let file = serde_json::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
        files.insert(stem.to_owned(), file);
    }
    Ok(files)
}

/// The object that is signed. `reasons` are `corrections` and `leaps`, or nothing.
pub fn contents(
    sequence: u64,
    made_at: Timestamp,
    files: &BTreeMap<String, impl Serialize>,
    reasons: Option<&Value>,
) -> Result<String> {
    let given = |word| reasons.and_then(|reasons| reasons.get(word)).cloned().unwrap_or(json!({}));
    Ok(serde_json::to_string(&Contents {
        schema: 1,
        sequence,
        made_at,
        corrections: given("corrections"),
        leaps: given("leaps"),
        files,
    })?)
}

#[derive(Serialize)]
struct Contents<'f, F> {
    schema: u32,
    sequence: u64,
    made_at: Timestamp,
    corrections: Value,
    leaps: Value,
    files: &'f BTreeMap<String, F>,
}
