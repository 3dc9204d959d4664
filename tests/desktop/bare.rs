//! The least a Tauri program can be: one window with one line of text. What the footprint of
//! Tollgate's window is measured against.

use std::borrow::Cow;

use tauri::utils::assets::{AssetKey, AssetsIter, CspHash};
use tauri::{Assets, Builder, WebviewUrl, WebviewWindowBuilder, Wry};

struct Page;

impl Assets<Wry> for Page {
    fn get(&self, _: &AssetKey) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(b"<!doctype html><title>Bare</title><p>Hello"))
    }

    fn iter(&self) -> Box<AssetsIter<'_>> {
        Box::new(std::iter::empty())
    }

    fn csp_hashes(&self, _: &AssetKey) -> Box<dyn Iterator<Item = CspHash<'_>> + '_> {
        Box::new(std::iter::empty())
    }
}

fn main() -> tauri::Result<()> {
    let mut context = tauri::generate_context!();
    context.set_assets(Box::new(Page));
    Builder::default()
        .setup(|app| {
            WebviewWindowBuilder::new(app, "main", WebviewUrl::default())
                .title("Bare")
                .inner_size(1280.0, 860.0)
                .build()?;
            Ok(())
        })
        .run(context)
}
