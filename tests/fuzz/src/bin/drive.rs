//! Fuzzes on the stable toolchain: mutates seeds for a while, checks every promise, and keeps
//! what breaks one.
//!
//! `cargo run --release --manifest-path tests/fuzz/Cargo.toml -- [TARGET…]`
//! with `FUZZ_SECONDS` (default 60, divided among the targets) and `FUZZ_SEED` in the
//! environment; a file's path instead of targets replays that file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use fuzz::mutate::{mutated, pumped};
use fuzz::{TARGETS, Target, answer, seeds};

/// A check that takes longer hangs.
const HANG: Duration = Duration::from_secs(20);
/// Seeds kept besides those in the tree.
const MOST_SEEDS: usize = 2000;
/// Every so many inputs one is pumped up to these lengths.
const PUMP_EVERY: u64 = 150;
const PUMP: [usize; 2] = [64 * 1024, 512 * 1024];
/// Slower than this many times linear may be quadratic, if it is also slow.
const SLOPE: u32 = 4;
/// And is, if twice the length takes this many times as long: a body whose first thing that
/// can be read at all ends late is quick when it is short, but then grows by two.
const TWICE: u32 = 3;
const SLOW: Duration = Duration::from_millis(400);

static IS_CHECKING: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| names.is_empty() || names.iter().any(|name| name == target.name))
        .collect();
    if let ([path], []) = (&*names, &*chosen) {
        return replay(Path::new(path));
    }
    let seconds: u64 = number("FUZZ_SECONDS").unwrap_or(60);
    let seed = number("FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("FUZZ_SEED={seed} FUZZ_SECONDS={seconds}");
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A check's panic is a finding, told once; any other is a fault of this program.
        if !IS_CHECKING.load(Relaxed) {
            loud(panic);
        }
    }));
    let each = Duration::from_secs(seconds) / u32::try_from(chosen.len()).unwrap_or(1).max(1);
    let found: usize = chosen.iter().map(|target| Run::new(target, seed).go(each)).sum();
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A kept file's name begins with its target.
fn replay(path: &Path) -> ExitCode {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let target = TARGETS.iter().find(|target| name.starts_with(target.name));
    let (Some(target), Ok(input)) = (target, std::fs::read(path)) else {
        eprintln!("neither a target nor a kept input: `{}`", path.display());
        return ExitCode::from(2);
    };
    let began = Instant::now();
    (target.check)(&input);
    println!("{} takes it in {:?}", target.name, began.elapsed());
    ExitCode::SUCCESS
}

/// An input, and since when it is being checked.
type Current = Option<(Instant, Vec<u8>)>;

struct Run {
    target: &'static Target,
    random: Rng,
    seeds: Vec<Vec<u8>>,
    /// What is being checked, since when: for the watchdog.
    current: Arc<Mutex<Current>>,
    /// What the failures said, so that each is kept once.
    found: Vec<String>,
    checked: u64,
    bytes: u64,
}

impl Run {
    fn new(target: &'static Target, seed: u64) -> Self {
        let seeds = seeds::of(target.name);
        assert!(!seeds.is_empty(), "no seeds for {}", target.name);
        let current = Arc::default();
        watch(target, Arc::clone(&current));
        let random = Rng::with_seed(seed);
        Self { target, random, seeds, current, found: Vec::new(), checked: 0, bytes: 0 }
    }

    /// Returns how many different failures were found.
    fn go(mut self, time: Duration) -> usize {
        let until = Instant::now() + time;
        for seed in self.seeds.clone() {
            self.check(&seed);
        }
        while Instant::now() < until {
            let seed = self.seeds[self.random.usize(..self.seeds.len())].clone();
            let other = self.seeds[self.random.usize(..self.seeds.len())].clone();
            let fixed = seeds::fixed(self.target.name);
            let input = mutated(&mut self.random, &seed, &other, fixed);
            if self.check(&input) && self.is_worth_keeping() {
                self.seeds.push(input);
            } else if self.target.is_streaming && self.checked.is_multiple_of(PUMP_EVERY) {
                let grow = pumped(&mut self.random, &input, fixed);
                self.check_slope(&grow);
            }
        }
        let Self { target, checked, bytes, found, seeds, .. } = self;
        println!(
            "{}: {checked} inputs, {} MB, {} seeds, {} failures",
            target.name,
            bytes / 1_000_000,
            seeds.len(),
            found.len()
        );
        found.len()
    }

    /// Without coverage one cannot tell; what still holds usage goes deeper than what does not.
    fn is_worth_keeping(&mut self) -> bool {
        let deep = self.target.name != "answer" || answer::had_usage();
        deep && self.seeds.len() < MOST_SEEDS && self.random.u8(0..20) == 0
    }

    fn check(&mut self, input: &[u8]) -> bool {
        self.checked += 1;
        self.bytes += input.len() as u64;
        *self.current.lock().expect("nobody panics while holding it") =
            Some((Instant::now(), input.to_vec()));
        let said = failure(self.target, input);
        *self.current.lock().expect("nobody panics while holding it") = None;
        let Some(said) = said else { return true };
        // Numbers differ from input to input; the sentence around them does not.
        let sort: String = said.chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
        if !self.found.contains(&sort) {
            self.found.push(sort);
            self.keep(input, &said);
        }
        false
    }

    fn keep(&self, input: &[u8], said: &str) {
        let small = shrunk(self.target, input.to_vec());
        let path = keep(self.target, &small);
        let said: String = said.chars().take(600).collect();
        println!("{}: {said}\n  kept as {}", self.target.name, path.display());
    }

    /// Eight times as much may take eight times as long.
    fn check_slope(&mut self, grow: &dyn Fn(usize) -> Vec<u8>) {
        let [short, long] = PUMP.map(grow);
        if short.is_empty() || long.len() < 4 * short.len() {
            return;
        }
        let time = |run: &mut Self, input: &[u8]| {
            let began = cpu_time();
            run.check(input).then(|| cpu_time().saturating_sub(began))
        };
        let (Some(quick), Some(slow)) = (time(self, &short), time(self, &long)) else { return };
        let growth = u32::try_from(long.len() / short.len()).unwrap_or(u32::MAX);
        if slow > SLOW && slow > quick * growth * SLOPE {
            let longer = grow(2 * PUMP[1]);
            let (Some(again), Some(slower)) = (time(self, &long), time(self, &longer)) else {
                return;
            };
            if slower > again * TWICE && !self.found.contains(&"slow".into()) {
                self.found.push("slow".into());
                let path = keep(self.target, &long);
                let times = format!("{quick:?} for {}, {again:?} for {}", short.len(), long.len());
                let times = format!("{times}, {slower:?} for {}", longer.len());
                println!("{}: {times}\n  kept as {}", self.target.name, path.display());
            }
        }
    }
}

/// What this thread has used; the time of day where the system does not tell.
fn cpu_time() -> Duration {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|field| field.parse().ok());
    nanos.map_or_else(|| BEGAN.elapsed(), Duration::from_nanos)
}

/// What a check that fails says.
fn failure(target: &Target, input: &[u8]) -> Option<String> {
    IS_CHECKING.store(true, Relaxed);
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    IS_CHECKING.store(false, Relaxed);
    let failure = outcome.err()?;
    let text = failure.downcast_ref::<String>().cloned();
    Some(text.or_else(|| failure.downcast_ref().map(|s: &&str| (*s).into())).unwrap_or_default())
}

/// Takes parts away as long as it still fails.
fn shrunk(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let fixed = seeds::fixed(target.name);
    let until = Instant::now() + Duration::from_secs(10);
    let mut size = input.len() / 2;
    while size > 0 && Instant::now() < until {
        let mut at = fixed;
        while at + size <= input.len() && Instant::now() < until {
            let smaller = [&input[..at], &input[at + size..]].concat();
            match failure(target, &smaller) {
                Some(_) => input = smaller,
                None => at += size,
            }
        }
        size /= 2;
    }
    input
}

fn keep(target: &Target, input: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
    let sum = input.iter().fold(0_u32, |sum, b| sum.wrapping_mul(31).wrapping_add((*b).into()));
    let path = folder.join(format!("{}-{sum:08x}", target.name));
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::write(&path, input).expect("the file can be written");
    path
}

/// Ends the program if a check does not end.
fn watch(target: &'static Target, current: Arc<Mutex<Current>>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let current = current.lock().expect("nobody panics while holding it");
            if let Some((since, input)) = &*current
                && since.elapsed() > HANG
            {
                let path = keep(target, input);
                println!("{}: hangs\n  kept as {}", target.name, path.display());
                std::process::exit(1);
            }
        }
    });
}
