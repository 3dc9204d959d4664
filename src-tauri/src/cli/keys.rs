//! `tollgate keys`: the user's provider keys, kept for those who show a pass.

mod adopt;
mod check;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use api::keys::{Key, NewKey, Place};
use axum::http::Method;
use clap::{Args, Subcommand, ValueEnum};
use zeroize::Zeroizing;

use super::figure::instant;
use super::filters::here;
use super::screen::{FAINT, ODD, PLAIN, Screen};
use super::table::{self, Align, Cell, Column};

/// Keeps your provider keys in the system's keychain and puts them in for calls that show a pass.
///
/// A key is shown to its provider's origin only. Calls that bring their own key never use these.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: Option<KeysCommand>,
    /// Print one key a line, as JSON, without its secret
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Stores a key, which is asked for or read from standard input, never an argument
    #[command(after_help = "Examples:
  tollgate keys add openai
  pass show openai/work | tollgate keys add openai --label work --use
  tollgate passes add laptop       # then put the pass where the key was")]
    Add(AddArgs),
    Adopt(adopt::AdoptArgs),
    Test(check::TestArgs),
    /// Makes a key the one that is used
    Use {
        /// The provider's id
        #[arg(value_name = "PROVIDER")]
        provider: String,
        /// The key
        #[arg(value_name = "LABEL")]
        label: String,
    },
    /// Removes a key for good, from the keychain too
    Remove {
        /// The provider's id
        #[arg(value_name = "PROVIDER")]
        provider: String,
        /// The key
        #[arg(value_name = "LABEL", default_value = "default")]
        label: String,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// The provider's id, such as `openai`
    #[arg(value_name = "PROVIDER")]
    provider: String,
    /// Its name on receipts; the same one again takes the place of the old [default: default]
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Use it from now on, if there are others
    #[arg(long = "use")]
    use_it: bool,
    /// Where to keep it
    #[arg(long, value_enum, default_value_t = Store::Keychain)]
    store: Store,
    /// Do not ask the provider whether it works, by a call that costs nothing
    #[arg(long)]
    no_test: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    /// The system's keychain
    Keychain,
    /// `keys.secret` in the data folder, which only you can read
    File,
}

impl Store {
    fn place(self) -> Place {
        match self {
            Self::Keychain => Place::Keychain,
            Self::File => Place::File,
        }
    }
}

const COLUMNS: &[Column] = &[
    Column::new("provider", Align::Left, 0),
    Column::new("key", Align::Left, 0),
    Column::new("shown to", Align::Left, 1),
    Column::new("kept in", Align::Left, 1),
    Column::new("since", Align::Left, 2),
    Column::new("state", Align::Left, 0),
];

impl KeysArgs {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            None => self.list(),
            Some(KeysCommand::Add(args)) => args.run(),
            Some(KeysCommand::Adopt(args)) => args.run(),
            Some(KeysCommand::Test(args)) => args.run(),
            Some(KeysCommand::Use { provider, label }) => {
                let path = format!("{}/use", path(provider, label)?);
                let _: Vec<Key> = super::change(Method::POST, &path, None::<&()>)?;
                super::remark(&format!("The {provider} key `{label}` is used from now on."));
                Ok(())
            }
            Some(KeysCommand::Remove { provider, label }) => {
                let _: Vec<Key> =
                    super::change(Method::DELETE, &path(provider, label)?, None::<&()>)?;
                super::remark(&format!("The {provider} key `{label}` is removed."));
                Ok(())
            }
        }
    }

    fn list(&self) -> anyhow::Result<()> {
        let keys: Vec<Key> = super::change(Method::GET, "/api/v1/keys", None::<&()>)?;
        let mut screen = Screen::take();
        if self.json {
            keys.iter().try_for_each(|key| screen.json(key))?;
        } else if keys.is_empty() {
            super::remark(
                "There are no stored keys. Calls bring their own, or `tollgate keys add PROVIDER`.",
            );
        } else {
            let rows: Vec<Vec<Cell>> = keys.iter().map(row).collect();
            table::print(&mut screen, COLUMNS, &rows)?;
        }
        Ok(screen.flush()?)
    }
}

fn row(key: &Key) -> Vec<Cell> {
    let (state, style) = match (&key.problem, key.is_default) {
        (Some(problem), _) => (problem.as_str(), ODD),
        (None, true) => ("used", PLAIN),
        (None, false) => ("spare", FAINT),
    };
    vec![
        Cell::new(&key.provider),
        Cell::new(&key.label),
        Cell::new(&key.origin),
        Cell::new(match key.place {
            Place::Keychain => "keychain",
            Place::File => "keys.secret",
        }),
        Cell::new(instant(key.created_at, here().zone)),
        Cell::new(state).style(style),
    ]
}

impl AddArgs {
    fn run(&self) -> anyhow::Result<()> {
        let mut secret = self.secret()?;
        let new = NewKey {
            provider: self.provider.clone(),
            label: self.label.clone(),
            secret: std::mem::take(&mut *secret),
            use_it: self.use_it,
            place: Some(self.store.place()),
        };
        let key = keep(new)?;
        super::remark("Calls that show a pass use it: `tollgate passes add LABEL`.");
        if !self.no_test {
            check::tell(&key);
        }
        Ok(())
    }

    fn secret(&self) -> anyhow::Result<Zeroizing<String>> {
        if io::stdin().is_terminal() {
            let asked = format!("{} key (not shown): ", self.provider);
            return Ok(Zeroizing::new(rpassword::prompt_password(asked)?));
        }
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line)?;
        Ok(line)
    }
}

/// Stores a key and says where it went.
fn keep(new: NewKey) -> anyhow::Result<Key> {
    let key: Key = super::change(Method::POST, "/api/v1/keys", Some(&new))?;
    let Key { provider, label, origin, .. } = &key;
    super::remark(&format!("The {provider} key `{label}` is kept, for {origin} only."));
    if key.place == Place::File {
        super::remark("It stands in `keys.secret`, in plain text, for your user alone.");
    }
    Ok(key)
}

/// The resource of a key. A name with anything else in it is none, and must not become another path.
fn path(provider: &str, label: &str) -> anyhow::Result<String> {
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if !is_name(provider) || !is_name(label) {
        anyhow::bail!("there is no such key\nhint: `tollgate keys` lists them");
    }
    Ok(format!("/api/v1/keys/{provider}/{label}"))
}
