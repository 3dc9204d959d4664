//! `tollgate keys adopt`: takes keys over from the environment it is called in, once, each with
//! its owner's consent.

use std::env;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::bail;
use api::keys::{Key, NewKey};
use api::status::GateStatus;
use axum::http::Method;
use clap::Args;
use meter::provider::{Provider, Providers};
use zeroize::Zeroizing;

use super::super::screen::Screen;
use super::super::table::{self, Align, Cell, Column};
use super::{Store, check};
use crate::cli;

/// Finds provider keys in this shell's environment and keeps those you agree to
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate keys adopt                          # shows what it finds, asks for each
  tollgate keys adopt --yes OPENAI_API_KEY     # without asking")]
pub(super) struct AdoptArgs {
    /// Keep what this variable holds, without asking; may repeat
    #[arg(long, value_name = "NAME", num_args = 1..)]
    yes: Vec<String>,
    /// Where to keep them
    #[arg(long, value_enum, default_value_t = Store::Keychain)]
    store: Store,
    /// Do not ask providers whether they work
    #[arg(long)]
    no_test: bool,
}

/// A key, and the variables that hold it.
struct Found {
    provider: &'static Provider,
    names: Vec<&'static str>,
    secret: Zeroizing<String>,
    /// What it would be called.
    label: String,
}

const COLUMNS: &[Column] = &[
    Column::new("variable", Align::Left, 0),
    Column::new("provider", Align::Left, 0),
    Column::new("key", Align::Left, 0),
    Column::new("to be kept as", Align::Left, 0),
];

/// How our own passes begin.
const PASS: &str = "tg_";

impl AdoptArgs {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let known: Vec<Key> = cli::change(Method::GET, "/api/v1/keys", None::<&()>)?;
        let found = found(&known);
        if let Some(name) = self.yes.iter().find(|name| !found.iter().any(|one| one.has(name))) {
            bail!(
                "there is no provider's key in `{name}`\nhint: `tollgate keys adopt` shows what there is"
            );
        }
        if found.is_empty() {
            cli::remark("There is no provider's key in this environment.");
            return Ok(());
        }
        show(&found)?;
        let agreed: Vec<&Found> = if !self.yes.is_empty() {
            found.iter().filter(|one| self.yes.iter().any(|name| one.has(name))).collect()
        } else if io::stdin().is_terminal() {
            ask(&found)?
        } else {
            bail!("nothing is kept without your yes\nhint: `tollgate keys adopt --yes NAME`");
        };
        let mut kept = Vec::new();
        for one in &agreed {
            match self.keep(one) {
                Ok(()) => kept.push(*one),
                // The others are kept all the same.
                Err(error) => cli::remark(&format!("{} is not kept: {error:#}", one.names[0])),
            }
        }
        if !kept.is_empty() {
            tell_what_next(&kept)?;
        }
        match agreed.len() - kept.len() {
            0 => Ok(()),
            failed => bail!("{failed} of {} keys could not be kept", agreed.len()),
        }
    }

    fn keep(&self, found: &Found) -> anyhow::Result<()> {
        let new = NewKey {
            provider: found.provider.id.to_string(),
            label: Some(found.label.clone()),
            secret: found.secret.to_string(),
            use_it: false,
            place: Some(self.store.place()),
        };
        let key = super::keep(new)?;
        if !self.no_test {
            check::tell(&key);
        }
        Ok(())
    }
}

impl Found {
    fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// Enough to know it again, and never more than four characters.
    fn masked(&self) -> String {
        let is_long = self.secret.is_ascii() && self.secret.len() >= 20;
        let end = self.secret.len() - 4 * usize::from(is_long);
        if is_long { format!("…{}", &self.secret[end..]) } else { "•••".to_owned() }
    }
}

/// Keys in the environment of this process, as it was started.
fn found(known: &[Key]) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    for provider in Providers::built_in().iter() {
        for name in provider.key_variables.iter().map(|name| &**name) {
            let Ok(value) = env::var(name) else { continue };
            let secret = Zeroizing::new(Zeroizing::new(value).trim().to_owned());
            if secret.starts_with(PASS) {
                cli::remark(&format!("`{name}` holds a pass already."));
            } else if let Some(same) =
                all.iter_mut().find(|one| one.provider.id == provider.id && one.secret == secret)
            {
                same.names.push(name);
            } else if !secret.is_empty() {
                let is_first = !known.iter().any(|key| *key.provider == *provider.id)
                    && !all.iter().any(|one| one.provider.id == provider.id);
                let label = if is_first { "default" } else { name }.to_owned();
                all.push(Found { provider, names: vec![name], secret, label });
            }
        }
    }
    all
}

fn show(found: &[Found]) -> anyhow::Result<()> {
    let row = |one: &Found| {
        vec![
            Cell::new(one.names.join(", ")),
            Cell::new(&*one.provider.name),
            Cell::new(one.masked()),
            Cell::new(format!("{} {}", one.provider.id, one.label)),
        ]
    };
    let rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    let mut screen = Screen::take();
    table::print(&mut screen, COLUMNS, &rows)?;
    Ok(screen.flush()?)
}

/// Those to which the person at the terminal says yes.
fn ask(found: &[Found]) -> anyhow::Result<Vec<&Found>> {
    let mut agreed = Vec::new();
    for one in found {
        let (name, id, label) = (one.names[0], &one.provider.id, &one.label);
        eprint!("Keep {name} as the {id} key `{label}`? [y/N] ");
        io::stderr().flush()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        if matches!(line.trim(), "y" | "Y" | "yes") {
            agreed.push(one);
        }
    }
    Ok(agreed)
}

/// A key that still stands in the environment is read by whoever reads that.
fn tell_what_next(kept: &[&Found]) -> anyhow::Result<()> {
    let status: GateStatus = cli::change(Method::GET, "/api/v1/status", None::<&()>)?;
    let address = status.addresses.first().map_or("127.0.0.1:8655", String::as_str);
    let names: Vec<&str> = kept.iter().flat_map(|one| one.names.iter().copied()).collect();
    let (name, id) = (kept[0].names[0], &kept[0].provider.id);
    cli::remark(&format!(
        "\nThe environment holds them still. Take them out of it, and out of the file that sets them:\n  unset {}\n\
         Then give each tool a pass in their place, and this base URL:\n  \
         export {name}=$(tollgate passes add LABEL)      # http://{address}/{id}",
        names.join(" ")
    ));
    Ok(())
}
