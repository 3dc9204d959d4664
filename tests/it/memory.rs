//! The process that holds the keys keeps its memory to itself.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use standin::client::Call;

use crate::gate::{Gate, Setup, files_below, wait_until};

const KEY: &str = "sk-PLANTED-MEMORY-71c5";

/// Somebody who is not allowed to look into every process.
const NOBODY: u32 = 65534;

/// As that user, where the tests run as root.
const AS_NOBODY: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// In its home, where a core file would be, and with leave to write one.
const CORES: &[&str] =
    &["sh", "-c", r#"cd "$TOLLGATE_HOME" && ulimit -c unlimited; exec "$0" "$@""#];

fn call_with_a_key(gate: &Gate) {
    let chat = Call::post("/v1/chat/completions", &json!({"model": "standin", "messages": []}));
    assert_eq!(gate.send(&chat.bearer(KEY)).status(), 200);
}

#[test]
fn a_crash_leaves_no_core() {
    let mut gate = Gate::open_with(Setup { launcher: CORES, ..Setup::default() });
    call_with_a_key(&gate);
    let limits = fs::read_to_string(format!("/proc/{}/limits", gate.pid())).expect("it runs");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = cores.expect("a limit").split_whitespace().skip(4).take(2).collect();
    assert_eq!(words, ["0", "0"], "{limits}");
    let crash = Command::new("kill").args(["-ABRT", &gate.pid().to_string()]).status();
    assert!(crash.is_ok_and(|status| status.success()));
    let (status, _) = gate.ended();
    assert_eq!(status.signal(), Some(6));
    assert!(!status.core_dumped(), "the kernel wrote a core");
    for path in files_below(gate.home()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(!name.starts_with("core"), "{}", path.display());
        let bytes = fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes()), "{}", path.display());
    }
}

#[test]
fn other_programs_of_the_same_user_cannot_look_into_it() {
    let Some(user) = somebody() else {
        eprintln!("skipped: there is no ordinary user here who may start the program");
        return;
    };
    let prepare: Option<fn(&Path)> = if user.is_empty() { None } else { Some(give_to_nobody) };
    let gate = Gate::open_with(Setup { launcher: user, prepare, ..Setup::default() });
    call_with_a_key(&gate);
    // A program that does not mind is an open book, so the test can tell.
    let open = Open::start(user);
    for file in ["environ", "mem", "maps", "auxv", "fd/0"] {
        let reads = |pid: u32| {
            // Of `mem` nothing can be read at 0; whether it opens is the question.
            let open = format!("exec 3< /proc/{pid}/{file}");
            let status = as_user(user, &["sh", "-c", &open]).stderr(Stdio::null()).status();
            status.expect("there is a shell").success()
        };
        assert!(!reads(gate.pid()), "{file} of the gate");
        let may_trace = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
        let is_mem = file == "mem" && may_trace.is_ok_and(|scope| scope.trim() != "0");
        assert!(reads(open.0.id()) || is_mem, "{file} of a program that does not mind");
    }
}

/// A program that does nothing, and nothing for its privacy.
struct Open(Child);

impl Open {
    fn start(user: &[&str]) -> Self {
        let mut sleep = as_user(user, &["sleep", "600"]);
        let sleep = sleep.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let open = sleep.spawn().expect("it starts");
        let name = format!("/proc/{}/comm", open.id());
        // Before that it is whoever makes it that user's.
        wait_until("it sleeps", || fs::read(&name).is_ok_and(|name| name == b"sleep\n"));
        Self(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it was killed");
    }
}

fn give_to_nobody(home: &Path) {
    for path in [home, &home.join("config.toml")] {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
}

/// How to be an ordinary user: as we are, or by giving up being root. `None`: there is no way.
fn somebody() -> Option<&'static [&'static str]> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout != b"0\n" {
        return Some(&[]);
    }
    let runs = as_user(AS_NOBODY, &[env!("CARGO_BIN_EXE_tollgate"), "--version"]).output();
    runs.is_ok_and(|output| output.status.success()).then_some(AS_NOBODY)
}

fn as_user(user: &[&str], program: &[&str]) -> Command {
    let words = [user, program].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}
