//! A receipt's tags: those that headers gave are there from the start, those of the request's own
//! body come as it is read. Headers win.

use meter::Receipt;
use meter::request::Asked;

use crate::headers::MOST_TAGS;

/// Adds the labels of a request's body, as far as there is room. What is there already stays, so
/// that it may be called again when more of the body was read.
pub(crate) fn add(receipt: &mut Receipt, asked: &Asked) {
    for (name, value) in asked.labels.iter() {
        if receipt.tags.len() < MOST_TAGS && !receipt.tags.contains_key(name) {
            receipt.tags.insert(name.into(), value.into());
        }
    }
}
