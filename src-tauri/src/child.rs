//! Starts other processes, and is the only place that does: whatever keys the user's shell gave
//! us, none of them goes on to those.

use std::ffi::OsStr;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use meter::provider::Providers;

/// The program, to be started without the variables that providers' own software reads secrets
/// from.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in Providers::built_in().secret_variables() {
        command.env_remove(name);
    }
    command
}

/// The first 64 KiB that a program prints which takes no input and is done in time; else nothing,
/// and it is ended. Waits for it, so this is for threads that may.
pub(crate) fn printed(mut command: Command, limit: Duration) -> Option<String> {
    command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let output = child.stdout.take()?;
    let (said, heard) = mpsc::sync_channel(1);
    // On a thread of its own, because a program's own children may hold on to its output.
    let reader = std::thread::Builder::new().name("output".into()).spawn(move || {
        let mut text = String::new();
        let whole = output.take(64 << 10).read_to_string(&mut text).is_ok();
        let _ = said.send(whole.then_some(text));
    });
    let text = reader.ok().and_then(|_| heard.recv_timeout(limit).ok().flatten());
    // Whoever has closed its output and goes on has nothing more to say.
    let _ = child.kill();
    let _ = child.wait();
    text
}
