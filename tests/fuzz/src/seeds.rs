//! What to begin with: the files in `seeds/TARGET/`, and the project's own price files.

use std::fs;
use std::path::{Path, PathBuf};

use meter::format::Format;

use crate::answer;

/// All inputs to begin with for a target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds: Vec<Vec<u8>> =
        files(&root.join("seeds").join(target)).iter().map(|path| seed(target, path)).collect();
    match target {
        "prices" => {
            let books = files(&root.join("../../src-tauri/crates/meter/prices"));
            seeds.extend(books.iter().filter_map(|path| fs::read(path).ok()));
        }
        "decode" => seeds.extend(coded()),
        _ => {}
    }
    seeds
}

/// The bytes that say how the rest is to be read.
pub fn fixed(target: &str) -> usize {
    match target {
        "answer" => 2,
        "request" | "decode" => 1,
        _ => 0,
    }
}

/// A file's name says what it is: `openai-chat.sse`, `0-chat.json`.
fn seed(target: &str, path: &Path) -> Vec<u8> {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.split('.').next().unwrap_or_default();
    let prefix = match target {
        "answer" => {
            let kind = match path.extension().and_then(|kind| kind.to_str()) {
                Some("sse") => 1,
                Some("ndjson") => 2,
                _ => 0,
            };
            let format: Option<Format> = name.parse().ok();
            answer::prefix(format, kind).to_vec()
        }
        "request" => vec![name[..1].parse().unwrap_or_default()],
        _ => Vec::new(),
    };
    let body = fs::read(path).unwrap_or_default();
    prefix.into_iter().chain(body).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// A text in each coding.
fn coded() -> Vec<Vec<u8>> {
    use flate2::Compression;
    use std::io::Write as _;
    let text = b"data: {\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":7}}\n\n".repeat(20);
    let mut gzip = flate2::write::GzEncoder::new(vec![0], Compression::default());
    let mut zlib = flate2::write::ZlibEncoder::new(vec![1], Compression::default());
    let mut raw = flate2::write::DeflateEncoder::new(vec![1], Compression::default());
    gzip.write_all(&text).expect("memory takes all");
    zlib.write_all(&text).expect("memory takes all");
    raw.write_all(&text).expect("memory takes all");
    let mut brotli = vec![2];
    brotli::CompressorWriter::new(&mut brotli, 4096, 5, 20)
        .write_all(&text)
        .expect("memory takes all");
    let mut zstd = vec![3];
    zstd.extend(zstd::encode_all(&*text, 3).expect("memory takes all"));
    let done = "memory takes all";
    vec![
        gzip.finish().expect(done),
        zlib.finish().expect(done),
        raw.finish().expect(done),
        brotli,
        zstd,
    ]
}
