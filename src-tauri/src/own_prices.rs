//! `prices.toml` in the home: the user's own prices. A wrong file is refused with line and
//! reason, and the prices in force stay so.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, anyhow};
use meter::price::{Book, Overrides};
use meter::provider::Providers;

use crate::home::Home;

/// The prices in force and the file they were made with.
#[derive(Debug, Default)]
pub(crate) struct OwnPrices {
    in_force: RwLock<InForce>,
}

#[derive(Debug, Default)]
struct InForce {
    /// Absent: no file.
    text: Option<String>,
    book: Arc<Book>,
}

impl OwnPrices {
    /// The prices in force.
    pub(crate) fn book(&self) -> Arc<Book> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner).book)
    }

    /// Reads the file if it changed; says whether other prices are in force now.
    pub(crate) fn renew(&self, home: &Home, providers: &Providers) -> anyhow::Result<bool> {
        let text = text(home)?;
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        if in_force.text == text {
            return Ok(false);
        }
        *in_force = InForce { book: Arc::new(made(home, text.as_deref(), providers)?), text };
        Ok(true)
    }
}

/// The list prices with the user's own before them.
pub(crate) fn read(home: &Home, providers: &Providers) -> anyhow::Result<Book> {
    made(home, text(home)?.as_deref(), providers)
}

fn made(home: &Home, text: Option<&str>, providers: &Providers) -> anyhow::Result<Book> {
    let list = Book::default();
    let Some(text) = text else { return Ok(list) };
    let own = Overrides::read(text, &list, |id| providers.get(id).is_some());
    let own = own.map_err(|wrong| {
        anyhow!(
            "`{}`, {wrong}\nhint: mend that line, or move the file away to go by list prices",
            path(home).display()
        )
    })?;
    Ok(list.with(own))
}

fn text(home: &Home) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path(home)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(error).with_context(|| format!("could not read `{}`", path(home).display()))
        }
    }
}

/// Where the file stands.
pub(crate) fn path(home: &Home) -> PathBuf {
    home.path().join("prices.toml")
}
