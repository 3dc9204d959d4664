//! Systems where nobody has written this yet.

use super::{Ends, Process};

/// Finds nobody.
#[derive(Debug, Default)]
pub(super) struct Finder;

impl Finder {
    /// Nobody.
    pub(super) fn find(&mut self, _: Ends) -> Option<Process> {
        None
    }
}
