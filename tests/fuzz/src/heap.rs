//! How much is allocated, so that a reader can be held to its bound.

use std::alloc::System;

use cap::Cap;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// Runs `steps` until it says so, and returns the most that was held between two of them.
pub(crate) fn most_held(mut steps: impl FnMut() -> bool) -> usize {
    let before = HEAP.allocated();
    let mut most = 0;
    while steps() {
        most = most.max(HEAP.allocated().saturating_sub(before));
    }
    most
}
