//! A process whose clock and whose disk the test bends while it runs (`bend.c`).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::gate::{Gate, Setup};

/// Error numbers as Linux has them.
pub(super) const EIO: i64 = 5;
pub(super) const ENOSPC: i64 = 28;
pub(super) const EROFS: i64 = 30;

/// What the process is made to believe.
pub(super) struct Bend {
    file: File,
    launcher: &'static [&'static str],
    _folder: TempDir,
}

impl Bend {
    /// Absent, with a word about it: nothing here can be preloaded, or there is no C compiler.
    pub(super) fn new() -> Option<Self> {
        let Some(library) = library() else {
            eprintln!("skipped: this needs Linux with glibc, and `cc`");
            return None;
        };
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("bend");
        let file = File::create(&path).expect("writable");
        file.write_all_at(&[0; 24], 0).expect("writable");
        let preload = format!("LD_PRELOAD={}", library.display());
        let told = format!("BEND={}", path.display());
        // As long as the test's process: a gate keeps how it is started.
        let launcher = vec!["env", preload.leak(), told.leak()].leak();
        Some(Self { file, launcher, _folder: folder })
    }

    /// A running gate that believes it.
    pub(super) fn gate(&self) -> Gate {
        self.gate_with(Setup::default())
    }

    /// The same with something special.
    pub(super) fn gate_with(&self, setup: Setup) -> Gate {
        Gate::open_with(Setup { launcher: self.launcher, ..setup })
    }

    /// From now on its clock is so many milliseconds ahead of the true one.
    pub(super) fn clock_ahead_by(&self, ms: i64) {
        self.put(0, ms);
    }

    /// From now on each write and sync of the ledger takes so much longer.
    pub(super) fn ledger_slower_by_us(&self, us: i64) {
        self.put(1, us);
    }

    /// From now on each write and sync of the ledger fails so; with 0 none does.
    pub(super) fn ledger_fails_with(&self, error: i64) {
        self.put(2, error);
    }

    fn put(&self, at: u64, value: i64) {
        self.file.write_all_at(&value.to_ne_bytes(), at * 8).expect("writable");
    }
}

/// The library, compiled once a run of tests.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<(TempDir, PathBuf)>> = OnceLock::new();
    let made = LIBRARY.get_or_init(|| {
        if !cfg!(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")) {
            return None;
        }
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("bend.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/soak/bend.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&path).arg(source);
        let compiled = compiler.status().is_ok_and(|status| status.success());
        compiled.then_some((folder, path))
    });
    made.as_ref().map(|(_, path)| &**path)
}
