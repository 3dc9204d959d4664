//! Which program of this machine calls, from which folder, in which repository: found out from
//! the connection, where the user wants that. One thread does it, beside the calls; what it has
//! not found out when a call ends is left out.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(not(any(target_os = "linux", target_os = "macos")), path = "elsewhere.rs")]
mod process;
mod project;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use gateway::listener::Peer;
use gateway::{Caller, Found};

/// Connections that may wait to be looked at; the next ones stay unknown.
const WAITING: usize = 256;
/// The longest name or path that is kept, in bytes.
const LONGEST: usize = 256;

/// What the system tells of a program.
#[cfg_attr(
    not(any(target_os = "linux", target_os = "macos")),
    expect(dead_code, reason = "nobody is found there")
)]
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    /// As `ps` shows it; never its arguments, which may hold secrets.
    name: String,
    folder: Option<PathBuf>,
}

/// Both ends of a connection, as the client's system has them.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "one end or none is looked at"))]
#[derive(Clone, Copy, Debug)]
struct Ends {
    client: SocketAddr,
    ours: SocketAddr,
}

/// The thread that finds out, until it is dropped.
#[derive(Debug)]
pub(crate) struct Attribution {
    ask: Option<SyncSender<(Ends, Caller)>>,
    thread: Option<JoinHandle<()>>,
}

impl Attribution {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (ask, asked) = sync_channel(WAITING);
        let find = move || answer_all(&asked);
        let thread = thread::Builder::new().name("callers".into()).spawn(find)?;
        Ok(Self { ask: Some(ask), thread: Some(thread) })
    }

    /// Has it found out who is at the other end, if nobody has asked yet and it is a program of
    /// this machine. Never waits.
    pub(crate) fn seek(&self, peer: &Peer) {
        if !peer.remote.ip().is_loopback() || !peer.caller.is_wanted() {
            return;
        }
        let ends = Ends { client: peer.remote, ours: peer.local };
        if let Some(ask) = &self.ask {
            // Full: this one stays unknown.
            let _ = ask.try_send((ends, peer.caller.clone()));
        }
    }
}

impl Drop for Attribution {
    fn drop(&mut self) {
        drop(self.ask.take());
        if let Some(thread) = self.thread.take() {
            // It ends with what it is looking at; a panic in it was told by itself.
            let _ = thread.join();
        }
    }
}

fn answer_all(asked: &Receiver<(Ends, Caller)>) {
    let mut finder = process::Finder::default();
    while let Ok((ends, caller)) = asked.recv() {
        if let Some(process) = finder.find(ends) {
            caller.tell(found(&process));
        }
    }
}

fn found(process: &Process) -> Found {
    let mut tags = vec![tag("process", &process.name)];
    if let Some(folder) = &process.folder {
        let project = project::of(folder);
        tags.push(tag("cwd", &folder.to_string_lossy()));
        tags.extend(project.name.map(|name| tag("project", &name)));
        tags.extend(project.remote.map(|remote| tag("git", &remote)));
    }
    tags.retain(|(_, value)| !value.is_empty());
    Found { client: Some(printable(&process.name)).filter(|name| !name.is_empty()), tags }
}

fn tag(name: &str, value: &str) -> (Box<str>, Box<str>) {
    (name.into(), printable(value))
}

/// A name or path as one line of text: both may hold anything but NUL.
fn printable(text: &str) -> Box<str> {
    let shown = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    let mut length = 0;
    let kept: String = shown
        .take_while(|c| {
            length += c.len_utf8();
            length <= LONGEST
        })
        .collect();
    kept.trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_and_bounded() {
        assert_eq!(&*printable("a\nb\u{1b}[2J "), "a\u{fffd}b\u{fffd}[2J");
        assert_eq!(printable(&"é".repeat(200)).len(), LONGEST);
        assert_eq!(&*printable("\t"), "\u{fffd}");
    }
}
