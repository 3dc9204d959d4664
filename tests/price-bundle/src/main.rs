//! `price-bundle`: a key, or a signed bundle that has passed every check of Tollgate's own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use meter::Timestamp;
use meter::price::{Book, Bundle};
use price_bundle::{Signer, contents, price_files, secret_text};
use serde_json::Value;
use serde_json::value::RawValue;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["key", file] => key(Path::new(file)),
        ["make", key, sequence, prices, out] => make(key, sequence, prices, out, None),
        ["make", key, sequence, prices, out, reasons] => {
            make(key, sequence, prices, out, Some(reasons))
        }
        _ => bail!(
            "say what to do\nprice-bundle key FILE\nprice-bundle make KEY_FILE SEQUENCE PRICES_FOLDER OUT [REASONS]"
        ),
    }
}

fn key(file: &Path) -> Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the system gives no random bytes")?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(file).with_context(|| format!("`{}`", file.display()))?;
    writeln!(out, "{}", secret_text(&seed))?;
    println!("public_key = \"{}\"", Signer::new(&seed).public_key());
    Ok(())
}

fn make(key: &str, sequence: &str, prices: &str, out: &str, reasons: Option<&str>) -> Result<()> {
    let signer = Signer::parse(&fs::read_to_string(key).with_context(|| format!("`{key}`"))?)?;
    let sequence = sequence.parse().with_context(|| format!("`{sequence}` is no number"))?;
    let reasons: Option<Value> = match reasons {
        Some(path) => Some(serde_json::from_str(&fs::read_to_string(path)?)?),
        None => None,
    };
    let now = Timestamp::from(chrono::Utc::now());
    // As they are written: the same prices are then the same book, whichever way they come.
    let files: BTreeMap<String, Box<RawValue>> = price_files(Path::new(prices))?;
    let text = contents(sequence, now, &files, reasons.as_ref())?;
    let book = Bundle::read(&text)?.succeed(Book::built_in(), None, now)?;
    let bytes = signer.sign(&text);
    fs::write(out, &bytes).with_context(|| format!("`{out}`"))?;
    println!("{out}: number {sequence}, price book {}, {} bytes", book.hash(), bytes.len());
    println!("public_key = \"{}\"", signer.public_key());
    Ok(())
}
