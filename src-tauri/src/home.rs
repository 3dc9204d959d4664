//! Where the data lives: the platform's data folder, or `TOLLGATE_HOME`.
//! Owns the folder, its lock and the names inside; knows nothing of what the files hold.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use etcetera::app_strategy::{AppStrategy as _, AppStrategyArgs, choose_native_strategy};

/// The folder that holds `ledger.db`, `config.toml`, `inflight`, `logs/`.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// Finds the folder, without creating it.
    pub(crate) fn find() -> anyhow::Result<Self> {
        if let Some(path) = std::env::var_os("TOLLGATE_HOME").filter(|path| !path.is_empty()) {
            return Ok(Self(std::path::absolute(path)?));
        }
        let args = AppStrategyArgs {
            top_level_domain: "dev".into(),
            author: "tollgate".into(),
            app_name: "Tollgate".into(),
        };
        let strategy = choose_native_strategy(args).context(
            "could not find your home folder\nhint: set TOLLGATE_HOME to a folder of your choice",
        )?;
        Ok(Self(strategy.data_dir()))
    }

    /// Creates the folder, readable by its owner only.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        private_folder(&self.0).with_context(|| {
            format!(
                "could not create the data folder `{}`\nhint: check its parent's permissions, or set TOLLGATE_HOME",
                self.0.display()
            )
        })
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// `config.toml`.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// `logs/`.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// `exports/`.
    pub(crate) fn exports(&self) -> PathBuf {
        self.0.join("exports")
    }

    /// Takes the home's lock; whatever way the process dies, the system frees it.
    pub(crate) fn lock(&self) -> anyhow::Result<HomeLock> {
        match self.try_lock()? {
            Lock::Taken(lock) => Ok(lock),
            Lock::Held(holder) => bail!(
                "another Tollgate{holder} already serves `{}`\nhint: use it as it is, stop it first, or give this one its own TOLLGATE_HOME",
                self.0.display()
            ),
        }
    }

    /// Who holds the lock, as far as that can be told without making anything.
    pub(crate) fn holder(&self) -> Option<String> {
        let mut file = File::open(self.0.join("lock")).ok()?;
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            holder
        })
    }

    /// Takes the lock if nobody holds it.
    pub(crate) fn try_lock(&self) -> anyhow::Result<Lock> {
        self.create()?;
        let path = self.0.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file =
            options.open(&path).with_context(|| format!("could not open `{}`", path.display()))?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                write!(file, "{}", std::process::id())?;
                Ok(Lock::Taken(HomeLock(file)))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.rewind().and_then(|()| file.read_to_string(&mut holder));
                let named = holder.parse::<u32>().map(|pid| format!(" (process {pid})"));
                Ok(Lock::Held(named.unwrap_or_default()))
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("could not lock `{}`", path.display()))
            }
        }
    }
}

/// Creates a folder that only its owner can look into.
pub(crate) fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Whether the home is ours now.
pub(crate) enum Lock {
    /// Yes, until this is dropped.
    Taken(HomeLock),
    /// No; the text names the holder, if it could be read.
    Held(String),
}

/// Proof that no other process writes in this home.
#[derive(Debug)]
pub(crate) struct HomeLock(#[expect(dead_code, reason = "held for its lock")] File);
