//! `tollgate keys test`: asks providers, by calls that cost nothing, whether keys work.

use std::io::Write as _;

use anyhow::bail;
use api::keys::{Key, KeyCheck, Verdict};
use axum::http::Method;
use clap::Args;

use super::super::screen::{self, BAD, FAINT, GOOD, ODD, Screen};
use super::super::table::{self, Align, Cell, Column};
use super::path;
use crate::cli;

/// Asks providers whether keys work, by a call that costs nothing
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Only keys of this provider
    #[arg(value_name = "PROVIDER")]
    provider: Option<String>,
    /// Only this one
    #[arg(value_name = "LABEL")]
    label: Option<String>,
    /// Print one answer a line, as JSON
    #[arg(long)]
    json: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("provider", Align::Left, 0),
    Column::new("key", Align::Left, 0),
    Column::new("asked", Align::Left, 1),
    Column::new("says", Align::Left, 0),
];

impl TestArgs {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let keys: Vec<Key> = cli::change(Method::GET, "/api/v1/keys", None::<&()>)?;
        let is_meant = |key: &&Key| {
            self.provider.as_ref().is_none_or(|provider| *provider == key.provider)
                && self.label.as_ref().is_none_or(|label| *label == key.label)
        };
        let meant: Vec<&Key> = keys.iter().filter(is_meant).collect();
        if meant.is_empty() {
            bail!("there is no such key\nhint: `tollgate keys` lists them");
        }
        let checks: Vec<KeyCheck> = meant.into_iter().map(ask).collect::<anyhow::Result<_>>()?;
        let mut screen = Screen::take();
        if self.json {
            checks.iter().try_for_each(|check| screen.json(check))?;
        } else {
            let rows: Vec<Vec<Cell>> = checks.iter().map(row).collect();
            table::print(&mut screen, COLUMNS, &rows)?;
        }
        screen.flush()?;
        drop(screen);
        let is_bad = |check: &&KeyCheck| match check.verdict {
            Verdict::Works | Verdict::Untested => false,
            Verdict::Refused | Verdict::Unclear | Verdict::Unreachable => true,
        };
        match checks.iter().filter(is_bad).count() {
            0 => Ok(()),
            bad => bail!("{bad} of {} keys cannot be said to work", checks.len()),
        }
    }
}

fn row(check: &KeyCheck) -> Vec<Cell> {
    let style = match check.verdict {
        Verdict::Works => GOOD,
        Verdict::Refused => BAD,
        Verdict::Unclear | Verdict::Unreachable => ODD,
        Verdict::Untested => FAINT,
    };
    vec![
        Cell::new(&check.provider),
        Cell::new(&check.label),
        Cell::new(&check.origin),
        Cell::new(sentence(check)).style(style),
    ]
}

fn ask(key: &Key) -> anyhow::Result<KeyCheck> {
    let path = format!("{}/test", path(&key.provider, &key.label)?);
    cli::change(Method::POST, &path, None::<&()>)
}

/// Tests a key that was just stored and says what came of it; whatever that is, it is stored.
pub(super) fn tell(key: &Key) {
    match ask(key) {
        Ok(check) => cli::remark(&format!("Tested: {}.", screen::harmless(&sentence(&check)))),
        Err(error) => cli::remark(&format!("It could not be tested: {error}")),
    }
}

/// What came of it, in words.
fn sentence(check: &KeyCheck) -> String {
    let status = check.http_status.map(|status| format!(" ({status})")).unwrap_or_default();
    let said = check.message.as_deref().map(|said| format!(": {said}")).unwrap_or_default();
    let verdict = match check.verdict {
        Verdict::Works => return "works".to_owned(),
        Verdict::Refused => "refused",
        Verdict::Unclear => "the answer says nothing of the key",
        Verdict::Unreachable => "not reachable",
        Verdict::Untested => "not tested",
    };
    format!("{verdict}{status}{}", said.trim_end_matches('.'))
}
