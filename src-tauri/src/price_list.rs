//! The list prices: compiled into the program, or of a newer bundle that came into force once
//! and is kept in the home. Owns the files of the bundles; knows nothing of where they come
//! from or of the user's own prices.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use meter::price::{Book, Bundle, PublicKey};

use crate::config::PriceRefresh;
use crate::home::{Home, private_folder};

/// The bundles that are kept, the one in force among them.
const KEPT: usize = 12;

/// The newest list prices there are here. A kept bundle that cannot be used is passed over
/// with a warning; the program's own prices are always there.
pub(crate) fn newest(home: &Home, refresh: Option<&PriceRefresh>) -> Book {
    let Some(refresh) = refresh else { return Book::default() };
    match kept(home, &refresh.public_key) {
        Ok(Some(bundle)) if bundle.edition().made_at >= Book::built_in().edition().made_at => {
            bundle.book()
        }
        Ok(_) => Book::default(),
        Err(error) => {
            tracing::warn!("the kept prices are passed over: {error:#}");
            Book::default()
        }
    }
}

/// The bundle that came into force last.
pub(crate) fn kept(home: &Home, key: &PublicKey) -> anyhow::Result<Option<Bundle>> {
    let path = newest_path(home);
    match fs::read(&path) {
        Ok(bytes) => {
            let bundle = Bundle::open(&bytes, key);
            bundle.map(Some).with_context(|| format!("`{}` is not used", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not read `{}`", path.display())),
    }
}

/// The list that receipts name by `hash`, without what stands behind a `+`.
pub(crate) fn by_hash(home: &Home, refresh: Option<&PriceRefresh>, hash: &str) -> Option<Book> {
    let list = hash.split('+').next().unwrap_or_default();
    if Book::built_in().hash() == list {
        return Some(Book::default());
    }
    let bundles = files(&folder(home)).into_iter().rev();
    let open = |path: PathBuf| Bundle::open(&fs::read(path).ok()?, &refresh?.public_key).ok();
    bundles.filter_map(open).find(|bundle| bundle.book_hash() == list).map(|bundle| bundle.book())
}

/// Keeps a bundle as the newest one, and some that were before it: whole or not at all.
pub(crate) fn keep(home: &Home, bundle: &Bundle, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = folder(home);
    private_folder(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    let name = format!("{:020}-{}", bundle.sequence(), bundle.book_hash());
    for path in [folder.join(name), newest_path(home)] {
        write_whole(home.path(), &path, bytes)
            .with_context(|| format!("could not write `{}`", path.display()))?;
    }
    let kept = files(&folder);
    for old in kept.iter().rev().skip(KEPT) {
        // One too many is no harm.
        let _ = fs::remove_file(old);
    }
    Ok(())
}

fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// By number, which their names begin with.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

fn newest_path(home: &Home) -> PathBuf {
    home.path().join("prices.bundle")
}

fn folder(home: &Home) -> PathBuf {
    home.path().join("price-bundles")
}
