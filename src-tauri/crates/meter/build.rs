//! Lists `providers/*.toml` and `prices/*.json` for the crate, so that a provider and its
//! prices are two files and no Rust.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use sha2::{Digest, Sha256};

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    let providers = files(&root.join("providers"), ".toml");
    fs::write(out.join("provider_files.rs"), list(&providers)).expect("the folder is writable");
    let prices = files(&root.join("prices"), ".json");
    // The day of `prices/_made_on` is when the lists were last compared with their sources.
    let day = fs::read_to_string(root.join("prices/_made_on")).expect("the book has a date");
    let table = format!("({:?}, {:?}, {})", hash(&prices), day.trim(), list(&prices));
    fs::write(out.join("price_files.rs"), table).expect("the folder is writable");
}

/// Stem and path of every such file, in order.
fn files(folder: &Path, ending: &str) -> Vec<(String, PathBuf)> {
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder is part of the package")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(ending).map(str::to_owned))
        .filter(|name| !name.starts_with('_'))
        .collect();
    names.sort();
    let path = |name: String| (name.clone(), folder.join(format!("{name}{ending}")));
    names.into_iter().map(path).collect()
}

fn list(files: &[(String, PathBuf)]) -> String {
    let mut list = String::from("&[\n");
    for (name, path) in files {
        writeln!(list, "({name:?}, include_str!({path:?})),").expect("strings take all");
    }
    list.push(']');
    list
}

/// The first 16 hex digits of the SHA-256 over all names and texts: enough to tell books apart.
fn hash(files: &[(String, PathBuf)]) -> String {
    let mut hash = Sha256::new();
    for (name, path) in files {
        let text = fs::read(path).expect("the file was listed a moment ago");
        // Within a bundle a file has no last line end.
        let text = text.trim_ascii_end();
        hash.update(name.as_bytes());
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(8).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("strings take all");
        hex
    })
}
