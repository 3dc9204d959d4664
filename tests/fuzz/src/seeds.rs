//! What to begin with: the files in `seeds/TARGET/`, the project's fixtures and price files.

use std::fs;
use std::path::{Path, PathBuf};

use meter::format::Format;
use meter::provider::{Provider, Providers};

use crate::{answer, stored, whole};

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
        "answer" => seeds.extend(fixtures(&root.join("../fixtures"))),
        "stored" => seeds.extend(stored::seeds()),
        "whole" => seeds.extend(whole(root)),
        _ => {}
    }
    seeds
}

/// The bytes that say how the rest is to be read.
pub fn fixed(target: &str) -> usize {
    match target {
        "answer" | "whole" => 2,
        "request" | "decode" | "stored" => 1,
        _ => 0,
    }
}

/// A file's name says what it is: `openai-chat.sse`, `0-chat.json`.
fn seed(target: &str, path: &Path) -> Vec<u8> {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.split('.').next().unwrap_or_default();
    let prefix = match target {
        "answer" => {
            let format: Option<Format> = name.parse().ok();
            answer::prefix(format, content_type(path)).to_vec()
        }
        "request" => vec![name[..1].parse().unwrap_or_default()],
        _ => Vec::new(),
    };
    let body = fs::read(path).unwrap_or_default();
    prefix.into_iter().chain(body).collect()
}

/// By number, as [`answer::check`] reads it.
fn content_type(path: &Path) -> u8 {
    match path.extension().and_then(|kind| kind.to_str()) {
        Some("sse") => 1,
        Some("ndjson") => 2,
        Some("eventstream") => 4,
        Some("srt") => 5,
        Some("mp3") => 6,
        Some("html") => 7,
        _ => 0,
    }
}

/// The answers of `tests/fixtures/PROVIDER/CASE/`, in the format that the case's path speaks.
fn fixtures(folder: &Path) -> Vec<Vec<u8>> {
    let cases = folders(folder).into_iter().flat_map(|provider| folders(&provider));
    let answer = |case: PathBuf| {
        let call = fs::read_to_string(case.join("call.toml")).ok()?;
        let path = call.lines().find_map(|line| line.strip_prefix("path = \""))?;
        let path = path.split(['"', '?']).next()?;
        let provider = case.parent()?.file_name()?.to_str()?;
        let declared = Provider::declared(provider, "http://any.test");
        let provider = Providers::built_in().get(provider).unwrap_or(&declared);
        let format = provider.route("POST", path).format;
        let answers =
            files(&case).into_iter().filter(|file| file.file_stem().is_some_and(|s| s == "answer"));
        let seed = |file: PathBuf| {
            let prefix = answer::prefix(format, content_type(&file));
            Some([&prefix[..], &fs::read(file).ok()?].concat())
        };
        Some(answers.filter_map(seed).collect::<Vec<_>>())
    };
    cases.filter_map(answer).flatten().collect()
}

/// What the answer, request and decode targets begin with.
fn whole(root: &Path) -> Vec<Vec<u8>> {
    let answers = of("answer");
    let requests = files(&root.join("seeds/request"));
    let requests = requests.iter().filter_map(|path| fs::read(path).ok());
    let requests = requests.map(|body| [&[whole::REQUEST][..], &body].concat());
    // The same order of codings as there, without raw deflate.
    let codings = [(0, 0), (3, 1), (4, 2)];
    let bodies = coded();
    let coded = codings.map(|(at, kind)| [&[whole::CODED, kind][..], &bodies[at][1..]].concat());
    answers.into_iter().chain(requests).chain(coded).collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
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
