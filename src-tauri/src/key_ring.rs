//! The user's provider keys. What is known of each stands in `keys.json`; the secret is in the
//! system's keychain or, only where the user says so, in `keys.secret`. Secrets are read once,
//! held in memory while Tollgate runs, and wiped from there.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use api::keys::{Checking, Key, KeyRing, NewKey, Place};
use api::problem::{Code, Problem};
use gateway::{KeyTable, StoredKey};
use meter::Timestamp;
use meter::provider::Providers;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::home::Home;
use crate::key_check::{self, BoundKey};
use crate::settings::{now, refused};

/// What the keychain files our entries under.
const SERVICE: &str = "dev.tollgate.Tollgate";

/// A keychain may open a window and wait for somebody; a call must not wait with it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest secret that is taken for one.
const LONGEST: usize = 4096;

/// What `keys.json` says of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Its name in the keychain and in `keys.secret`; tells two homes apart.
    id: String,
    provider: String,
    label: String,
    origin: String,
    is_default: bool,
    created_at: Timestamp,
    place: Place,
}

/// A key with its secret, if that could be read.
struct Held {
    entry: Entry,
    /// Or why not; empty while it is being read.
    secret: Result<Zeroizing<String>, String>,
}

/// All keys of a home.
pub(crate) struct Ring {
    home: Home,
    providers: Providers,
    held: RwLock<Vec<Held>>,
    /// Held while secrets are read, so that the keychain asks its user once.
    reading: Mutex<()>,
}

impl Ring {
    /// Those of a home. Their secrets are read by [`Ring::unlock`].
    pub(crate) fn of(home: &Home, providers: &Providers) -> Arc<Self> {
        let text = fs::read_to_string(list_path(home)).unwrap_or_else(|_| "[]".to_owned());
        let entries: Vec<Entry> = serde_json::from_str(&text).unwrap_or_else(|error| {
            tracing::error!(%error, "keys.json cannot be read: no stored key is used");
            Vec::new()
        });
        let closed = |entry| Held { entry, secret: Err(String::new()) };
        let held = RwLock::new(entries.into_iter().map(closed).collect());
        Arc::new(Self {
            home: home.clone(),
            providers: providers.clone(),
            held,
            reading: Mutex::default(),
        })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Reads every secret that is not known yet; may wait for the keychain.
    pub(crate) fn unlock(&self) {
        let _turn = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let closed: Vec<Entry> = self
            .read()
            .iter()
            .filter(|key| key.secret.is_err())
            .map(|key| key.entry.clone())
            .collect();
        for entry in closed {
            let secret = self.fetch(&entry).map_err(|error| {
                tracing::warn!(provider = %entry.provider, key = %entry.label, "a stored key cannot be read: {error:#}");
                format!("{error:#}").lines().next().unwrap_or_default().to_owned()
            });
            if let Some(key) = self.write().iter_mut().find(|key| key.entry.id == entry.id) {
                key.secret = secret;
            }
        }
    }

    /// What the gateway may put in for a pass.
    pub(crate) fn table(&self) -> KeyTable {
        let mut table = KeyTable::default();
        let held = self.read();
        // The first of a host is used.
        let (first, others): (Vec<&Held>, _) = held.iter().partition(|key| key.entry.is_default);
        for Held { entry, secret } in first.into_iter().chain(others) {
            if let Ok(secret) = secret {
                let key = StoredKey {
                    label: entry.label.as_str().into(),
                    secret: secret.clone(),
                    origin: entry.origin.as_str().into(),
                };
                table.insert(&entry.provider, key);
            }
        }
        table
    }

    /// A key with its secret and where it belongs; may wait for the keychain.
    fn bound(&self, provider: &str, label: &str) -> Result<BoundKey, Problem> {
        let is = |key: &&Held| key.entry.provider == provider && key.entry.label == label;
        if self.read().iter().find(is).is_some_and(|key| key.secret.is_err()) {
            self.unlock();
        }
        let held = self.read();
        let key = held.iter().find(is);
        let known = key.zip(self.providers.get(provider));
        let (Held { entry, secret }, provider) =
            known.ok_or_else(|| Self::no_key(provider, label))?;
        let secret = secret.as_ref().map_err(|why| {
            Problem::new(Code::Conflict, format!("the key `{label}` cannot be read: {why}"))
                .hint("Unlock the keychain, or store the key again: `tollgate keys add PROVIDER`.")
        })?;
        Ok(BoundKey {
            provider: provider.clone(),
            label: entry.label.clone(),
            origin: entry.origin.clone(),
            secret: secret.clone(),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Held>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, entry: &Entry) -> anyhow::Result<Zeroizing<String>> {
        match entry.place {
            Place::File => {
                let secret = self.secrets()?.remove(&entry.id);
                secret.context("its secret is not in `keys.secret` any more")
            }
            Place::Keychain => {
                let id = entry.id.clone();
                in_keychain(move || {
                    keyring::Entry::new(SERVICE, &id)?.get_password().map(Zeroizing::new)
                })
            }
        }
    }

    fn store(&self, entry: &Entry, secret: &Zeroizing<String>) -> anyhow::Result<()> {
        match entry.place {
            Place::File => {
                let mut secrets = self.secrets()?;
                secrets.insert(entry.id.clone(), secret.clone());
                self.keep_secrets(&secrets)
            }
            Place::Keychain => {
                let (id, secret) = (entry.id.clone(), secret.clone());
                in_keychain(move || keyring::Entry::new(SERVICE, &id)?.set_password(&secret))
            }
        }
    }

    fn forget(&self, entry: &Entry) -> anyhow::Result<()> {
        match entry.place {
            Place::File => {
                let mut secrets = self.secrets()?;
                secrets.remove(&entry.id);
                self.keep_secrets(&secrets)
            }
            Place::Keychain => {
                let id = entry.id.clone();
                in_keychain(move || match keyring::Entry::new(SERVICE, &id)?.delete_credential() {
                    Err(keyring::Error::NoEntry) => Ok(()),
                    done => done,
                })
            }
        }
    }

    fn secrets(&self) -> anyhow::Result<BTreeMap<String, Zeroizing<String>>> {
        let text = match fs::read(secret_path(&self.home)) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(BTreeMap::new());
            }
            Err(error) => return Err(error).context("`keys.secret` cannot be read"),
        };
        // What is wrong with it is not said by quoting it.
        let secrets: BTreeMap<String, String> =
            serde_json::from_slice(&text).map_err(|_| anyhow!("`keys.secret` is damaged"))?;
        Ok(secrets.into_iter().map(|(id, secret)| (id, Zeroizing::new(secret))).collect())
    }

    fn keep_secrets(&self, secrets: &BTreeMap<String, Zeroizing<String>>) -> anyhow::Result<()> {
        let plain: BTreeMap<&str, &str> =
            secrets.iter().map(|(id, secret)| (id.as_str(), secret.as_str())).collect();
        let bytes = Zeroizing::new(serde_json::to_vec(&plain)?);
        replace(&self.home, secret_path(&self.home), &bytes)
    }

    fn keep_list(&self, held: &[Held]) -> anyhow::Result<()> {
        let entries: Vec<&Entry> = held.iter().map(|key| &key.entry).collect();
        replace(&self.home, list_path(&self.home), &serde_json::to_vec_pretty(&entries)?)
    }

    fn entry(&self, new: &NewKey) -> anyhow::Result<Entry> {
        let provider = self.providers.get(&new.provider).with_context(|| {
            let shown: String = new.provider.chars().take(60).collect();
            format!("there is no provider `{shown}`\nhint: the id stands in front of the path, such as `openai`")
        })?;
        let label = new.label.as_deref().unwrap_or("default");
        let is_label = !label.is_empty()
            && label.len() <= 60
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !is_label {
            bail!(
                "a label cannot look like that\nhint: use up to 60 letters, digits, `.`, `_` and `-`"
            );
        }
        let base = provider.base_url.as_deref().with_context(|| {
            format!("{} has no address yet\nhint: set its `base_url` in config.toml first; a key is shown to one origin only", provider.name)
        })?;
        let base: http::Uri = base.parse().context("its base_url is no address")?;
        let (Some(scheme), Some(authority)) = (base.scheme_str(), base.authority()) else {
            bail!("its base_url is no address");
        };
        let held = self.read();
        let of_provider = || held.iter().filter(|key| key.entry.provider == new.provider);
        let known = of_provider().find(|key| key.entry.label == label);
        let id = match known {
            Some(key) => key.entry.id.clone(),
            None => format!("{:016x}", getrandom::u64().context("no randomness")?),
        };
        Ok(Entry {
            id,
            provider: new.provider.clone(),
            label: label.to_owned(),
            origin: format!("{scheme}://{authority}"),
            is_default: new.use_it || !of_provider().any(|key| key.entry.label != label),
            created_at: now(),
            place: new.place.unwrap_or(Place::Keychain),
        })
    }

    fn add_key(&self, new: &NewKey, secret: Zeroizing<String>) -> anyhow::Result<Key> {
        let secret = Zeroizing::new(secret.trim().to_owned());
        let is_secret = !secret.is_empty()
            && secret.len() <= LONGEST
            && secret.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_secret {
            bail!(
                "that is no key\nhint: a key is one line of letters, digits and signs, without spaces"
            );
        }
        let entry = self.entry(new)?;
        self.store(&entry, &secret).with_context(|| match entry.place {
            Place::Keychain => "the keychain did not take the key\nhint: unlock it, or keep the key in a file that only you can read: `tollgate keys add --store file`",
            Place::File => "`keys.secret` could not be written",
        })?;
        let mut held = self.write();
        // A key that moved from one place to the other is taken out of the first.
        let before = held.iter().position(|key| key.entry.id == entry.id);
        if let Some(old) = before.map(|at| held.remove(at))
            && old.entry.place != entry.place
            && let Err(error) = self.forget(&old.entry)
        {
            tracing::warn!("the old secret could not be removed: {error:#}");
        }
        if entry.is_default {
            for key in held.iter_mut().filter(|key| key.entry.provider == entry.provider) {
                key.entry.is_default = false;
            }
        }
        held.push(Held { entry: entry.clone(), secret: Ok(secret) });
        self.keep_list(&held)?;
        Ok(told(&Held { entry, secret: Ok(Zeroizing::default()) }))
    }

    fn no_key(provider: &str, label: &str) -> Problem {
        let shown = |text: &str| text.chars().take(60).collect::<String>();
        let said = format!("there is no {} key `{}`", shown(provider), shown(label));
        Problem::new(Code::NotFound, said).hint("`tollgate keys` lists them.")
    }
}

impl KeyRing for Ring {
    fn keys(&self) -> Vec<Key> {
        self.read().iter().map(told).collect()
    }

    fn add(&self, new: &NewKey, secret: Zeroizing<String>) -> Result<Key, Problem> {
        self.add_key(new, secret).map_err(|error| refused(&error))
    }

    fn choose(&self, provider: &str, label: &str) -> Result<(), Problem> {
        let mut held = self.write();
        let is = |key: &Held| key.entry.provider == provider && key.entry.label == label;
        if !held.iter().any(is) {
            return Err(Self::no_key(provider, label));
        }
        for key in held.iter_mut().filter(|key| key.entry.provider == provider) {
            key.entry.is_default = key.entry.label == label;
        }
        self.keep_list(&held).map_err(|error| refused(&error))
    }

    fn remove(&self, provider: &str, label: &str) -> Result<(), Problem> {
        let is = |key: &Held| key.entry.provider == provider && key.entry.label == label;
        let entry = self.read().iter().find(|key| is(key)).map(|key| key.entry.clone());
        let entry = entry.ok_or_else(|| Self::no_key(provider, label))?;
        self.forget(&entry).map_err(|error| refused(&error))?;
        let mut held = self.write();
        held.retain(|key| !is(key));
        // The next one is used from then on, and is said to be.
        let next = held.iter_mut().find(|key| key.entry.provider == provider);
        if let Some(next) = next.filter(|_| entry.is_default) {
            next.entry.is_default = true;
        }
        self.keep_list(&held).map_err(|error| refused(&error))
    }

    fn check(self: Arc<Self>, provider: &str, label: &str) -> Checking {
        let (provider, label) = (provider.to_owned(), label.to_owned());
        Box::pin(async move {
            let bound = tokio::task::spawn_blocking(move || self.bound(&provider, &label)).await;
            let stumbled = |_| Problem::new(Code::Internal, "the key could not be looked up");
            key_check::ask(&bound.map_err(stumbled)??).await
        })
    }
}

fn told(Held { entry, secret }: &Held) -> Key {
    Key {
        provider: entry.provider.clone(),
        label: entry.label.clone(),
        origin: entry.origin.clone(),
        is_default: entry.is_default,
        created_at: entry.created_at,
        place: entry.place,
        problem: secret.as_ref().err().filter(|why| !why.is_empty()).cloned(),
    }
}

/// Asks the keychain on a thread of its own, so that nobody waits for it for ever.
fn in_keychain<T: Send + 'static>(
    act: impl FnOnce() -> keyring::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (answer, answered) = mpsc::channel();
    std::thread::Builder::new().name("keychain".into()).spawn(move || {
        // Nobody waits any more if it took too long.
        let _ = answer.send(act());
    })?;
    let done = answered
        .recv_timeout(PATIENCE)
        .map_err(|_| anyhow!("the keychain did not answer within {} s", PATIENCE.as_secs()))?;
    done.map_err(|error| match error {
        keyring::Error::NoEntry => anyhow!("the keychain does not know it any more"),
        keyring::Error::NoStorageAccess(_) => anyhow!("the keychain is locked or not there"),
        other => anyhow!("the keychain says: {other}"),
    })
}

fn list_path(home: &Home) -> PathBuf {
    home.path().join("keys.json")
}

fn secret_path(home: &Home) -> PathBuf {
    home.path().join("keys.secret")
}

/// Replaces a file of the home whole; only the user can read it.
fn replace(home: &Home, path: PathBuf, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(home.path())?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&path).with_context(|| format!("could not replace `{}`", path.display()))?;
    Ok(())
}
