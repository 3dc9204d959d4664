//! Keeps the memory of this process, where the keys are, to itself: no core file, and on Linux
//! no look into it by other programs of the same user.

/// To be called before there is any secret. What the system does not grant is no reason to stop:
/// there is no log yet, and nobody is worse off than without it.
#[cfg(unix)]
pub(crate) fn close() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Processes that we start inherit it, and so do those that draw the pages.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    deny_looks();
}

/// Elsewhere crash reports hold no memory unless the user sets that up.
#[cfg(not(unix))]
pub(crate) fn close() {}

/// Not dumpable: no core even where one is piped to a program, which asks no limit, and neither
/// `ptrace` nor `/proc/PID/{mem,environ,…}` without the right to look into every process.
#[cfg(target_os = "linux")]
fn deny_looks() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Elsewhere it is the system that decides who may debug whom.
#[cfg(all(unix, not(target_os = "linux")))]
fn deny_looks() {}
