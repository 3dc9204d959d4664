//! Texts that repeat, kept once and referred to by number.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use meter::usage::Factor;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql};

use crate::pack::{Spell, Unpack, UnpackError, Unspell, put};

/// The row of a name. Zero stands for no name at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameId(i64);

impl NameId {
    pub(crate) const ABSENT: Self = Self(0);

    /// The row's number.
    pub(crate) const fn number(self) -> i64 {
        self.0
    }

    /// The name in a row.
    pub(crate) const fn of(number: i64) -> Self {
        Self(number)
    }
}

impl ToSql for NameId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for NameId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

/// Something by the number of its row. Adding up a year asks for a million, and numbers that
/// SQLite counted need no protection from those who would choose them.
pub(crate) type ByRow<K, V> = HashMap<K, V, BuildHasherDefault<RowHasher>>;

/// Spreads small numbers over all bits.
#[derive(Default)]
pub(crate) struct RowHasher(u64);

impl Hasher for RowHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(crate) const FIND: &str = "SELECT id FROM name WHERE text = ?1";
const ADD: &str = "INSERT INTO name (text) VALUES (?1)";
pub(crate) const READ: &str = "SELECT text FROM name WHERE id = ?1";

/// Clients choose some of the texts (tags, models), so a cache of them needs an end.
const MOST_CACHED: usize = 20_000;

/// Factors that are looked for one by one.
const MOST_FACTORS: usize = 64;

/// Gives numbers to texts; the writer has the only one.
#[derive(Default)]
pub(crate) struct Names {
    known: HashMap<Box<str>, NameId>,
}

impl Names {
    pub(crate) fn intern(&mut self, db: &Connection, text: &str) -> rusqlite::Result<NameId> {
        if let Some(id) = self.known.get(text) {
            return Ok(*id);
        }
        let id = match find(db, text)? {
            Some(id) => id,
            None => NameId(db.prepare_cached(ADD)?.insert([text])?),
        };
        if self.known.len() >= MOST_CACHED {
            self.known.clear();
        }
        self.known.insert(text.into(), id);
        Ok(id)
    }

    /// Forgets what a transaction that was rolled back may have added.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }
}

/// The number of a text, if it has one.
pub(crate) fn find(db: &Connection, text: &str) -> rusqlite::Result<Option<NameId>> {
    db.prepare_cached(FIND)?.query_row([text], |row| row.get(0)).optional()
}

/// Spells texts by number while a transaction is open.
pub(crate) struct Interning<'a> {
    pub(crate) names: &'a mut Names,
    pub(crate) db: &'a Connection,
}

impl Spell for Interning<'_> {
    type Error = rusqlite::Error;
    const SHARES: bool = true;

    fn spell(&mut self, out: &mut Vec<u8>, text: &str) -> rusqlite::Result<()> {
        let NameId(id) = self.names.intern(self.db, text)?;
        put(out, id.unsigned_abs());
        Ok(())
    }
}

/// Reads texts back by number.
#[derive(Default)]
pub(crate) struct Glossary {
    texts: RefCell<ByRow<NameId, Box<str>>>,
    /// Those of them that name a factor; there are few, and rollups name one very often.
    factors: RefCell<Vec<(NameId, Factor)>>,
}

impl Glossary {
    /// The text of a name; none for [`NameId::ABSENT`].
    pub(crate) fn text(
        &self,
        db: &Connection,
        id: NameId,
    ) -> Result<Option<Box<str>>, UnpackError> {
        if id == NameId::ABSENT {
            return Ok(None);
        }
        if let Some(text) = self.texts.borrow().get(&id) {
            return Ok(Some(text.clone()));
        }
        let text: Option<Box<str>> =
            db.prepare_cached(READ)?.query_row([id], |row| row.get(0)).optional()?;
        let text = text.ok_or(UnpackError::Damaged)?;
        let mut texts = self.texts.borrow_mut();
        if texts.len() >= MOST_CACHED {
            texts.clear();
        }
        texts.insert(id, text.clone());
        Ok(Some(text))
    }
}

/// A glossary with the connection it reads from.
pub(crate) struct Reading<'a> {
    pub(crate) glossary: &'a Glossary,
    pub(crate) db: &'a Connection,
}

impl Unspell for Reading<'_> {
    fn unspell(&self, input: &mut Unpack<'_>) -> Result<Box<str>, UnpackError> {
        let id = NameId(input.take()?);
        self.glossary.text(self.db, id)?.ok_or(UnpackError::Damaged)
    }

    fn factor(&self, input: &mut Unpack<'_>) -> Result<Factor, UnpackError> {
        let id = NameId(input.take()?);
        if let Some((_, factor)) = self.glossary.factors.borrow().iter().find(|known| known.0 == id)
        {
            return Ok(factor.clone());
        }
        let text = self.glossary.text(self.db, id)?.ok_or(UnpackError::Damaged)?;
        let factor: Factor = text.parse().map_err(|_| UnpackError::Damaged)?;
        let mut factors = self.glossary.factors.borrow_mut();
        if factors.len() < MOST_FACTORS {
            factors.push((id, factor.clone()));
        }
        Ok(factor)
    }
}
