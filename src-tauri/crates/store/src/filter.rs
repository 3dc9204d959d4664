//! Which receipts a question is about.

use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;

use meter::receipt::{Capability, Kind, Status, Technology};
use meter::{ReceiptId, Timestamp};
use rusqlite::Connection;

use crate::alias::{Aliases, Sort};
use crate::lane::{Lane, LaneId};
use crate::names::{self, NameId};
use crate::receipt_row::Lanes;

/// Which receipts a question is about: those that match every part. A list matches when one
/// of its members does, and when it is empty. The default is everything but the demo's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this instant on. A receipt's instant is the one its id was minted at.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub to: Option<Timestamp>,
    /// The model served or, where that is unknown, the one requested.
    pub models: Vec<String>,
    /// Who was paid.
    pub providers: Vec<String>,
    /// Labels of stored keys.
    pub keys: Vec<String>,
    /// Labels of passes.
    pub passes: Vec<String>,
    /// Workspaces.
    pub workspaces: Vec<String>,
    /// Calling programs.
    pub clients: Vec<String>,
    /// How it ended.
    pub statuses: Vec<StatusFilter>,
    /// What sort of call.
    pub kinds: Vec<Kind>,
    /// What sort of model served it.
    pub technologies: Vec<Technology>,
    /// What it exercised; one of these is enough.
    pub capabilities: Vec<Capability>,
    /// Whether the answer was a stream.
    pub stream: Option<bool>,
    /// These receipts only.
    pub ids: Vec<ReceiptId>,
    /// Name and value; a receipt must have all of them.
    pub tags: Vec<(String, String)>,
    /// Whether the demonstration counts.
    pub demo: Demo,
}

/// How a request ended, as a person says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusFilter {
    /// By word, settlements counted in: a job that succeeded later did succeed.
    Word(Status),
    /// By HTTP status: 429.
    Code(u16),
    /// By the first digit of the HTTP status: 4 for `4xx`.
    Class(u8),
}

impl fmt::Display for StatusFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(status) => status.fmt(f),
            Self::Code(code) => code.fmt(f),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

/// What to do with the demonstration's receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Demo {
    /// Leave them out.
    #[default]
    Without,
    /// Count them like others.
    With,
    /// Nothing else.
    Only,
}

/// A filter in the ledger's own terms: lanes, a range of rows, and what only receipts tell.
pub(crate) struct Selection {
    pub(crate) lanes: Rc<HashSet<LaneId>>,
    /// First ordinal.
    pub(crate) from: i64,
    /// First ordinal after.
    pub(crate) to: i64,
    /// Absent: no such tag exists, so nothing matches.
    pub(crate) tags: Option<Vec<(NameId, NameId)>>,
    pub(crate) ids: Vec<ReceiptId>,
    /// Lanes were chosen by what calls exercised.
    pub(crate) by_use: bool,
    /// Of each road all lanes were chosen, or none.
    pub(crate) by_road: bool,
}

impl Selection {
    pub(crate) fn of(filter: &Filter, db: &Connection, lanes: &Lanes) -> rusqlite::Result<Self> {
        let names = |texts: &[String]| Wanted::of(texts, db);
        let wanted = LaneFilter {
            models: names(&filter.models)?,
            providers: names(&filter.providers)?,
            keys: names(&filter.keys)?,
            passes: names(&filter.passes)?.by_todays_name(Sort::Pass, lanes.aliases()),
            workspaces: names(&filter.workspaces)?.by_todays_name(Sort::Workspace, lanes.aliases()),
            clients: names(&filter.clients)?,
            filter,
        };
        let matching = lanes.iter().filter(|(_, lane)| wanted.matches(lane));
        Ok(Self {
            lanes: Rc::new(matching.map(|(id, _)| id).collect()),
            from: filter.from.map_or(0, ordinal_at),
            to: filter.to.map_or(i64::MAX, ordinal_at),
            tags: tags(&filter.tags, db)?,
            ids: filter.ids.clone(),
            by_use: !filter.technologies.is_empty() || !filter.capabilities.is_empty(),
            by_road: is_of_roads(filter),
        })
    }

    /// The one tag it asks for besides lanes and period, if there is just one.
    pub(crate) fn only_tag(&self) -> Option<(NameId, NameId)> {
        match self.tags.as_deref() {
            Some([tag]) if self.ids.is_empty() => Some(*tag),
            Some(_) | None => None,
        }
    }

    /// Whether lanes and period say it all, so that rollups can answer.
    pub(crate) fn is_of_lanes(&self) -> bool {
        self.ids.is_empty() && self.tags.as_ref().is_some_and(Vec::is_empty)
    }
}

/// Whether nothing that lanes of a road differ in is asked for.
fn is_of_roads(filter: &Filter) -> bool {
    let is_word = |status: &StatusFilter| match status {
        StatusFilter::Word(_) => true,
        StatusFilter::Code(_) | StatusFilter::Class(_) => false,
    };
    filter.clients.is_empty()
        && filter.technologies.is_empty()
        && filter.capabilities.is_empty()
        && filter.stream.is_none()
        && filter.statuses.iter().all(is_word)
}

/// The first ordinal that an instant can have.
pub(crate) fn ordinal_at(at: Timestamp) -> i64 {
    at.millis().clamp(0, i64::MAX >> 12) << 12
}

fn tags(
    tags: &[(String, String)],
    db: &Connection,
) -> rusqlite::Result<Option<Vec<(NameId, NameId)>>> {
    let mut found = Vec::new();
    for (name, value) in tags {
        match (names::find(db, name)?, names::find(db, value)?) {
            (Some(name), Some(value)) => found.push((name, value)),
            (None, _) | (_, None) => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// A list of names of which one must match; an empty list asks for nothing.
struct Wanted {
    any: bool,
    ids: Vec<NameId>,
}

impl Wanted {
    fn of(texts: &[String], db: &Connection) -> rusqlite::Result<Self> {
        let ids = texts.iter().filter_map(|text| names::find(db, text).transpose());
        Ok(Self { any: texts.is_empty(), ids: ids.collect::<Result<_, _>>()? })
    }

    /// A name that something had once finds it as well.
    fn by_todays_name(self, sort: Sort, aliases: &Aliases) -> Self {
        Self { ids: self.ids.into_iter().map(|id| aliases.now(sort, id)).collect(), ..self }
    }

    fn has(&self, id: NameId) -> bool {
        self.any || self.ids.contains(&id)
    }
}

struct LaneFilter<'a> {
    models: Wanted,
    providers: Wanted,
    keys: Wanted,
    passes: Wanted,
    workspaces: Wanted,
    clients: Wanted,
    filter: &'a Filter,
}

impl LaneFilter<'_> {
    fn matches(&self, lane: &Lane) -> bool {
        let Filter { statuses, kinds, technologies, capabilities, stream, demo, .. } = self.filter;
        self.models.has(lane.model)
            && self.providers.has(lane.provider)
            && self.keys.has(lane.key)
            && self.passes.has(lane.pass)
            && self.workspaces.has(lane.workspace)
            && self.clients.has(lane.client)
            && (statuses.is_empty() || statuses.iter().any(|status| status.matches(lane)))
            && (kinds.is_empty() || kinds.contains(&lane.kind))
            && (technologies.is_empty()
                || lane.technology.is_some_and(|technology| technologies.contains(&technology)))
            && (capabilities.is_empty()
                || capabilities.iter().any(|one| lane.capabilities.has(*one)))
            && stream.is_none_or(|stream| stream == lane.stream)
            && match demo {
                Demo::Without => !lane.demo,
                Demo::With => true,
                Demo::Only => lane.demo,
            }
    }
}

impl StatusFilter {
    fn matches(self, lane: &Lane) -> bool {
        match self {
            Self::Word(status) => lane.status == status,
            Self::Code(code) => lane.http_status == Some(code),
            Self::Class(class) => {
                lane.http_status.is_some_and(|code| code / 100 == u16::from(class))
            }
        }
    }
}
