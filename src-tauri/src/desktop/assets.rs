//! The window's files: the very pages that `tollgate serve` shows in a browser.

use std::borrow::Cow;

use tauri::utils::assets::{AssetKey, AssetsIter, CspHash};
use tauri::{Assets, Wry};

use crate::pages;

/// The built pages, as Tauri asks for them. Names that are no file (the pages' own routes)
/// are left to Tauri, which falls back to `index.html`.
pub(super) struct Pages;

impl Assets<Wry> for Pages {
    fn get(&self, key: &AssetKey) -> Option<Cow<'_, [u8]>> {
        // Keys begin with a slash.
        pages::file(key.as_ref().trim_start_matches('/'))
    }

    fn iter(&self) -> Box<AssetsIter<'_>> {
        Box::new(std::iter::empty())
    }

    fn csp_hashes(&self, _: &AssetKey) -> Box<dyn Iterator<Item = CspHash<'_>> + '_> {
        Box::new(std::iter::empty())
    }
}
