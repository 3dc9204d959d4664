//! `prices.toml` in the home: the user's own prices. A wrong file is refused with line and
//! reason, and the prices in force stay so.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, anyhow};
use api::prices::TellPrice;
use meter::price::{Book, Overrides};
use meter::provider::Providers;
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};

use crate::config::Config;
use crate::home::Home;
use crate::price_list;

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

    /// Puts the newest list in force; the user's own prices follow with [`OwnPrices::renew`].
    pub(crate) fn begin(&self, list: Book) {
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        *in_force = InForce { book: Arc::new(list), text: None };
    }

    /// Reads the file if it changed; says whether other prices are in force now.
    pub(crate) fn renew(&self, home: &Home, config: &Config) -> anyhow::Result<bool> {
        let text = text(home)?;
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        if in_force.text == text {
            return Ok(false);
        }
        let list = price_list::newest(home, config.price_refresh.as_ref());
        let book = made(home, list, text.as_deref(), &config.providers)?;
        *in_force = InForce { book: Arc::new(book), text };
        Ok(true)
    }

    /// Puts another list in force, with the user's own prices before it, once `keep` has
    /// stored it. If either cannot be done everything stays as it was.
    pub(crate) fn put(
        &self,
        home: &Home,
        config: &Config,
        list: Book,
        keep: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Arc<Book>> {
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        let text = text(home)?;
        let book = Arc::new(made(home, list, text.as_deref(), &config.providers)?);
        keep()?;
        *in_force = InForce { book: Arc::clone(&book), text };
        Ok(book)
    }
}

/// The list prices with the user's own before them.
pub(crate) fn read(home: &Home, config: &Config) -> anyhow::Result<Book> {
    let list = price_list::newest(home, config.price_refresh.as_ref());
    made(home, list, text(home)?.as_deref(), &config.providers)
}

/// Another list with the user's own before it.
pub(crate) fn before(home: &Home, config: &Config, list: Book) -> anyhow::Result<Book> {
    made(home, list, text(home)?.as_deref(), &config.providers)
}

/// Writes a price into the file, which keeps its comments and its order. An entry for the same
/// provider and model from the same day makes way. If the file would be wrong then, it stays
/// as it is.
pub(crate) fn tell(home: &Home, config: &Config, told: &TellPrice) -> anyhow::Result<()> {
    let before = text(home)?.unwrap_or_default();
    let mut file: DocumentMut = before.parse().with_context(|| {
        format!("`{}` cannot be read\nhint: mend it first", path(home).display())
    })?;
    let mut entry = Table::new();
    entry["provider"] = value(told.provider.trim());
    // Without a model it is the price of all that the provider has.
    if !told.model.trim().is_empty() {
        entry["model"] = value(told.model.trim());
    }
    if let Some(from) = &told.from {
        entry["from"] = value(from.trim());
    }
    let rates = told.rates.iter().map(|(factor, rate)| (factor.trim(), rate.trim()));
    entry["rates"] = value(rates.collect::<InlineTable>());
    let same = |other: &Table| {
        let is = |name: &str| {
            other.get(name).and_then(Item::as_str) == entry.get(name).and_then(Item::as_str)
        };
        is("provider") && is("model") && is("from") && is("tier") && is("to")
    };
    let prices = file.entry("price").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let prices = prices.as_array_of_tables_mut().ok_or_else(|| {
        anyhow!(
            "`price` in `{}` is no list of `[[price]]`\nhint: mend it first",
            path(home).display()
        )
    })?;
    let at = prices.iter().position(same);
    match at.and_then(|at| prices.get_mut(at)) {
        Some(old) => old["rates"] = entry["rates"].clone(),
        None => prices.push(entry),
    }
    let after = file.to_string();
    let list = price_list::newest(home, config.price_refresh.as_ref());
    Overrides::read(&after, &list, |id| config.providers.get(id).is_some()).map_err(|wrong| {
        anyhow!("that is no price: {}\nhint: a rate is a number of dollars a million tokens, such as `3` or `0.25`", wrong.reason)
    })?;
    let mut file = tempfile::NamedTempFile::new_in(home.path())?;
    file.write_all(after.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path(home))
        .with_context(|| format!("could not replace `{}`", path(home).display()))?;
    Ok(())
}

fn made(
    home: &Home,
    list: Book,
    text: Option<&str>,
    providers: &Providers,
) -> anyhow::Result<Book> {
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
