//! Looks for input that takes more than its length: counts the instructions (valgrind) that each
//! target takes for an input with one part repeated, and for one twice as long. Counts, unlike
//! times, are the same on a busy machine.
//!
//! `cargo run --release --manifest-path tests/fuzz/Cargo.toml --bin steps -- [TARGET…]`
//! with `STEPS_SHAPES` (default 4, inputs a target) and `FUZZ_SEED` (default 1).

use std::path::Path;
use std::process::{Command, ExitCode};

use fastrand::Rng;
use fuzz::mutate::pumped;
use fuzz::{TARGETS, Target, seeds};

/// The length of an input, and twice that is the longer one's.
const LENGTH: usize = 16 * 1024;
/// Twice the length may take this many times, in hundredths, as many instructions.
const MOST: u64 = 260;
/// Fewer than this an input's byte are no burden, however they grow.
const FEW: u64 = 2_000;

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if let [word, target, path] = &*given
        && word == "check"
    {
        return check(target, Path::new(path));
    }
    let chosen = |target: &&Target| given.is_empty() || given.iter().any(|n| n == target.name);
    let steep: usize = TARGETS.iter().filter(chosen).map(look_at).sum();
    if steep == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What valgrind runs.
fn check(name: &str, path: &Path) -> ExitCode {
    let target = TARGETS.iter().find(|target| target.name == name);
    let (Some(target), Ok(input)) = (target, std::fs::read(path)) else {
        return ExitCode::from(2);
    };
    (target.check)(&input);
    ExitCode::SUCCESS
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Returns how many inputs of a target take more than their length.
fn look_at(target: &'static Target) -> usize {
    let mut random = Rng::with_seed(number("FUZZ_SEED").unwrap_or(1));
    let all = seeds::of(target.name);
    let fixed = seeds::fixed(target.name);
    let Some(nothing) = instructions(target, &[]) else {
        println!("{}: skipped, there is no valgrind", target.name);
        return 0;
    };
    let (mut shapes, mut steep, mut worst) = (0, 0, 0);
    for _ in 0..20 * number("STEPS_SHAPES").unwrap_or(4) {
        if shapes == number("STEPS_SHAPES").unwrap_or(4) {
            break;
        }
        let seed = &all[random.usize(..all.len())];
        let grow = pumped(&mut random, seed, fixed);
        let [short, long] = [LENGTH, 2 * LENGTH].map(&grow);
        if seed.len() > LENGTH / 2 || long.len() < 3 * short.len() / 2 {
            continue;
        }
        let (Some(less), Some(more)) = (instructions(target, &short), instructions(target, &long))
        else {
            continue;
        };
        shapes += 1;
        let (less, more) = (less.saturating_sub(nothing), more.saturating_sub(nothing));
        let growth = 100 * more / less.max(1);
        worst = worst.max(growth);
        let a_byte = more / long.len() as u64;
        if growth > MOST && a_byte > FEW {
            steep += 1;
            let path = keep(target, &long);
            println!("{}: twice the length, {growth} % of the instructions", target.name);
            println!("  kept as {}", path.display());
        }
    }
    println!("{}: {shapes} shapes, twice the length takes {worst} % at most", target.name);
    steep
}

/// Of one check; absent: no valgrind, or the check fails, which is the fuzzer's business.
fn instructions(target: &Target, input: &[u8]) -> Option<u64> {
    let path = std::env::temp_dir().join(format!("steps-{}", std::process::id()));
    std::fs::write(&path, input).ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["check", target.name])
        .arg(&path)
        .output();
    let _ = std::fs::remove_file(&path);
    let output = output.ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1))?;
    output.status.success().then(|| collected.trim().parse().ok()).flatten()
}

fn keep(target: &Target, input: &[u8]) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
    let path = folder.join(format!("{}-steep-{}", target.name, input.len()));
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::write(&path, input).expect("the file can be written");
    path
}
