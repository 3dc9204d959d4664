//! How many files and sockets this process may have open, and so how many connections it takes:
//! each call needs two, one to the client and one to its provider.

/// As many as a busy machine needs; systems begin with 256 (macOS) or 1,024 (Linux).
#[cfg(unix)]
const WANTED: u64 = 8192;
/// For the ledger, logs, pages and whatever else is open.
#[cfg(unix)]
const OTHERS: u64 = 64;
/// Connections that are enough for anybody.
const ENOUGH: usize = 1024;
/// Connections that there must be however little the system allows.
#[cfg(unix)]
const FEWEST: u64 = 16;

/// Asks the system for more, as far as it lets us, and says how many connections fit.
#[cfg(unix)]
pub(crate) fn connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // `None` is no limit.
    let wanted = WANTED.min(maximum.unwrap_or(WANTED));
    let mut allowed = current.unwrap_or(WANTED);
    let more = Rlimit { current: Some(wanted), maximum };
    if allowed < wanted && setrlimit(Resource::Nofile, more).is_ok() {
        allowed = wanted;
    }
    fitting(allowed)
}

/// Sockets are no files on Windows, and no limit is near.
#[cfg(not(unix))]
pub(crate) fn connections() -> usize {
    ENOUGH
}

#[cfg(unix)]
fn fitting(files: u64) -> usize {
    let fit = (files.saturating_sub(OTHERS) / 2).max(FEWEST);
    usize::try_from(fit).map_or(ENOUGH, |fit| fit.min(ENOUGH))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_two_sockets_and_the_rest_its_files() {
        assert_eq!([0, 256, 1024, 8192].map(fitting), [16, 96, 480, 1024]);
    }
}
