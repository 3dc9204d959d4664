//! Who is at the other end of a connection, where somebody finds that out beside the calls. How
//! it is found out is not known here, and no call waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use meter::Receipt;

/// The program behind one connection, once it is known. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Caller(Arc<Place>);

#[derive(Debug, Default)]
struct Place {
    is_sought: AtomicBool,
    found: OnceLock<Found>,
}

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The program's name, for requests that name none.
    pub client: Option<Box<str>>,
    /// Tags for requests that do not say otherwise.
    pub tags: Vec<(Box<str>, Box<str>)>,
}

impl Caller {
    /// Whether it is to be found out now: `true` once.
    pub fn is_wanted(&self) -> bool {
        !self.0.is_sought.swap(true, Ordering::Relaxed)
    }

    /// Tells who it is.
    pub fn tell(&self, found: Found) {
        // The first word stands: a connection does not change hands.
        let _ = self.0.found.set(found);
    }

    /// Writes down what is known by now.
    pub(crate) fn note(&self, receipt: &mut Receipt) {
        let Some(found) = self.0.found.get() else { return };
        if receipt.client.is_none() {
            receipt.client.clone_from(&found.client);
        }
        for (name, value) in &found.tags {
            receipt.tags.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}
