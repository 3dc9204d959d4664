//! `exchange-rates.csv` in the home: the exchange rates the user entered or imported. The file
//! is replaced whole; a running Tollgate reads it anew when it changed.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context as _, anyhow};
use meter::exchange::ExchangeRates;

use crate::home::Home;

/// The rates as they were read last.
#[derive(Debug, Default)]
pub(crate) struct KeptRates(Mutex<(Option<Stamp>, Arc<ExchangeRates>)>);

/// What changes when the file does.
type Stamp = (SystemTime, u64);

impl KeptRates {
    /// The rates there are now.
    pub(crate) fn read(&self, home: &Home) -> anyhow::Result<Arc<ExchangeRates>> {
        let found = fs::metadata(path(home)).and_then(|file| Ok((file.modified()?, file.len())));
        let found = found.ok();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != found {
            *kept = (found, Arc::new(read(home)?));
        }
        Ok(Arc::clone(&kept.1))
    }
}

/// Reads the file; without one there are no rates.
pub(crate) fn read(home: &Home) -> anyhow::Result<ExchangeRates> {
    let path = path(home);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("could not read `{}`", path.display()));
        }
    };
    ExchangeRates::read(&text)
        .map_err(|wrong| anyhow!("`{}`, {wrong}\nhint: mend that line", path.display()))
}

/// Changes the file, one command after the other.
pub(crate) fn change<T>(
    home: &Home,
    act: impl FnOnce(&mut ExchangeRates) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    home.create()?;
    let turn = File::create(home.path().join("exchange-rates.lock"))?;
    turn.lock()?;
    let mut rates = read(home)?;
    let done = act(&mut rates)?;
    let mut file = tempfile::NamedTempFile::new_in(home.path())?;
    file.write_all(rates.write().as_bytes())?;
    file.as_file().sync_all()?;
    let path = path(home);
    file.persist(&path).with_context(|| format!("could not write `{}`", path.display()))?;
    Ok(done)
}

/// Where the file stands.
pub(crate) fn path(home: &Home) -> PathBuf {
    home.path().join("exchange-rates.csv")
}
