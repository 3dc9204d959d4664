//! The price book: which files it has, opened when they are first needed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use super::file::{self, ALWAYS, Also, BookError, File, Ids, ModelText, Names, Shared};
use super::naming;
use super::overrides::Overrides;
use super::record::{Model, Problem};
use crate::money::Currency;
use crate::time::Timestamp;
use crate::usage::Factor;

/// The hash of all files, their day and the files: made by the build script from `prices/`.
const BUILT_IN: (&str, &str, &[(&str, &str)]) =
    include!(concat!(env!("OUT_DIR"), "/price_files.rs"));

/// Which issue of the book it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edition {
    /// When the lists were last compared with their sources; what changed later is not in it.
    pub made_at: Timestamp,
    /// The number of the bundle it came in; absent: compiled into the program.
    pub sequence: Option<u64>,
}

/// A price book: every rate of every model from every instant.
///
/// A file is read when its provider is first asked for, so a program that prices nothing
/// pays nothing.
pub struct Book {
    hash: Box<str>,
    edition: Edition,
    shelves: BTreeMap<Box<str>, Shelf>,
    pub(super) overrides: Overrides,
}

/// One provider's file.
struct Shelf {
    text: Cow<'static, str>,
    open: OnceLock<Option<Prices>>,
}

/// One provider's prices.
#[derive(Debug)]
pub(super) struct Prices {
    pub(super) currency: Currency,
    hosts: Vec<Box<str>>,
    pub(super) other_prices_at: Vec<Box<str>>,
    maker: bool,
    pub(super) user_named: bool,
    pub(super) request_decides: bool,
    pub(super) sums_rounds: bool,
    pub(super) tier_names: BTreeMap<Box<str>, Box<str>>,
    pub(super) billed_as: BTreeMap<Factor, Factor>,
    pub(super) names: Names,
    also: Vec<Also>,
    text: Cow<'static, str>,
    shared: Shared,
    models: Vec<Record>,
    by_id: HashMap<Box<str>, usize>,
}

/// One model: where it stands in the file, and what it says once somebody asked.
#[derive(Debug)]
struct Record {
    at: Range<usize>,
    open: OnceLock<Option<Model>>,
}

/// A model, the book it stands in, and which tiers besides `standard` may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) model: &'a Model,
    pub(super) prices: &'a Prices,
    /// Absent: all of them.
    pub(super) tiers: Option<&'a [Box<str>]>,
}

impl Book {
    /// The book compiled into the program.
    pub fn built_in() -> &'static Self {
        static BOOK: LazyLock<Book> = LazyLock::new(Book::default);
        &BOOK
    }

    /// How many bytes of the program the built-in book takes.
    pub fn built_in_size() -> usize {
        BUILT_IN.2.iter().map(|(id, text)| id.len() + text.len()).sum()
    }

    /// A book from files, by provider id, all of them checked. `hash` identifies it on receipts.
    pub fn read<'f>(
        hash: &str,
        files: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<Self, BookError> {
        let owned = |(id, text): (_, &str)| (id, Cow::Owned(text.to_owned()));
        let book = Self::closed(hash, files.into_iter().map(owned));
        for (id, shelf) in &book.shelves {
            let prices = Prices::read(id, shelf.text.clone())?;
            prices.check(id)?;
            shelf.open.get_or_init(|| Some(prices));
        }
        Ok(book)
    }

    /// Reads everything there is, for those who would rather know now than price nothing later.
    pub fn check(&self) -> Result<(), BookError> {
        for (id, shelf) in &self.shelves {
            Prices::read(id, shelf.text.clone())?.check(id)?;
        }
        Ok(())
    }

    /// A book whose files are read when they are needed.
    pub(super) fn closed<'f>(
        hash: &str,
        files: impl Iterator<Item = (&'f str, Cow<'static, str>)>,
    ) -> Self {
        let shelf = |text| Shelf { text, open: OnceLock::new() };
        let shelves = files.map(|(id, text)| (id.into(), shelf(text))).collect();
        let edition = Edition { made_at: ALWAYS, sequence: None };
        Self { hash: hash.into(), edition, shelves, overrides: Overrides::default() }
    }

    /// The same as another issue.
    #[must_use]
    pub(super) fn of_edition(self, edition: Edition) -> Self {
        Self { edition, ..self }
    }

    /// The same with the user's own prices before it, and their hash behind its own.
    #[must_use]
    pub fn with(mut self, overrides: Overrides) -> Self {
        for (id, currency) in overrides.providers() {
            let currency = currency.unwrap_or_default();
            let empty = || {
                let head = serde_json::json!({"provider": id, "currency": currency, "models": []});
                Shelf { text: Cow::Owned(head.to_string()), open: OnceLock::new() }
            };
            self.shelves.entry(id.into()).or_insert_with(empty);
        }
        self.hash = format!("{}+{}", self.hash, overrides.hash()).into();
        self.overrides = overrides;
        self
    }

    /// What identifies this book on a receipt.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Which issue it is.
    pub fn edition(&self) -> Edition {
        self.edition
    }

    /// The user's own prices in it.
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The files as written, by provider.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.shelves.iter().map(|(id, shelf)| (&**id, &*shelf.text))
    }

    /// The providers that have a file, by id.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.shelves.keys().map(|id| &**id)
    }

    /// The ids under which a provider's models are priced, each with its aliases, in order.
    pub fn models(&self, provider: &str) -> Vec<&str> {
        let mut ids: Vec<&str> = match self.prices(provider) {
            Some(prices) => prices.by_id.keys().map(|id| &**id).collect(),
            None => Vec::new(),
        };
        ids.sort_unstable();
        ids
    }

    /// The provider that a host belongs to, for providers known to the book alone.
    pub fn provider_at(&self, host: &str) -> Option<&str> {
        let owns = |id: &&str| {
            self.prices(id).is_some_and(|prices| prices.hosts.iter().any(|h| is_at(h, host)))
        };
        self.providers().find(owns)
    }

    /// The one maker that has a record for this id, if exactly one has.
    pub fn maker_of(&self, model: &str) -> Option<&str> {
        let makes = |id: &&str| {
            self.prices(id).is_some_and(|own| own.maker && own.find(&own.names, model).is_some())
        };
        let mut makers = self.providers().filter(makes);
        makers.next().filter(|_| makers.next().is_none())
    }

    pub(super) fn prices(&self, provider: &str) -> Option<&Prices> {
        let shelf = self.shelves.get(provider)?;
        // A file that cannot be read prices nothing. A test reads every built-in one.
        shelf.open.get_or_init(|| Prices::read(provider, shelf.text.clone()).ok()).as_ref()
    }

    /// The record for an id on the wire, in the provider's own book or one it defers to.
    pub(super) fn find(&self, provider: &str, id: &str) -> Option<Found<'_>> {
        let own = self.prices(provider)?;
        if let Some(model) = own.find(&own.names, id) {
            return Some(Found { model, prices: own, tiers: None });
        }
        own.also.iter().find_map(|also| {
            let prices = self.prices(&also.book)?;
            let model = prices.find(&own.names, id)?;
            Some(Found { model, prices, tiers: Some(&also.tiers) })
        })
    }
}

impl Default for Book {
    /// The same prices as [`Book::built_in`], in a book of its own.
    fn default() -> Self {
        let (hash, day, files) = BUILT_IN;
        // A day that cannot be read is the oldest there is. A test reads it.
        let made_at = file::instant(Some(day), ALWAYS).unwrap_or(ALWAYS);
        Self::closed(hash, files.iter().map(|(id, text)| (*id, Cow::Borrowed(*text))))
            .of_edition(Edition { made_at, sequence: None })
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// Whether `known` is this host: exactly, or as `.suffix` or `-suffix`; in any case.
pub(super) fn is_at(known: &str, host: &str) -> bool {
    if !known.starts_with(['.', '-']) {
        return known.eq_ignore_ascii_case(host);
    }
    let at = host.len().checked_sub(known.len()).filter(|at| *at > 0);
    at.and_then(|at| host.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(known))
}

impl Prices {
    /// Reads the head and the ids; the models themselves wait until they are asked for.
    fn read(provider: &str, text: Cow<'static, str>) -> Result<Self, BookError> {
        let file: File<'_> = serde_json::from_str(&text).map_err(|e| unreadable(provider, &e))?;
        if *file.provider != *provider {
            return Err(bad(provider, "", Problem::Undefined(file.provider)));
        }
        let mut models = Vec::with_capacity(file.models.len());
        let mut by_id = HashMap::with_capacity(2 * file.models.len());
        for raw in &file.models {
            let ids: Ids<'_> =
                serde_json::from_str(raw.get()).map_err(|e| unreadable(provider, &e))?;
            for id in std::iter::once(&ids.id).chain(&ids.aliases) {
                if by_id.insert(id.to_ascii_lowercase().into(), models.len()).is_some() {
                    return Err(bad(provider, &ids.id, Problem::DoubleId((&**id).into())));
                }
            }
            let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
            models.push(Record { at: start..start + raw.get().len(), open: OnceLock::new() });
        }
        Ok(Self {
            currency: file.currency,
            hosts: file.hosts,
            other_prices_at: file.other_prices_at,
            maker: file.maker,
            user_named: file.user_named,
            request_decides: file.request_decides,
            sums_rounds: file.sums_rounds,
            tier_names: file.tier_names,
            billed_as: file.billed_as,
            names: file.names,
            also: file.also,
            shared: Shared { multipliers: file.multipliers, holidays: file.holidays },
            text,
            models,
            by_id,
        })
    }

    fn check(&self, provider: &str) -> Result<(), BookError> {
        for record in &self.models {
            let text = &self.text[record.at.clone()];
            let model: ModelText =
                serde_json::from_str(text).map_err(|error| unreadable(provider, &error))?;
            model.read(&self.shared).map_err(|problem| bad(provider, &model.id, problem))?;
        }
        Ok(())
    }

    fn find(&self, names: &Names, id: &str) -> Option<&Model> {
        let at = naming::find(names, id, |id| self.by_id.get(id).copied())?;
        let record = &self.models[at];
        // A record that cannot be read prices nothing. A test reads every built-in one.
        let read = || {
            let text: ModelText = serde_json::from_str(&self.text[record.at.clone()]).ok()?;
            text.read(&self.shared).ok()
        };
        record.open.get_or_init(read).as_ref()
    }
}

fn unreadable(provider: &str, error: &serde_json::Error) -> BookError {
    BookError::Unreadable { file: provider.into(), reason: error.to_string().into() }
}

fn bad(provider: &str, model: &str, problem: Problem) -> BookError {
    BookError::BadRecord { file: provider.into(), model: model.into(), problem }
}
