//! Proposes `prices/*.json`: reads the data files of two public price libraries as text and
//! `decisions/*.json`, writes the books, and says what changed and what is undecided.
//!
//! For developers, not shipped. `README.md` says how to get the sources.

mod build;
mod decimal;
mod decisions;
mod doubt;
mod genai;
mod litellm;
mod literal;
mod record;
mod vote;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::decisions::Decisions;
use crate::record::Model;

/// The data module of the wheel `genai_prices-0.2.3-py3-none-any.whl`.
const GENAI: (&str, &str) =
    ("data.py", "5f4d8e175a91cf23cac17da33a4daa60a6a6c49525109c97e93db220d5197206");
/// The JSON member of the wheel `litellm-1.109.1-…whl`. Two releases of that package carried
/// code that stole credentials: take this file by its hash, and never install the package.
const LITELLM: (&str, &str) = (
    "model_prices_and_context_window_backup.json",
    "8f8060d8ce7a40c91b995c74d6a27657543d49e3c1c53430dabd556f244392c6",
);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sources, prices] = &arguments[..] else {
        bail!("say where things are\nprice-import SOURCES src-tauri/crates/meter/prices");
    };
    let sources = Path::new(sources);
    let base = genai::read(&pinned(sources, GENAI)?)?;
    let witness = litellm::Map::read(&pinned(sources, LITELLM)?)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("decisions");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    for file in files {
        let id = file.file_stem().and_then(|stem| stem.to_str()).context("an odd file name")?;
        let text = fs::read_to_string(&file)?;
        let decisions: Decisions = serde_json::from_str(&text).with_context(|| id.to_owned())?;
        let made = build::book(&decisions, &base, &witness).with_context(|| id.to_owned())?;
        let text = record::file(id, &decisions.head, &made.models)?;
        let path = Path::new(prices).join(format!("{id}.json"));
        report(id, &fs::read_to_string(&path).unwrap_or_default(), &made);
        fs::write(&path, text)?;
    }
    Ok(())
}

fn pinned(sources: &Path, (name, hash): (&str, &str)) -> Result<String> {
    let bytes = fs::read(sources.join(name)).with_context(|| format!("no source `{name}`"))?;
    let found: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    if found != hash {
        bail!("`{name}` is not the file that was reviewed: its SHA-256 is `{found}`");
    }
    Ok(String::from_utf8(bytes)?)
}

/// What a reviewer should look at: lines that changed, and remarks.
fn report(id: &str, before: &str, made: &build::Proposal) {
    let line = |model: &Model| serde_json::to_string(model).unwrap_or_default();
    let old: Vec<&str> = before.lines().map(|line| line.trim_end_matches(',')).collect();
    let changed = made.models.iter().filter(|model| !old.contains(&&*line(model)));
    let changed: Vec<&str> = changed.map(|model| &*model.id).collect();
    println!("# {id}: {} models, {} new or changed", made.models.len(), changed.len());
    if !before.is_empty() {
        for id in changed {
            println!("  changed: {id}");
        }
    }
    for remark in &made.remarks {
        println!("  {remark}");
    }
}
