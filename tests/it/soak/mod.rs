//! What must hold under load and whatever goes wrong: one module a fault, `docs/endurance.md`
//! lists them. A short round runs always; with `TOLLGATE_SOAK` set (`make soak`) the long one,
//! and `make soak FAULT=clock` runs one module alone.

mod bend;
mod clock;
mod crowd;
mod disk;
mod file;
mod killed;
mod load;
mod network;
mod pruned;
mod stopped;
mod week;

use std::time::{Duration, Instant};

/// Whether the long round is wanted.
fn soaking() -> bool {
    std::env::var_os("TOLLGATE_SOAK").is_some()
}

/// The first in a short round, the second in the long one.
fn of<T>(short: T, long: T) -> T {
    if soaking() { long } else { short }
}

/// Lets traffic be for so long: no waiting for anything, but the length of a fault.
fn go_on_for(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5).min(time));
    }
}
