//! What stands beside the tray's icon: which days' spend and in which currency. Chosen in the
//! tray's menu, kept in `tray.json` in the home; knows neither menus nor the ledger.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use meter::Currency;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    /// Of which days.
    pub(super) span: Span,
    /// The currency that everything is converted to. Nothing: as it was charged.
    pub(super) currency: Option<Currency>,
}

/// The days whose spend is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Span {
    /// Since midnight.
    #[default]
    Today,
    /// The last seven days.
    Week,
    /// Since the first of the month.
    Month,
}

/// The choice, and everyone who wants to hear of it.
pub(super) struct Chosen {
    file: PathBuf,
    choice: watch::Sender<Choice>,
}

impl Chosen {
    /// What was chosen last in this home. A file that cannot be read is as good as none.
    pub(super) fn of(home: &Path) -> Self {
        let file = home.join("tray.json");
        let kept = fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { file, choice: watch::Sender::new(kept.unwrap_or_default()) }
    }

    /// What is chosen, now and whenever somebody chooses.
    pub(super) fn choice(&self) -> watch::Receiver<Choice> {
        self.choice.subscribe()
    }

    /// Changes the choice and keeps it. Whoever follows hears of it even if it stays the same,
    /// because a menu ticks and unticks what is clicked by itself.
    ///
    /// # Errors
    /// Fails when it could not be kept; it holds all the same, until the app ends.
    pub(super) fn change(&self, change: impl FnOnce(&mut Choice)) -> anyhow::Result<()> {
        self.choice.send_modify(change);
        let folder = self.file.parent().expect("the home is a folder");
        let keep = || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec(&*self.choice.borrow())?)?;
            file.persist(&self.file)?;
            anyhow::Ok(())
        };
        keep().with_context(|| format!("could not write `{}`", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_outlives_the_app_and_a_torn_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        Chosen::of(home).change(|choice| choice.span = Span::Month).unwrap();
        let again = Chosen::of(home);
        assert_eq!(again.choice().borrow().span, Span::Month);
        again.change(|choice| choice.currency = Some(Currency::EUR)).unwrap();
        let kept = fs::read_to_string(folder.path().join("tray.json")).unwrap();
        assert_eq!(kept, r#"{"span":"month","currency":"EUR"}"#);
        fs::write(folder.path().join("tray.json"), "{\"span\":").unwrap();
        assert_eq!(*Chosen::of(home).choice().borrow(), Choice::default());
    }
}
