//! Passes: local access secrets. The ledger keeps a hash of each and what it may do; the
//! secret itself is seen once, by whoever asked for it.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use meter::{Allowance, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::alias::{self, Aliases, Sort};
use crate::books::Books;
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::names;
use crate::questions::Questions;

/// What a pass lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Call models with the stored keys.
    Call,
    /// Read receipts and figures.
    UsageRead,
    /// Change anything.
    Manage,
}

impl Scope {
    /// Every scope.
    pub const ALL: &'static [Self] = &[Self::Call, Self::UsageRead, Self::Manage];

    /// The word used in JSON, CLI and UI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::UsageRead => "usage:read",
            Self::Manage => "manage",
        }
    }

    /// Its bit on disk.
    const fn bit(self) -> i64 {
        match self {
            Self::Call => 1,
            Self::UsageRead => 2,
            Self::Manage => 4,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = meter::receipt::UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().copied().find(|scope| scope.as_str() == text);
        known.ok_or(meter::receipt::UnknownWord)
    }
}

/// What is known about a pass; never its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Its row.
    pub id: i64,
    /// Its name on receipts; no other pass ever had it.
    pub label: Box<str>,
    /// What its calls are counted in.
    pub workspace: Box<str>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// What it may be used for.
    pub allowance: Allowance,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a call last showed it, to the minute.
    pub last_used: Option<Timestamp>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
}

impl Pass {
    /// Whether it opens anything at this instant.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|end| now < end)
    }
}

/// A pass to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPass {
    /// Its name on receipts.
    pub label: Box<str>,
    /// What its calls are counted in.
    pub workspace: Box<str>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// What it may be used for.
    pub allowance: Allowance,
    /// When it ends, if ever.
    pub expires: Option<Timestamp>,
}

/// What can be changed about a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassTerms {
    /// Its name, also on the receipts it left.
    pub label: Box<str>,
    /// What its calls are counted in.
    pub workspace: Box<str>,
    /// What it may be used for.
    pub allowance: Allowance,
    /// When it ends, if ever.
    pub expires: Option<Timestamp>,
}

/// The secret of a new pass. Wiped from memory when dropped, never shown by `Debug`.
pub struct PassSecret(Zeroizing<String>);

impl PassSecret {
    /// The secret itself, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `tg_` and forty characters of thirty-two: 200 bits.
    fn random() -> Result<Self, StoreError> {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut bytes = Zeroizing::new([0_u8; 40]);
        getrandom::fill(&mut *bytes).map_err(StoreError::NoRandomness)?;
        let mut secret = Zeroizing::new(String::with_capacity(43));
        secret.push_str("tg_");
        secret.extend(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])));
        bytes.zeroize();
        Ok(Self(secret))
    }
}

impl fmt::Debug for PassSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

type Hash = [u8; 32];

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret).into()
}

/// All passes, to look one up by the secret a caller shows.
#[derive(Clone, Debug, Default)]
pub struct PassBook {
    by_hash: HashMap<Hash, Pass>,
}

impl PassBook {
    /// The pass with this secret, if it is valid at this instant. Looked up by hash, so the
    /// time it takes tells nothing about any secret.
    pub fn find(&self, secret: &str, now: Timestamp) -> Option<&Pass> {
        self.by_hash.get(&hash(secret)).filter(|pass| pass.is_valid(now))
    }

    /// Every pass with the SHA-256 of its secret.
    pub fn iter(&self) -> impl Iterator<Item = ([u8; 32], &Pass)> {
        self.by_hash.iter().map(|(hash, pass)| (*hash, pass))
    }
}

const ADD: &str = "INSERT INTO pass (label, workspace, scopes, hash, created_at, expires)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const FIND: &str = "SELECT id, revoked FROM pass WHERE label = ?1";
const CHANGE: &str = "UPDATE pass SET label = ?2, workspace = ?3, expires = ?4 WHERE id = ?1";
const LIMITS: &str = "SELECT pass, sort, text FROM pass_limit ORDER BY pass, sort, text";
const LIMIT: &str = "INSERT OR IGNORE INTO pass_limit (pass, sort, text) VALUES (?1, ?2, ?3)";
const LIFT_LIMITS: &str = "DELETE FROM pass_limit WHERE pass = ?1";
/// The sorts of limits.
const PROVIDER: i64 = 0;
const MODEL: i64 = 1;
const REVOKE: &str = "UPDATE pass SET revoked = coalesce(revoked, ?2) WHERE label = ?1";
const LIST: &str = "SELECT id, label, workspace, scopes, created_at, last_used, expires,
        revoked, hash
    FROM pass ORDER BY id";

impl Ledger {
    /// Makes a pass. Its secret cannot be had again.
    pub fn add_pass(&self, new: NewPass, now: Timestamp) -> Result<(Pass, PassSecret), StoreError> {
        let secret = PassSecret::random()?;
        let hash = hash(secret.expose());
        let pass = self.write(move |books| add(books, new, hash, now))?;
        Ok((pass, secret))
    }

    /// Changes a pass. Its secret stays; what runs under it goes on as it began.
    pub fn change_pass(&self, label: &str, terms: PassTerms) -> Result<Pass, StoreError> {
        let label: Box<str> = label.into();
        self.write(move |books| change(books, label, terms))
    }

    /// Takes a pass back, for good. Its label stays on the receipts it left.
    pub fn revoke_pass(&self, label: &str, now: Timestamp) -> Result<(), StoreError> {
        let label: Box<str> = label.into();
        self.write(move |books| match books.db.execute(REVOKE, params![label, now.millis()])? {
            0 => Err(StoreError::NoSuchPass { label }),
            _ => Ok(()),
        })
    }

    /// Every pass ever made, oldest first.
    pub fn passes(&self) -> Result<Vec<Pass>, StoreError> {
        self.write(|books| Ok(list(&books.db)?.into_iter().map(|(pass, _)| pass).collect()))
    }

    /// Every pass, by secret.
    pub fn pass_book(&self) -> Result<PassBook, StoreError> {
        self.write(|books| book(&books.db))
    }
}

impl Questions {
    /// Every pass ever made, oldest first.
    pub fn passes(&self) -> Result<Vec<Pass>, StoreError> {
        Ok(list(&self.db)?.into_iter().map(|(pass, _)| pass).collect())
    }

    /// Every pass, by secret.
    pub fn pass_book(&self) -> Result<PassBook, StoreError> {
        book(&self.db)
    }
}

fn add(books: &mut Books, new: NewPass, hash: Hash, now: Timestamp) -> Result<Pass, StoreError> {
    let NewPass { label, workspace, scopes, allowance, expires } = new;
    if is_taken(books, &label, None)? {
        return Err(StoreError::PassExists { label });
    }
    let workspace = todays(books, workspace)?;
    let bits = scopes.iter().fold(0, |bits, scope| bits | scope.bit());
    let id = books.db.prepare(ADD)?.insert(params![
        label,
        workspace,
        bits,
        hash,
        now.millis(),
        expires.map(Timestamp::millis)
    ])?;
    limit(books, id, &allowance)?;
    find(books, label)
}

fn change(books: &mut Books, label: Box<str>, terms: PassTerms) -> Result<Pass, StoreError> {
    let found = books.db.prepare(FIND)?.query_row([&label], |row| Ok((row.get(0)?, row.get(1)?)));
    let (id, revoked): (i64, Option<i64>) = match found.optional()? {
        Some(found) => found,
        None => return Err(StoreError::NoSuchPass { label }),
    };
    if revoked.is_some() {
        return Err(StoreError::PassRevoked { label });
    }
    if is_taken(books, &terms.label, Some(&label))? {
        return Err(StoreError::PassExists { label: terms.label });
    }
    let workspace = todays(books, terms.workspace)?;
    let expires = terms.expires.map(Timestamp::millis);
    books.db.execute(CHANGE, params![id, terms.label, workspace, expires])?;
    if terms.label != label {
        let from = books.names.intern(&books.db, &label)?;
        let to = books.names.intern(&books.db, &terms.label)?;
        alias::lead(&books.db, Sort::Pass, from, to)?;
    }
    books.db.execute(LIFT_LIMITS, [id])?;
    limit(books, id, &terms.allowance)?;
    find(books, terms.label)
}

/// Whether another pass than `but` has this label, or ever had it.
fn is_taken(books: &Books, label: &str, but: Option<&str>) -> Result<bool, StoreError> {
    if Some(label) != but && books.db.prepare(FIND)?.exists([label])? {
        return Ok(true);
    }
    let Some(name) = names::find(&books.db, label)? else { return Ok(false) };
    let now = Aliases::read(&books.db)?.now(Sort::Pass, name);
    if now == name {
        return Ok(false);
    }
    Ok(books.glossary.text(&books.db, now)?.as_deref() != but)
}

/// A workspace by the name it has now.
fn todays(books: &Books, workspace: Box<str>) -> Result<Box<str>, StoreError> {
    let Some(name) = names::find(&books.db, &workspace)? else { return Ok(workspace) };
    let now = Aliases::read(&books.db)?.now(Sort::Workspace, name);
    Ok(books.glossary.text(&books.db, now)?.unwrap_or(workspace))
}

fn limit(books: &Books, id: i64, allowance: &Allowance) -> rusqlite::Result<()> {
    let mut add = books.db.prepare(LIMIT)?;
    for provider in &allowance.providers {
        add.execute(params![id, PROVIDER, provider])?;
    }
    for model in &allowance.models {
        add.execute(params![id, MODEL, model.as_str()])?;
    }
    Ok(())
}

fn find(books: &Books, label: Box<str>) -> Result<Pass, StoreError> {
    let found = list(&books.db)?.into_iter().find(|(pass, _)| pass.label == label);
    found.map(|(pass, _)| pass).ok_or(StoreError::NoSuchPass { label })
}

fn of_bits(bits: i64) -> Vec<Scope> {
    Scope::ALL.iter().copied().filter(|scope| bits & scope.bit() != 0).collect()
}

fn book(db: &Connection) -> Result<PassBook, StoreError> {
    let by_hash = list(db)?.into_iter().map(|(pass, hash)| (hash, pass)).collect();
    Ok(PassBook { by_hash })
}

fn list(db: &Connection) -> Result<Vec<(Pass, Hash)>, StoreError> {
    let mut passes: Vec<(Pass, Hash)> =
        db.prepare(LIST)?.query_map([], read)?.collect::<Result<_, _>>()?;
    let mut limits = db.prepare(LIMITS)?;
    let mut limits = limits.query([])?;
    while let Some(row) = limits.next()? {
        let (id, text): (i64, String) = (row.get(0)?, row.get(2)?);
        let Some((pass, _)) = passes.iter_mut().find(|(pass, _)| pass.id == id) else { continue };
        match row.get(1)? {
            PROVIDER => pass.allowance.providers.push(text.into()),
            // A limit that cannot be read must not fall away: then nothing could be told.
            MODEL => pass.allowance.models.push(text.parse().map_err(|_| StoreError::Damaged)?),
            _ => return Err(StoreError::Damaged),
        }
    }
    Ok(passes)
}

fn read(row: &Row<'_>) -> rusqlite::Result<(Pass, Hash)> {
    let instant = |at: Option<i64>| at.map(Timestamp::from_millis);
    let pass = Pass {
        id: row.get(0)?,
        label: row.get(1)?,
        workspace: row.get(2)?,
        scopes: of_bits(row.get(3)?),
        allowance: Allowance::default(),
        created_at: Timestamp::from_millis(row.get(4)?),
        last_used: instant(row.get(5)?),
        expires: instant(row.get(6)?),
        revoked: instant(row.get(7)?),
    };
    Ok((pass, row.get(8)?))
}
